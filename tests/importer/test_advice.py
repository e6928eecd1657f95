"""What is said of sources without a graph: the way out works for that very source."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.importer.advice import no_graph, refused_parts, require_graph
from inference.importer.export.checkpoint import checkpoint_below, checkpoint_files, choose_exporter
from inference.importer.export.exporters import EXPORTERS
from inference.importer.findings import ImporterError
from inference.importer.model_folder import read_object
from inference.importer.sources import FolderFiles, FolderSource, SourceFile, parse
from tests.importer.test_any_source import VALUES
from tests.support.decoders import write_json

LLAMA = {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}
T5 = {"architectures": ["T5ForConditionalGeneration"], "model_type": "t5"}


def source(folder: Path, *names: str, config: dict[str, Any] | None = None) -> FolderFiles:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    if config is not None:
        write_json(folder / "config.json", config)
    return FolderFiles.of(folder)


def test_convert_is_advised_for_a_source_that_it_takes(tmp_path: Path) -> None:
    (tmp_path / "my model").mkdir()
    sentence = no_graph(source(tmp_path / "my model", "model.safetensors", config=LLAMA))
    named = re.search(r"models convert '([^']+)'`, or name", sentence)
    assert named is not None
    found = parse(named[1])
    assert isinstance(found, FolderSource)
    listing = FolderFiles.of(found.path).listing
    assert "config.json" in checkpoint_files(listing)
    assert choose_exporter(read_object(found.path / "config.json"), listing).value == "builder"


def test_a_checkpoint_in_a_folder_below_is_named(tmp_path: Path) -> None:
    (tmp_path / "text").mkdir()
    write_json(tmp_path / "text" / "config.json", LLAMA)
    files = source(tmp_path, "text/model.safetensors")
    assert f"models convert {tmp_path / 'text'}`" in no_graph(files)
    source(tmp_path, "2_Dense/model.safetensors", "2_Dense/config.json")
    assert checkpoint_below(FolderFiles.of(tmp_path).listing) == "text"
    write_json(tmp_path / "text" / "config.json", T5)
    assert "convert" not in no_graph(files)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"architectures": ["MambaForCausalLM"], "model_type": "mamba"}, "no exporter makes a graph"),
        ({"architectures": ["Lfm2ForCausalLM"], "model_type": "lfm2"}, "no exporter makes a graph"),
        ({"architectures": ["BertLMHeadModel"], "model_type": "bert"}, "no exporter makes a graph"),
        (
            {"architectures": ["XyzForCausalLM"], "auto_map": {"AutoModel": "x.y"}},
            "no exporter makes a graph",
        ),
        (
            {"architectures": ["NewModel"], "model_type": "new", "auto_map": {}},
            r"the code that comes with it",
        ),
        ({"architectures": ["PerceiverModel"], "model_type": "perceiver"}, r"family \(perceiver\)"),
        ({**LLAMA, "quantization_config": {"quant_method": "fp8"}}, r"quantized already \(fp8\)"),
        ({**LLAMA, "quantization_config": {"quant_method": [2]}}, r"quantized already \(\[2\]\)"),
        ({**LLAMA, "quantization_config": [7]}, r"quantized already \(quantization_config\)"),
        ({"architectures": ["XyzModel"], "model_type": [2]}, r"family \(no model_type\)"),
        (
            {"architectures": ["BertModel"], "quantization_config": {"quant_method": "awq"}},
            r"already \(awq\)",
        ),
        ({"architectures": ["Phi3VForCausalLM"], "vision_config": {}}, "is a vision-language model"),
    ],
)
def test_convert_is_not_advised_where_it_would_refuse(
    tmp_path: Path, config: dict[str, Any], reason: str
) -> None:
    sentence = no_graph(source(tmp_path, "model.safetensors", config=config))
    assert re.search(reason, sentence)
    assert "models convert" not in sentence
    with pytest.raises(ImporterError, match=reason):
        choose_exporter(config, FolderFiles.of(tmp_path).listing)


@pytest.mark.parametrize(
    ("names", "config", "sentence"),
    [
        ((), None, "it has no files"),
        (("a.txt",), None, "none of its 1 files ends in .onnx"),
        (("model.safetensors",), None, "There is no config.json next to the weights"),
        (("model.safetensors",), T5, "^T5ForConditionalGeneration is an encoder-decoder"),
        (("pytorch_model.bin",), T5, "^T5ForConditionalGeneration is an encoder-decoder"),
        (("pytorch_model.bin",), LLAMA, "a pickle, .* save_pretrained"),
        (("consolidated.safetensors",), LLAMA, "under a name that no exporter reads"),
        (("tf_model.h5",), LLAMA, "Name a repository that has .onnx files"),
        (("x.gguf",), None, "Name a repository that has .onnx files"),
        (("adapter_config.json", "adapter_model.safetensors"), None, "Merge it into its base model"),
        (("model_index.json", "unet/diffusion.safetensors"), None, "diffusion pipeline"),
        (("model.safetensors",), {"architectures": ["XyzForThing"]}, "No exporter is known for XyzForThing"),
    ],
)
def test_the_reason_and_the_way_out_fit_the_source(
    tmp_path: Path, names: tuple[str, ...], config: dict[str, Any] | None, sentence: str
) -> None:
    with pytest.raises(ImporterError, match=sentence):
        require_graph(source(tmp_path, *names, config=config))


NAMED = st.sampled_from([["LlamaForCausalLM"], ["GPT2LMHeadModel"], ["XModel"]])
CONFIGS = st.fixed_dictionaries(
    {"architectures": VALUES | NAMED},
    optional=dict.fromkeys(
        ("model_type", "quantization_config", "vision_config", "auto_map", "is_encoder_decoder"), VALUES
    ),
)


@given(config=CONFIGS, names=st.sets(st.sampled_from(["modules.json", "tokenizer.json", "config.json"])))
@settings(max_examples=200)
def test_any_config_has_an_exporter_or_a_reason(config: dict[str, Any], names: set[str]) -> None:
    try:
        found = choose_exporter(config, dict.fromkeys(names, SourceFile(1))).value
    except ImporterError as error:
        found = str(error)
    assert found in ("direct", *EXPORTERS) or found.endswith(".")


def test_parts_of_an_encoder_decoder_are_called_that(tmp_path: Path) -> None:
    assert "is an encoder-decoder" in refused_parts(
        source(tmp_path, "encoder_model.onnx", config=T5), "parts"
    )
    assert refused_parts(source(tmp_path, config=LLAMA), "parts") == "parts"

"""The files of a source that a deployment needs, and their names in it."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest

from inference.importer.findings import ImporterError
from inference.importer.plan import FilePlan, PlanOptions, plan
from inference.importer.sources import FolderFiles, SourceFile
from inference.importer.variants import Processor
from tests.importer.models import write_external
from tests.support.decoders import SHAPE
from tests.support.encoders import text_graph
from tools.graphs.decoder_graph import decoder_graph, random_weights

PROCESSOR = Processor(frozenset({"avx2", "avx512", "vnni"}), True)
MICROSOFT = (
    "cpu_and_mobile/cpu-int4-rtn-block-32/genai_config.json",
    "cpu_and_mobile/cpu-int4-rtn-block-32/tokenizer.json",
    "cuda/cuda-fp16/genai_config.json",
    "config.json",
    "modeling_phi3.py",
    "pytorch_model.bin",
)


def files(folder: Path, names: Iterable[str]) -> FolderFiles:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".onnx"):
            onnx.save(text_graph(0), folder / name)
        else:
            (folder / name).write_text("{}")
    return FolderFiles.of(folder)


def planned(source: FolderFiles, reports: list[str] | None = None, **options: Any) -> FilePlan:
    return plan(source, PlanOptions(**options), PROCESSOR, ([] if reports is None else reports).append)


def test_a_plan_is_flat_and_has_nothing_executable(tmp_path: Path) -> None:
    folder = "cpu_and_mobile/cpu-int4-rtn-block-32"
    files(tmp_path, (*MICROSOFT, "cuda/cuda-fp16/model.onnx"))
    write_external(text_graph(0), tmp_path / folder / "model.onnx", "model.onnx.data")
    made = planned(FolderFiles.of(tmp_path))
    assert made.files == {
        "config.json": "config.json",
        f"{folder}/genai_config.json": "genai_config.json",
        f"{folder}/tokenizer.json": "tokenizer.json",
        f"{folder}/model.onnx": "model.onnx",
        f"{folder}/model.onnx.data": "model.onnx.data",
    }
    assert set(made.fetched) == {f"{folder}/genai_config.json", f"{folder}/model.onnx"}


def test_each_tower_of_a_dual_encoder_is_chosen(tmp_path: Path) -> None:
    names = ("model", "text_model", "vision_model", "vision_model_q4")
    made = planned(files(tmp_path, [f"onnx/{name}.onnx" for name in names]))
    assert {role: one.path for role, one in made.graphs.items()} == {
        "model": "onnx/vision_model.onnx",
        "text_model": "onnx/text_model.onnx",
    }


def test_an_encoder_decoder_is_refused(tmp_path: Path) -> None:
    source = files(tmp_path, [f"onnx/{name}.onnx" for name in ("encoder_model", "decoder_model_merged")])
    with pytest.raises(ImporterError, match="parts of a model that no backend runs"):
        planned(source)


def test_an_encoder_alone_is_a_model(tmp_path: Path) -> None:
    assert planned(files(tmp_path, ["encoder_model.onnx"])).graphs["model"].path == "encoder_model.onnx"


def test_a_stray_generation_config_does_not_make_a_decoder(tmp_path: Path) -> None:
    names = ("model_quantized.onnx", "model_q4.onnx", "generation_config.json")
    source = files(tmp_path, names)
    # Of encoders int8 comes first where the processor has dot products, of decoders 4 bits.
    sizes = {path: SourceFile(1 << 30 if path.endswith(".onnx") else 2) for path in source.listing}
    large = replace(source, listing=sizes)
    assert planned(large).graphs["model"].path == "model_quantized.onnx"


def test_a_decoder_without_a_generation_config_is_one(tmp_path: Path) -> None:
    for name in ("model_quantized.onnx", "model_q4.onnx"):
        onnx.save(decoder_graph(SHAPE, random_weights(SHAPE, 0)), tmp_path / name)
    assert planned(FolderFiles.of(tmp_path)).graphs["model"].path == "model_q4.onnx"


@pytest.mark.parametrize(("name", "expected"), [("phi.onnx", "phi.onnx"), ("model.onnx", "encoder.onnx")])
def test_the_decoder_is_the_one_that_the_builder_names(tmp_path: Path, name: str, expected: str) -> None:
    files(tmp_path, ["encoder.onnx", "phi.onnx"])
    genai = {"model": {"decoder": {"filename": name}}}
    (tmp_path / "genai_config.json").write_text(json.dumps(genai))
    reports: list[str] = []
    made = planned(FolderFiles.of(tmp_path), reports, variant=None if name == expected else "encoder")
    assert made.graphs["model"].path == expected
    absent = "genai_config.json names model.onnx as the decoder, and there is no such file"
    assert any(absent in sentence for sentence in reports) is (name != expected)


@pytest.mark.parametrize("content", ["[]", "{", '{"model": {"decoder": {"filename": 7}}}', '{"model": 3}'])
def test_a_configuration_that_names_no_decoder_is_passed_over(tmp_path: Path, content: str) -> None:
    source = files(tmp_path, ["model.onnx", "genai_config.json"])
    (tmp_path / "genai_config.json").write_text(content)
    assert planned(source).graphs["model"].path == "model.onnx"

"""`models convert` without an exporter: a checkpoint's graph is written here, added and served."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import save_file

from inference.contracts import GenerationRequest
from inference.importer.add import AddOptions
from inference.importer.export.convert import ConvertOptions, ProcessResult, convert
from inference.importer.findings import ImporterError
from inference.importer.sources import FolderSource
from inference.settings import Settings
from tests.backends.decoder.running import GREEDY, answer, opened, random_prompt
from tests.importer.models import card, decoder
from tests.support.decoders import SHAPE, write_decoder, write_json
from tools.graphs.decoder_graph import random_weights

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": SHAPE.hidden,
    "intermediate_size": SHAPE.ffn,
    "num_hidden_layers": SHAPE.layers,
    "num_attention_heads": SHAPE.heads,
    "num_key_value_heads": SHAPE.kv_heads,
    "vocab_size": SHAPE.vocab,
    "max_position_embeddings": SHAPE.context,
    "rms_norm_eps": SHAPE.norm_eps,
}


def no_process(_: Sequence[str], __: Path, ___: Mapping[str, str]) -> ProcessResult:
    raise AssertionError("no process is run")


def checkpoint(folder: Path, **config: Any) -> Path:
    """Write the weights and the small files of the tiny decoder, without its graph."""
    source = decoder(folder)
    (source / "model.onnx").unlink()
    save_file(random_weights(SHAPE, 0), source / "model.safetensors")
    write_json(
        source / "config.json", {**json.loads((source / "config.json").read_text()), **CONFIG, **config}
    )
    return source


def converted(source: Path, into: Path, reports: list[str] | None = None, **choice: Any) -> Path:
    options = ConvertOptions(run=no_process, **choice)
    report = (reports if reports is not None else []).append
    return convert(FolderSource(source), options, AddOptions("made", into), Settings(models=(into,)), report)


async def tokens_of(deployment: Path) -> list[int]:
    with opened(deployment) as model:
        return (await answer(model, GenerationRequest(random_prompt(20), 24, GREEDY)))[0]


def in_thread(source: Path, into: Path, **choice: Any) -> Path:
    """Convert in a thread, since an import runs an event loop of its own."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(converted, source, into, **choice).result()


async def test_a_checkpoint_in_float_gives_the_tokens_of_its_graph(tmp_path: Path) -> None:
    made = in_thread(checkpoint(tmp_path / "source"), tmp_path / "made", precision="fp32")
    assert await tokens_of(made) == await tokens_of(write_decoder(tmp_path / "reference"))
    assert card(made)["files"]["model"] == "model.onnx"


def test_the_steps_and_the_loss_are_reported(tmp_path: Path) -> None:
    reports: list[str] = []
    made = converted(checkpoint(tmp_path), tmp_path / "made", reports)
    assert "LlamaForCausalLM generates text: its graph is written directly, without an exporter." in reports
    assert any(sentence.startswith("The graph is written in int4: ") for sentence in reports)
    loss = next(sentence for sentence in reports if sentence.startswith("In 4 bit the weights differ"))
    assert "on average and at most by" in loss
    assert "converted" in card(made)["description"]
    assert not any("graph was edited" in sentence for sentence in reports)
    assert (made / "model.onnx.data").is_file()


@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_each_precision_opens_and_answers(tmp_path: Path, precision: str) -> None:
    reports: list[str] = []
    converted(checkpoint(tmp_path), tmp_path / "made", reports, precision=precision)
    assert any("opens in" in sentence and "answers" in sentence for sentence in reports)


def test_an_unknown_precision_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImporterError, match="direct exports to int4, int8, fp32, not to fp16"):
        converted(checkpoint(tmp_path), tmp_path / "made", precision="fp16")


def test_quantized_weights_are_refused_where_direct_is_asked_for(tmp_path: Path) -> None:
    source = checkpoint(tmp_path, quantization_config={"quant_method": "awq"})
    with pytest.raises(ImporterError, match="quantized already, by awq"):
        converted(source, tmp_path / "made", exporter="direct")


def test_a_damaged_checkpoint_adds_nothing(tmp_path: Path) -> None:
    source, into = checkpoint(tmp_path), tmp_path / "made"
    whole = (source / "model.safetensors").read_bytes()
    (source / "model.safetensors").write_bytes(whole[:-1])
    with pytest.raises(ImporterError, match=r"model\.safetensors ends before its tensor"):
        converted(source, into)
    assert [path for path in into.iterdir() if path.is_dir()] == []

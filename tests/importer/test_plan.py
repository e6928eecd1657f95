"""The files of a source that a deployment needs, and their names in it."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from inference.importer.findings import ImporterError
from inference.importer.plan import PlanOptions, plan
from inference.importer.sources import FolderFiles, SourceFile
from inference.importer.variants import Processor

MB = 1_000_000
PROCESSOR = Processor(frozenset({"avx2", "avx512", "vnni"}), True)
MICROSOFT = {
    "cpu_and_mobile/cpu-int4-rtn-block-32/model.onnx": SourceFile(1 * MB),
    "cpu_and_mobile/cpu-int4-rtn-block-32/model.onnx.data": SourceFile(2600 * MB),
    "cpu_and_mobile/cpu-int4-rtn-block-32/genai_config.json": SourceFile(1),
    "cpu_and_mobile/cpu-int4-rtn-block-32/tokenizer.json": SourceFile(1),
    "cuda/cuda-fp16/model.onnx": SourceFile(7000 * MB),
    "cuda/cuda-fp16/genai_config.json": SourceFile(1),
    "config.json": SourceFile(1),
    "modeling_phi3.py": SourceFile(1),
    "pytorch_model.bin": SourceFile(1),
}


def files(listing: Mapping[str, SourceFile]) -> FolderFiles:
    return FolderFiles(Path("model"), listing, "the tests")


def test_a_plan_is_flat_and_has_nothing_executable() -> None:
    made = plan(files(MICROSOFT), PlanOptions(), PROCESSOR, lambda _: None)
    folder = "cpu_and_mobile/cpu-int4-rtn-block-32"
    assert made.files == {
        "config.json": "config.json",
        f"{folder}/genai_config.json": "genai_config.json",
        f"{folder}/tokenizer.json": "tokenizer.json",
        f"{folder}/model.onnx": "model.onnx",
        f"{folder}/model.onnx.data": "model.onnx.data",
    }


def test_each_tower_of_a_dual_encoder_is_chosen() -> None:
    listing = {
        f"onnx/{name}.onnx": SourceFile(10 * MB)
        for name in ("model", "text_model", "vision_model", "vision_model_q4")
    }
    made = plan(files(listing), PlanOptions(), PROCESSOR, lambda _: None)
    assert {role: one.path for role, one in made.graphs.items()} == {
        "model": "onnx/vision_model.onnx",
        "text_model": "onnx/text_model.onnx",
    }


def test_an_encoder_decoder_is_refused() -> None:
    listing = {f"onnx/{name}.onnx": SourceFile(MB) for name in ("encoder_model", "decoder_model_merged")}
    with pytest.raises(ImporterError, match="parts of a model that no backend runs"):
        plan(files(listing), PlanOptions(), PROCESSOR, lambda _: None)

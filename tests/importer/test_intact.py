"""Where the best variant is damaged, those that are intact are named."""

from __future__ import annotations

import shutil
from pathlib import Path

import onnx
import pytest

from inference.importer.findings import ImporterError
from inference.importer.intact import damage_of
from inference.importer.plan import PlanOptions
from tests.importer.models import added, decoder, write_external


def test_the_intact_variant_is_named_when_the_best_is_cut_off(tmp_path: Path) -> None:
    source = decoder(tmp_path)
    shutil.copy(source / "model.onnx", source / "model_fp16.onnx")
    content = (source / "model.onnx").read_bytes()
    (source / "model.onnx").write_bytes(content[: len(content) // 2])
    (source / "model_q4.onnx").write_bytes(b"")
    with pytest.raises(
        ImporterError, match=r"The source also has model_fp16\.onnx \(.*\); --variant takes one"
    ):
        added(source, tmp_path / "deployments")
    assert added(
        source, tmp_path / "deployments", opens=False, plan_options=PlanOptions(variant="model_fp16.onnx")
    )


def test_the_intact_variant_is_named_when_the_data_of_the_best_is_cut_off(tmp_path: Path) -> None:
    source = decoder(tmp_path)
    path = source / "model.onnx"
    shutil.copy(path, source / "model_fp16.onnx")
    write_external(onnx.load(str(path)), path, "model.onnx.data")
    data = path.with_name("model.onnx.data")
    data.write_bytes(data.read_bytes()[:100])
    with pytest.raises(ImporterError, match=r"model_fp16\.onnx is intact: --variant model_fp16\.onnx"):
        added(source, tmp_path / "deployments")


def test_without_an_intact_variant_the_advice_is_to_download_again(tmp_path: Path) -> None:
    source = decoder(tmp_path)
    (source / "model.onnx").write_bytes(b"\xff" * 20)
    with pytest.raises(ImporterError, match="Download or export it again"):
        added(source, tmp_path / "deployments")


def test_external_data_that_is_missing_or_cut_off_is_damage(tmp_path: Path) -> None:
    path = decoder(tmp_path) / "model.onnx"
    write_external(onnx.load(str(path)), path, "model.onnx.data")
    assert damage_of(path) is None
    data = path.with_name("model.onnx.data")
    whole = data.read_bytes()
    data.write_bytes(whole[:100])
    assert damage_of(path) == f"keeps {len(whole)} bytes of weights in model.onnx.data, which has 100"
    data.unlink()
    assert damage_of(path) == "keeps its weights in model.onnx.data, which is missing"

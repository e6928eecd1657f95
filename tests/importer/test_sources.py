"""The kinds of SOURCE, and the default name of a deployment."""

from pathlib import Path

import pytest

from inference.importer.findings import ImporterError
from inference.importer.sources import FolderSource, HubSource, name_of, parse
from inference.settings import Container

BLOB = "https://acme.blob.core.windows.net/models/qwen/0.5b"


def test_three_kinds_of_source_are_parsed(tmp_path: Path) -> None:
    assert parse(str(tmp_path)) == FolderSource(tmp_path)
    assert parse("hf:acme/tiny") == HubSource("acme/tiny")
    assert parse("hf:acme/tiny.v2@refs/pr/1") == HubSource("acme/tiny.v2", "refs/pr/1")
    assert parse("https://huggingface.co/acme/tiny/tree/main") == HubSource("acme/tiny", "main")
    assert parse("huggingface.co/acme/tiny") == HubSource("acme/tiny")
    assert parse(BLOB) == Container("https://acme.blob.core.windows.net", "models", "qwen/0.5b")
    emulated = parse("http://127.0.0.1:10000/devstoreaccount1/models/qwen?sv=1&sig=secret")
    assert emulated == Container(
        "http://127.0.0.1:10000/devstoreaccount1", "models", "qwen", "sv=1&sig=secret"
    )
    assert "secret" not in f"{emulated} {emulated!r}"


@pytest.mark.parametrize(
    ("page", "revision", "path"),
    [
        ("", None, ""),
        ("/", None, ""),
        ("/tree/main/onnx", "main", "onnx"),
        ("/tree/v1.0", "v1.0", ""),
        ("/tree/refs%2Fpr%2F3/onnx/v1.5", "refs/pr/3", "onnx/v1.5"),
        ("/tree/refs/pr/3/onnx", "refs/pr/3", "onnx"),
        ("/blob/main/onnx/model_q4.onnx", "main", "onnx/model_q4.onnx"),
        ("/blob/main/onnx/config.json", "main", "onnx"),
        ("/blob/main/README.md", "main", ""),
        ("/resolve/main/model.onnx?download=true", "main", "model.onnx"),
        ("/commit/0123abcd", "0123abcd", ""),
    ],
)
def test_a_page_of_the_hub_keeps_its_revision_and_folder(page: str, revision: str | None, path: str) -> None:
    assert parse(f"https://huggingface.co/acme/tiny{page}") == HubSource("acme/tiny", revision, path)


def test_pages_of_the_hub_that_has_another_address_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:8099")
    assert parse("http://127.0.0.1:8099/acme/tiny/tree/main/onnx") == HubSource("acme/tiny", "main", "onnx")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("hf:tiny", "not hf:owner/repo"),
        ("acme/tiny", "Did you mean hf:acme/tiny"),
        ("nowhere", "There is no folder nowhere"),
        ("", "SOURCE is empty"),
        ("~nouser/x", r"^~nouser/x cannot be opened"),
        ("a" * 5000, r"^a{200}\.\.\. cannot be opened: File name too long"),
        ("/dev/null", "neither a folder nor a file"),
        ("https://huggingface.co/datasets/acme/tiny", "not the page of a model on the hub"),
        ("https://huggingface.co/acme", "not the page of a model on the hub"),
        ("http://[::1", "not a valid URL"),
        ("https://example.com/a?sig=secret", r"^https://example.com/a is not a supported source"),
        ("https://me:secret@example.com/a", r"^https://example.com/a is not a supported source"),
        (
            "https://acme.blob.core.windows.net/",
            "is not a supported source: expected the name of a container",
        ),
        ("http://acme.blob.core.windows.net/a", "http:// only for localhost"),
        ("http://127.0.0.1:10000/devstoreaccount1", "expected the name of a container"),
    ],
)
def test_another_source_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ImporterError, match=reason):
        parse(text)


def test_a_file_is_refused_as_source(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").touch()
    with pytest.raises(ImporterError, match=r"is a file.*with --variant model:"):
        parse(str(tmp_path / "model.onnx"))


def test_default_name_is_the_last_part_of_the_location() -> None:
    assert name_of(FolderSource(Path("/models/My model (1)"))) == "My-model-1"
    assert name_of(HubSource("acme/tiny.v2")) == "tiny.v2"
    assert name_of(Container.parse(f"{BLOB}/?sig=x")) == "0.5b"
    assert name_of(Container.parse("https://acme.blob.core.windows.net/models")) == "models"
    with pytest.raises(ImporterError, match="--name"):
        name_of(FolderSource(Path("/models/…")))

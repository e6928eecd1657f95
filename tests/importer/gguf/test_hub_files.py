"""GGUF files on the hub: only the chosen one is downloaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from inference.importer.add import AddOptions, files_of_source
from inference.importer.findings import ImporterError
from inference.importer.gguf.intake import graphs_of
from inference.importer.gguf.locations import split_file
from inference.importer.plan import PlanOptions
from inference.importer.sources import parse
from inference.settings import Settings
from tests.importer.gguf.gguf_files import GgufFile, llama_metadata, llama_tensors
from tests.importer.hub_server import Hub, serving


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with a repository of two quantizations, with a cache of the test's own."""
    import huggingface_hub.constants

    repository = tmp_path / "hub" / "acme" / "tiny-GGUF"
    repository.mkdir(parents=True)
    # An architecture that is refused once its header is read: what is fetched shows by then.
    metadata = llama_metadata(**{"general.architecture": "mamba"})
    for name in ("tiny-Q4_K_M.gguf", "tiny-Q8_0.gguf", "mmproj-tiny-f16.gguf"):
        GgufFile(metadata, llama_tensors()).write(repository / name)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with serving(tmp_path / "hub") as served:
        monkeypatch.setenv("HF_ENDPOINT", served.url)
        yield served


@pytest.mark.parametrize(
    ("text", "fetched"),
    [
        ("hf:acme/tiny-GGUF", "tiny-Q4_K_M.gguf"),
        ("hf:acme/tiny-GGUF:Q8_0", "tiny-Q8_0.gguf"),
        ("hf:acme/tiny-GGUF:tiny-Q8_0.gguf", "tiny-Q8_0.gguf"),
        ("https://huggingface.co/acme/tiny-GGUF/blob/main/tiny-Q8_0.gguf", "tiny-Q8_0.gguf"),
    ],
)
def test_only_the_chosen_file_is_downloaded(hub: Hub, tmp_path: Path, text: str, fetched: str) -> None:
    address, variant = split_file(text)
    options = AddOptions("tiny", tmp_path / "into", PlanOptions(variant))
    files = files_of_source(parse(address), tmp_path, Settings(), lambda _: None)
    with (
        pytest.raises(ImporterError, match=rf"{fetched} is of the architecture mamba, which is not read"),
        graphs_of(files, options, lambda _: None),
    ):
        pass
    assert set(hub.requests) == {fetched}

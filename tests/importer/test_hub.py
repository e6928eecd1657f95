"""Models from a hub, through its failures: a server on this machine stands for the hub."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest

from inference.importer.add import AddOptions, add
from inference.importer.export.convert import ConvertOptions, convert
from inference.importer.findings import ImporterError
from inference.importer.hub import hub_files, narrowed
from inference.importer.sources import HubSource, SourceFile, parse
from inference.settings import Settings
from tests.importer.export.test_direct import checkpoint
from tests.importer.hub_server import COMMIT, LFS_FROM, TOKEN, Hub, serving
from tests.importer.models import built, card, write_external
from tests.support.network_faults import (
    BODY_FAULTS,
    HEAD_FAULTS,
    HTTP1_FAULTS,
    Tls,
    faulty_server,
    trusted_certificate,
)

REPOSITORY = "acme/tiny"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
CHUNK = 10 * 1024 * 1024
"""Bytes that huggingface_hub writes to the disk at a time."""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with one repository behind HF_ENDPOINT, with a cache of the test's own."""
    import huggingface_hub.constants

    model = built(tmp_path / "hub" / "acme", "tiny")
    lengthen(model / "model.onnx.data", LFS_FROM)
    (model / "modeling.py").write_text("raise SystemExit('executed')")
    (model / "pytorch_model.bin").write_bytes(b"no pickle is fetched")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(time, "sleep", lambda _: None)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with serving(tmp_path / "hub") as served:
        monkeypatch.setenv("HF_ENDPOINT", served.url)
        yield served


def lengthen(path: Path, size: int) -> None:
    """Append zeros: the graph reads the start of its data only."""
    with path.open("ab") as data:
        data.write(bytes(size))


@pytest.fixture
def into(tmp_path: Path) -> Path:
    return tmp_path / "deployments"


def added(into: Path, revision: str | None = None, name: str = "tiny") -> Path:
    options = AddOptions(name=name, into=into, opens=False)
    return add(HubSource(REPOSITORY, revision), options, Settings(models=(into,)), lambda _: None)


def visible(into: Path) -> list[str]:
    return [path.name for path in into.iterdir() if not path.name.startswith(".")] if into.exists() else []


def test_only_the_needed_files_are_downloaded(hub: Hub, into: Path) -> None:
    deployment = added(into)
    made = card(deployment)
    assert (made["provider"], made["license"]) == ("acme", "apache-2.0")
    assert COMMIT[:12] in made["description"]
    assert set(hub.requests) == {
        "model.onnx",
        "model.onnx.data",
        "tokenizer.json",
        "chat_template.jinja",
        "genai_config.json",
    }


def test_data_of_any_name_is_downloaded_and_that_of_other_graphs_is_not(hub: Hub, into: Path) -> None:
    model = hub.root / "acme" / "tiny"
    graph = onnx.load(model / "model.onnx")
    for name, place in (("model.onnx", "below/5f2c"), ("model_fp16.onnx", "weights.bin")):
        (model / "below").mkdir(exist_ok=True)
        write_external(graph, model / name, place)
    deployment = added(into)
    assert (deployment / "below" / "5f2c").is_file()
    assert not hub.requests.keys() & {"model_fp16.onnx", "weights.bin", "model.onnx.data"}
    (model / "below" / "5f2c").unlink()
    with pytest.raises(ImporterError, match=r"weights in below/5f2c, and that file is missing"):
        added(into, name="other")


def test_cached_files_are_not_downloaded_again(hub: Hub, into: Path) -> None:
    added(into)
    hub.requests.clear()
    added(into, name="again")
    assert hub.requests == {}


@pytest.mark.parametrize(
    ("repository", "revision", "reason"),
    [
        ("acme/none", None, "has no repository acme/none"),
        ("acme/tiny", "v9", "has no revision v9"),
        ("acme/..", None, r"is not a valid name of a repository"),
    ],
)
def test_a_missing_repository_or_revision_is_refused(
    hub: Hub, into: Path, repository: str, revision: str | None, reason: str
) -> None:
    options = AddOptions(name="tiny", into=into, opens=False)
    with pytest.raises(ImporterError, match=reason):
        add(HubSource(repository, revision), options, Settings(models=(into,)), lambda _: None)
    assert visible(into) == []


def test_a_private_repository_needs_the_token(hub: Hub, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.private = True
    with pytest.raises(ImporterError, match=r"or does not show it to you. Set HF_TOKEN"):
        added(into)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    added(into)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, r"denies access to .* \(401\). Set HF_TOKEN"),
        (403, r"denies access to .* \(403\). Set HF_TOKEN"),
        (404, r"\(404\)"),
        (429, "limits the rate of requests .* Run the same command again"),
        (503, r"fails .* 503\). Run the same command again"),
    ],
)
def test_a_refusal_of_the_hub_is_reported_and_a_rerun_succeeds(
    hub: Hub, into: Path, status: int, reason: str
) -> None:
    hub.refuse = status
    with pytest.raises(ImporterError, match=reason):
        added(into)
    assert visible(into) == []
    hub.refuse = None
    added(into)


def test_an_interrupted_download_is_resumed(hub: Hub, into: Path) -> None:
    lengthen(hub.root / REPOSITORY / "model.onnx.data", 2 * CHUNK)
    hub.cut = CHUNK + 1000
    added(into)
    assert hub.ranges == [f"bytes={CHUNK}-"]


def test_a_damaged_file_is_refused_and_downloaded_again(hub: Hub, into: Path) -> None:
    hub.damaged = True
    with pytest.raises(ImporterError, match=r"model.onnx.data is damaged"):
        added(into)
    assert visible(into) == []
    hub.damaged = False
    added(into)


def test_offline_mode_takes_the_cache_or_is_refused(
    hub: Hub, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ImporterError, match="is not in the cache"):
        added(into)
    with monkeypatch.context() as patch:
        patch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
        added(into)
    hub.requests.clear()
    assert COMMIT[:12] in card(added(into, name="again"))["description"]
    assert hub.requests == {}


def test_an_unreachable_hub_is_reported(hub: Hub, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ImporterError, match="Run the same command again"):
        added(into)


@pytest.mark.parametrize("name", [*HEAD_FAULTS, *BODY_FAULTS, "invalid gzip", "JSON nested too deeply"])
def test_every_fault_of_the_network_is_reported(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with faulty_server(HTTP1_FAULTS[name]) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        with pytest.raises(ImporterError):
            hub_files(HubSource(REPOSITORY), print)


def test_a_bad_tls_record_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    tls = Tls(trusted_certificate(tmp_path, monkeypatch))
    for fault in {**tls.handshake, **tls.head, **tls.body}.values():
        with faulty_server(fault, tls=True) as server:
            monkeypatch.setenv("HF_ENDPOINT", server.url)
            with pytest.raises(ImporterError):
                hub_files(HubSource(REPOSITORY), print)


def test_the_folder_of_a_page_is_the_place_to_look_in() -> None:
    listing = {name: SourceFile(1) for name in ("config.json", "model.onnx", "onnx/a.onnx", "onnx/b.onnx")}
    folder = narrowed(listing, HubSource("acme/tiny", None, "onnx"))
    assert list(folder) == ["config.json", "onnx/a.onnx", "onnx/b.onnx"]
    assert list(narrowed(listing, HubSource("acme/tiny", None, "onnx/b.onnx"))) == [
        "config.json",
        "onnx/b.onnx",
    ]
    assert narrowed(listing, HubSource("acme/tiny")) == listing
    with pytest.raises(ImporterError, match="hf:acme/tiny has no folder or graph fp16"):
        narrowed(listing, HubSource("acme/tiny", None, "fp16"))


def test_a_page_of_a_folder_adds_the_graph_in_it(hub: Hub, into: Path) -> None:
    model = hub.root / REPOSITORY
    (model / "onnx").mkdir()
    for name in ("model.onnx", "model.onnx.data"):
        (model / "onnx" / name).write_bytes((model / name).read_bytes())
    source = parse(f"{hub.url}/{REPOSITORY}/blob/main/onnx/model.onnx")
    options = AddOptions(name="tiny", into=into, opens=False)
    deployment = add(source, options, Settings(models=(into,)), lambda _: None)
    assert (deployment / "model.json").is_file()
    assert {name for name in hub.requests if "model.onnx" in name} == {
        "onnx/model.onnx",
        "onnx/model.onnx.data",
    }


@pytest.mark.parametrize("name", ["model.onnx", "model.onnx.data", "tokenizer.json", "config.json"])
def test_a_pointer_in_a_repository_is_refused_as_its_makers(hub: Hub, into: Path, name: str) -> None:
    (hub.root / REPOSITORY / name).write_bytes(POINTER)
    with pytest.raises(
        ImporterError, match=rf"^{re.escape(name)} is a Git LFS pointer.* ask its maker to upload"
    ):
        added(into)


def test_a_checkpoint_in_a_folder_of_a_repository_is_advised_and_converted(hub: Hub, into: Path) -> None:
    model = hub.root / REPOSITORY
    (model / "model.onnx").unlink()
    checkpoint(model).rename(model / "text")
    page = f"{hub.url}/{REPOSITORY}/tree/main/text"
    for source in (f"hf:{REPOSITORY}", page):
        with pytest.raises(ImporterError, match=rf"Export the graph with `.* models convert {page}`"):
            add(parse(source), AddOptions("tiny", into), Settings(models=(into,)), lambda _: None)
    with pytest.raises(ImporterError, match=rf"but in text: convert {page}\.$"):
        converted(f"hf:{REPOSITORY}", into)
    converted(page, into)
    assert [path.name for path in into.glob("*/model.json")] == ["model.json"]
    assert f"from text of hf:{REPOSITORY}@" in (into / "tiny" / "model.json").read_text()


def converted(source: str, into: Path) -> Path:
    options = AddOptions("tiny", into, opens=False)
    return convert(parse(source), ConvertOptions(), options, Settings(models=(into,)), lambda _: None)

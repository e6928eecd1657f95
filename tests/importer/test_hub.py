"""A model comes from a hub, whatever the hub does: over a server on this machine that behaves as one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from inference.importer.add import AddOptions, add
from inference.importer.findings import ImporterError
from inference.importer.plan import PlanOptions
from inference.importer.sources import HubSource
from inference.settings import Settings
from tests.importer.hub_server import COMMIT, LFS_FROM, TOKEN, Hub, serving
from tests.importer.models import built, card

REPOSITORY = "acme/tiny"
CHUNK = 10 * 1024 * 1024
"""What huggingface_hub writes to the disk at a time."""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with one repository, asked through HF_ENDPOINT with a cache of this test's own."""
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
    """The graph reads the begin of its data only."""
    with path.open("ab") as data:
        data.write(bytes(size))


@pytest.fixture
def into(tmp_path: Path) -> Path:
    return tmp_path / "deployments"


def added(into: Path, revision: str | None = None, name: str = "tiny", said: list[str] | None = None) -> Path:
    order = AddOptions(name=name, into=into, wishes=PlanOptions(), opens=False)
    say = (said if said is not None else []).append
    return add(HubSource(REPOSITORY, revision), order, Settings(models=(into,)), say)


def visible(into: Path) -> list[str]:
    return [path.name for path in into.iterdir() if not path.name.startswith(".")] if into.exists() else []


def test_what_is_needed_comes_and_nothing_else(hub: Hub, into: Path) -> None:
    deployment = added(into)
    made = card(deployment)
    assert (made["provider"], made["license"]) == ("acme", "apache-2.0")
    assert COMMIT[:12] in made["description"]
    assert set(hub.asked) == {
        "model.onnx",
        "model.onnx.data",
        "tokenizer.json",
        "chat_template.jinja",
        "genai_config.json",
    }


def test_what_is_in_the_cache_is_not_fetched_again(hub: Hub, into: Path) -> None:
    added(into)
    hub.asked.clear()
    added(into, name="again")
    assert hub.asked == {}


@pytest.mark.parametrize(
    ("repository", "revision", "reason"),
    [
        ("acme/none", None, "has no repository acme/none"),
        ("acme/tiny", "v9", "has no revision v9"),
        ("acme/..", None, r"cannot be a repository's name"),
    ],
)
def test_what_is_not_there(hub: Hub, into: Path, repository: str, revision: str | None, reason: str) -> None:
    order = AddOptions(name="tiny", into=into, opens=False)
    with pytest.raises(ImporterError, match=reason):
        add(HubSource(repository, revision), order, Settings(models=(into,)), lambda _: None)
    assert visible(into) == []


def test_a_private_repository_wants_the_token(hub: Hub, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.private = True
    with pytest.raises(ImporterError, match=r"or not for you. Set HF_TOKEN"):
        added(into)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    added(into)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, r"refuses .* \(401\). Set HF_TOKEN"),
        (403, r"refuses .* \(403\). Set HF_TOKEN"),
        (404, r"\(404\)"),
        (429, "asked too often .* Run the same command again"),
        (503, r"fails .* 503\). Run the same command again"),
    ],
)
def test_a_refusal_is_a_sentence_and_a_rerun_succeeds(hub: Hub, into: Path, status: int, reason: str) -> None:
    hub.refuse = status
    with pytest.raises(ImporterError, match=reason):
        added(into)
    assert visible(into) == []
    hub.refuse = None
    added(into)


def test_a_body_that_is_cut_goes_on_where_it_ended(hub: Hub, into: Path) -> None:
    lengthen(hub.root / REPOSITORY / "model.onnx.data", 2 * CHUNK)
    hub.cut = CHUNK + 1000
    added(into)
    assert hub.ranges == [f"bytes={CHUNK}-"]


def test_a_file_that_is_not_the_listed_one_is_refused_and_fetched_anew(hub: Hub, into: Path) -> None:
    hub.damaged = True
    with pytest.raises(ImporterError, match=r"model.onnx.data came damaged"):
        added(into)
    assert visible(into) == []
    hub.damaged = False
    added(into)


def test_offline_the_cache_is_enough_or_a_sentence(
    hub: Hub, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ImporterError, match="is not in the cache"):
        added(into)
    with monkeypatch.context() as patch:
        patch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
        added(into)
    hub.asked.clear()
    assert COMMIT[:12] in card(added(into, name="again"))["description"]
    assert hub.asked == {}


def test_a_hub_that_is_away_is_a_sentence(hub: Hub, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ImporterError, match="Run the same command again"):
        added(into)

"""Deployments: found, chosen, opened once, and broken ones kept apart."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from inference.backends.loaded_models import LoadedModel, OpenModel
from inference.cards.card import CardError, Deployment
from inference.contracts import Route
from inference.errors import ApiError, DeploymentBroken, ModelNotReady, NoModelName, NotFound, UnknownModel
from inference.registry import registry as registry_module
from inference.registry.registry import Registry
from inference.settings import Settings
from tests.support.cards import CHAT, EMBEDDINGS, IMAGES, write_card
from tests.support.decoders import write_decoder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_card(tmp_path, CHAT)
    write_card(tmp_path, EMBEDDINGS)
    write_card(tmp_path, IMAGES, files={"text_model": "text.onnx"})
    return tmp_path


def made(*roots: Path, **settings: Any) -> Registry:
    return Registry(Settings(models=roots, **settings))


def test_every_folder_with_a_card_is_found(root: Path) -> None:
    (root / "notes").mkdir()
    assert [found.name for found in made(root).deployments] == ["tiny-chat", "tiny-embeddings", "tiny-images"]


def test_a_root_may_be_a_deployment_itself(root: Path) -> None:
    assert [found.name for found in made(root / "tiny-chat").deployments] == ["tiny-chat"]


def test_a_root_that_is_missing_takes_nothing_down(root: Path) -> None:
    assert len(made(root / "nowhere", root).deployments) == 3


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"backend": "magic"}, "backend: 'magic' is none of"),
        ({"backend": "onnx-text-encoder"}, "onnx-text-encoder does not run chat-completions"),
        (
            {"parameters": {"modalities": {"values": ["audio"]}}},
            "modalities is declared, onnx-decoder cannot honour it",
        ),
        ({"parameters": {"tools": {"dialect": "elvish"}, "tool_choice": {}}}, "tools: dialect 'elvish'"),
    ],
)
def test_a_card_that_promises_too_much_is_broken(root: Path, changes: dict[str, Any], reason: str) -> None:
    write_card(root, CHAT, name="other", **changes)
    registry = made(root)
    assert [(broken.name, reason in broken.reason) for broken in registry.broken] == [("other", True)]
    assert len(registry.deployments) == 3
    with pytest.raises(DeploymentBroken, match="The deployment other is broken"):
        registry.get("other")


def test_a_missing_file_breaks_a_deployment(root: Path) -> None:
    (root / "tiny-images" / "text.onnx").unlink()
    assert [broken.name for broken in made(root).broken] == ["tiny-images"]


def test_a_name_is_taken_once(root: Path) -> None:
    again = root / "again"
    write_card(again, CHAT)
    registry = made(root, again)
    assert [broken.reason for broken in registry.broken] == [
        "model.json: name: 'tiny-chat' is taken by another folder"
    ]


@dataclass(frozen=True)
class Choice:
    """How a request names its deployment, and who is to answer."""

    route: Route
    fixed: str | None
    asked: str | None
    answer: str | type[ApiError]


@pytest.mark.parametrize(
    "choice",
    [
        Choice(Route.CHAT, None, None, "tiny-chat"),
        Choice(Route.CHAT, None, "gpt-4o", "tiny-chat"),
        Choice(Route.CHAT, "TINY-chat", None, "tiny-chat"),
        Choice(Route.CHAT, "gpt-4o", None, UnknownModel),
        Choice(Route.CHAT, "tiny-embeddings", None, NotFound),
        Choice(Route.CHAT, None, "tiny-embeddings", NotFound),
        Choice(Route.COMPLETIONS, None, None, "tiny-chat"),
        Choice(Route.EMBEDDINGS, None, None, "tiny-embeddings"),
        Choice(Route.EMBEDDINGS, None, "tiny-images", "tiny-images"),
        Choice(Route.IMAGE_EMBEDDINGS, None, "text-embedding-3", "tiny-images"),
        Choice(Route.INFO, None, None, "tiny-chat"),
        Choice(Route.INFO, None, "tiny-images", "tiny-images"),
        Choice(Route.INFO, "tiny-embeddings", None, "tiny-embeddings"),
    ],
)
def test_who_answers(root: Path, choice: Choice) -> None:
    registry = made(root)
    if isinstance(choice.answer, str):
        assert registry.choose(choice.route, fixed=choice.fixed, asked=choice.asked).name == choice.answer
    else:
        with pytest.raises(choice.answer):
            registry.choose(choice.route, fixed=choice.fixed, asked=choice.asked)


def test_with_several_a_name_or_a_default_is_needed(root: Path) -> None:
    write_card(root, CHAT, name="other")
    with pytest.raises(NoModelName, match="other, tiny-chat"):
        made(root).choose(Route.CHAT, fixed=None, asked=None)
    with pytest.raises(UnknownModel, match="Unknown model: gpt-4o"):
        made(root).choose(Route.CHAT, fixed=None, asked="gpt-4o")
    chosen = made(root, defaults=("tiny-embeddings", "other")).choose(Route.CHAT, fixed=None, asked=None)
    assert chosen.name == "other"


def test_nobody_serves(tmp_path: Path) -> None:
    write_card(tmp_path, CHAT, backend="magic")
    with pytest.raises(NotFound, match=r"no deployment serves embeddings \(broken: tiny-chat\)"):
        made(tmp_path).choose(Route.EMBEDDINGS, fixed=None, asked=None)


class Opened(OpenModel):
    """Stands for a running model."""

    def close(self) -> None: ...


@dataclass
class Opener:
    """Stands for a backend's `open`, which may take its time and may fail."""

    gate: threading.Event
    error: Exception | None = None
    calls: int = 0

    def __call__(self, deployment: Deployment, settings: Settings) -> LoadedModel:
        self.calls += 1
        assert self.gate.wait(60)
        if self.error:
            raise self.error
        return cast(LoadedModel, Opened())


@pytest.fixture
def opener(monkeypatch: pytest.MonkeyPatch) -> Iterator[Opener]:
    opener = Opener(threading.Event())
    monkeypatch.setattr(registry_module, "_open", opener)
    yield opener
    opener.gate.set()


async def test_many_requests_open_a_model_once(root: Path, opener: Opener) -> None:
    registry = made(root)
    deployment = registry.get("tiny-embeddings")
    waiting = [asyncio.create_task(registry.open(deployment, patience=60)) for _ in range(5)]
    opener.gate.set()
    first, *others = await asyncio.gather(*waiting)
    assert all(other is first for other in others)
    assert opener.calls == 1
    assert registry.state(deployment) == "open"
    registry.close()


async def test_an_effort_that_the_template_cannot_hear_breaks_a_deployment(tmp_path: Path) -> None:
    told = {"values": ["high"], "template": {"high": {"budget": 9}}}
    write_decoder(tmp_path, name="deaf", card={"extras": {"reasoning_effort": told}})
    registry = made(tmp_path)
    with pytest.raises(DeploymentBroken, match="the chat template does not mention budget"):
        await registry.open(registry.get("deaf"), patience=60)
    registry.close()


async def test_a_model_that_takes_too_long_goes_on_loading(root: Path, opener: Opener) -> None:
    registry = made(root)
    deployment = registry.get("tiny-embeddings")
    assert registry.state(deployment) == "closed"
    with pytest.raises(ModelNotReady) as refusal:
        await registry.open(deployment, patience=0.001)
    assert registry.state(deployment) == "loading"
    assert "Retry-After" in refusal.value.headers
    opener.gate.set()
    await registry.open(deployment, patience=60)
    assert opener.calls == 1
    registry.close()


@pytest.mark.parametrize(
    ("error", "seen", "calls"),
    [(CardError("no graph"), DeploymentBroken, 1), (MemoryError("no room"), MemoryError, 2)],
)
async def test_a_fault_of_the_files_stays_and_one_of_the_machine_is_tried_again(
    root: Path, opener: Opener, error: Exception, seen: type[Exception], calls: int
) -> None:
    registry = made(root)
    opener.error = error
    opener.gate.set()
    for _ in range(2):
        with pytest.raises(seen):
            await registry.open(registry.get("tiny-embeddings"), patience=60)
    assert opener.calls == calls
    assert registry.state(registry.get("tiny-embeddings")) == "broken"
    registry.close()

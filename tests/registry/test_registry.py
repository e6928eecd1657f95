"""The registry: models opened once, and the errors of opening."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from inference.backends.loaded_models import LoadedModel, OpenModel
from inference.blobs.disk import FileLock
from inference.cards.card import CardError, Deployment
from inference.contracts import Route
from inference.errors import DeploymentBroken, ModelNotReady, UnknownModel
from inference.registry import registry as registry_module
from inference.registry.registry import Registry
from inference.settings import InvalidSetting, Settings
from tests.support.cards import CHAT, EMBEDDINGS, IMAGES, write_card
from tests.support.decoders import write_decoder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_card(tmp_path, CHAT)
    write_card(tmp_path, EMBEDDINGS)
    return tmp_path


def made(*roots: Path, **settings: Any) -> Registry:
    return Registry(Settings(models=roots, **settings))


def test_the_deployments_of_all_locations_are_found_and_chosen(root: Path, tmp_path: Path) -> None:
    write_card(tmp_path / "further", IMAGES)
    write_card(tmp_path / "further", CHAT, name="other", backend="magic")
    registry = made(root, tmp_path / "further")
    assert [found.name for found in registry.deployments] == ["tiny-chat", "tiny-embeddings", "tiny-images"]
    assert [broken.name for broken in registry.broken] == ["other"]
    assert registry.get("tiny-images") in registry.deployments
    with pytest.raises(UnknownModel):
        registry.choose(Route.CHAT, fixed=None, model="gpt-4o")
    aliased = made(root, aliases=(("gpt-4o", "tiny-chat"),))
    assert aliased.choose(Route.CHAT, fixed=None, model="gpt-4o").name == "tiny-chat"
    assert aliased.aliases(registry.get("tiny-chat")) == ("gpt-4o",)
    assert registry.choose(Route.CHAT, fixed="tiny-chat", model=None).name == "tiny-chat"


class Opened(OpenModel):
    """Stands for a running model."""

    def close(self) -> None: ...


@dataclass
class Opener:
    """A fake of a backend's `open`, which waits for its gate and may fail."""

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


async def test_an_effort_variable_that_the_template_lacks_breaks_a_deployment(tmp_path: Path) -> None:
    effort = {"values": ["high"], "template": {"high": {"budget": 9}}}
    write_decoder(tmp_path, name="deaf", card={"extras": {"reasoning_effort": effort}})
    registry = made(tmp_path)
    with pytest.raises(DeploymentBroken, match="the chat template does not mention budget"):
        await registry.open(registry.get("deaf"), patience=60)
    registry.close()


async def test_a_model_goes_on_loading_after_a_request_times_out(root: Path, opener: Opener) -> None:
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
    ("error", "raised", "calls"),
    [(CardError("no graph"), DeploymentBroken, 1), (MemoryError("no room"), MemoryError, 2)],
)
async def test_a_fault_of_the_files_is_final_and_one_of_the_machine_is_retried(
    root: Path, opener: Opener, error: Exception, raised: type[Exception], calls: int
) -> None:
    registry = made(root)
    opener.error = error
    opener.gate.set()
    for _ in range(2):
        with pytest.raises(raised):
            await registry.open(registry.get("tiny-embeddings"), patience=60)
    assert opener.calls == calls
    assert registry.state(registry.get("tiny-embeddings")) == "broken"
    registry.close()


def test_a_default_that_is_no_deployment_is_refused_at_the_start(root: Path) -> None:
    with pytest.raises(InvalidSetting) as refused:
        made(root, defaults=("Tiny-Chat", "gpt-4o"))
    assert str(refused.value) == (
        "INFERENCE_DEFAULT_DEPLOYMENTS: there is no deployment gpt-4o; there are tiny-chat, tiny-embeddings."
    )
    made(root, defaults=("Tiny-Chat",)).close()


def test_providers_that_onnxruntime_lacks_are_refused_at_the_start(root: Path) -> None:
    with pytest.raises(InvalidSetting, match="INFERENCE_PROVIDERS: onnxruntime has no MagicProvider here"):
        made(root, providers=("MagicProvider", "CPUExecutionProvider"))


def test_a_start_clears_away_weights_that_were_not_finished(root: Path, tmp_path: Path) -> None:
    prepared = tmp_path / "cache" / "prepared"
    for name in (".key-0123", ".key-gone", ".busy-4567", "whole"):
        (prepared / name).mkdir(parents=True)
        (prepared / name / "model.onnx").write_bytes(b"weights")
    busy = FileLock(prepared / "busy.writing")
    assert busy.acquire()
    made(root, cache=tmp_path / "cache").close()
    assert {path.name for path in prepared.iterdir() if path.is_dir()} == {".busy-4567", "whole"}
    busy.release()

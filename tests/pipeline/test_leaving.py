"""Clients that hang up while their request waits, wherever that is: what they held is free at once."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from inference.api.http_types import HttpRequest, HttpResponse, resolve
from inference.auth.authority import Authenticator
from inference.backends.loaded_models import ChatModel
from inference.engine.engine import Engine
from inference.pipeline import exchange
from inference.registry import registry
from inference.registry.registry import Registry
from inference.safety.moderator import ModeratorEnsemble
from inference.safety.verdict import FilterChecks, Verdict
from inference.service import Service
from inference.settings import Settings
from tests.backends.remote.upstream import TIMEOUT_SECONDS
from tests.http.scripts import write_script
from tests.http.zoo import LONG, ROUND
from tests.safety.judges import FakeModerator
from tests.support.cancelling import cancel_repeatedly

MESSAGES = [{"role": "user", "content": "Say something."}]
CHAT = "deployments/endless/chat/completions"
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@pytest.fixture(autouse=True)
def watch_closely(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "WATCH_SECONDS", 0.01)


@asynccontextmanager
async def serving(folder: Path, **settings: str) -> AsyncIterator[Service]:
    """Serve a deployment that answers without an end, in one slot with a queue of two."""
    write_script(folder, ROUND, name="endless", context=LONG, loops=True)
    limits = {"INFERENCE_SLOTS": "1", "INFERENCE_QUEUE_LIMIT": "2", "INFERENCE_THREADS": "1"}
    chosen = Settings.from_environment({"INFERENCE_MODELS": str(folder), **limits, **settings})
    made = Service(chosen, Registry(chosen), Authenticator.from_settings(chosen, loopback=True))
    try:
        yield made
    finally:
        await made.aclose()


class Caller:
    """A request whose client can hang up."""

    def __init__(self, service: Service, **body: Any) -> None:
        self.left = asyncio.Event()
        self._body = json.dumps({"messages": MESSAGES, "max_tokens": 50_000, **body}).encode()
        self.answer = asyncio.create_task(self._ask(service))

    async def _ask(self, service: Service) -> HttpResponse:
        async def read(_: int) -> bytes:
            return self._body

        async def gone() -> bool:
            return self.left.is_set()

        return await service.answer(HttpRequest("POST", f"/{CHAT}", resolve(CHAT), {}, {}, read, gone))

    async def status_after_leaving(self) -> int:
        self.left.set()
        async with asyncio.timeout(TIMEOUT_SECONDS):
            return (await self.answer).status


async def until(condition: Callable[[], bool]) -> None:
    """Return when a condition is true that other tasks or threads make so."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while not condition():  # noqa: ASYNC110  threads set no event of the loop
            await asyncio.sleep(0.001)


def engine_of(service: Service) -> Engine:
    (model,) = service.registry._pool.opened
    assert isinstance(model, ChatModel)
    assert isinstance(model.generator, Engine)
    return model.generator


def leases(service: Service) -> int:
    return service.registry._pool._entries["endless"].uses


def others() -> set[asyncio.Task[Any]]:
    return asyncio.all_tasks() - {asyncio.current_task()}


@STREAMED
async def test_a_place_in_the_queue_is_free_for_the_next_caller(tmp_path: Path, stream: bool) -> None:
    async with serving(tmp_path) as service:
        holder = await Caller(service, stream=True).answer
        assert not isinstance(holder.body, bytes)
        await anext(holder.body)
        engine = engine_of(service)
        waiting = [Caller(service, stream=stream) for _ in range(2)]
        await until(lambda: len(engine._waiting) == 2)
        assert (await Caller(service, stream=stream).answer).status == 429
        assert [await caller.status_after_leaving() for caller in waiting] == [499, 499]
        assert (len(engine._streams), len(engine._waiting), leases(service)) == (1, 0, 1)
        await holder.body.aclose()
        assert (len(engine._streams), leases(service)) == (0, 0)
        assert others() == set()


class SlowModerator(FakeModerator):
    """A moderator that never answers, and notes that it was given up."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.given_up = asyncio.Event(), 0

    async def judge(self, text: str, checks: FilterChecks) -> Verdict:
        self.reached.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.given_up += 1
        return await super().judge(text, checks)


@STREAMED
async def test_the_check_of_a_request_is_given_up(tmp_path: Path, stream: bool) -> None:
    rules = tmp_path / "rules.txt"
    rules.write_text("hate 4: rude words")
    settings = {"INFERENCE_CONTENT_SAFETY_BLOCKLIST_FILES": str(rules)}
    async with serving(tmp_path / "models", **settings) as service:
        judge = SlowModerator()
        service.content_filter._ensemble = ModeratorEnsemble([judge])
        caller = Caller(service, stream=stream)
        await judge.reached.wait()
        assert await caller.status_after_leaving() == 499
        assert (judge.given_up, leases(service)) == (1, 0)
        assert others() == set()


@STREAMED
async def test_the_opening_of_a_model_goes_on_without_its_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    opening, may_open, open_model = threading.Event(), threading.Event(), registry._open

    def open_slowly(*arguments: Any) -> Any:
        opening.set()
        assert may_open.wait(TIMEOUT_SECONDS)
        return open_model(*arguments)

    monkeypatch.setattr(registry, "_open", open_slowly)
    async with serving(tmp_path) as service:
        caller = Caller(service, stream=stream)
        await until(opening.is_set)
        assert leases(service) == 1
        assert await caller.status_after_leaving() == 499
        assert leases(service) == 0
        may_open.set()
        await until(lambda: len(service.registry._pool.opened) == 1)
        assert others() == set()


async def test_a_stream_that_no_client_reads_is_closed_with_its_request(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(tmp_path) as service:
        answer = await Caller(service, stream=True).answer
        assert not isinstance(answer.body, bytes)
        assert leases(service) == 1
        with caplog.at_level(logging.INFO, "inference.requests"):
            await answer.body.aclose()
        assert (len(engine_of(service)._streams), leases(service)) == (0, 0)
        assert [
            record.getMessage().split(" -> ")[1].split(" deployment")[0] for record in caplog.records
        ] == ["200 client_gone"]
        assert others() == set()


@pytest.mark.parametrize("read", [0, 1], ids=["unread", "read"])
async def test_a_stream_is_stopped_although_its_reader_is_cancelled_repeatedly(
    tmp_path: Path, read: int
) -> None:
    async with serving(tmp_path) as service:
        body = (await Caller(service, stream=True).answer).body
        assert not isinstance(body, bytes)
        for _ in range(read):
            await anext(body)

        async def read_on() -> None:
            async for _ in body:
                pass

        reader = asyncio.create_task(read_on())
        await asyncio.sleep(0.01)
        await cancel_repeatedly(reader)
        await body.aclose()
        assert (len(engine_of(service)._streams), leases(service)) == (0, 0)
        assert others() == set()


async def test_a_request_that_its_host_cancels_repeatedly_holds_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        caller = Caller(service)
        await until(lambda: bool(service.registry._pool.opened) and bool(engine_of(service)._streams))
        await cancel_repeatedly(caller.answer)
        assert (len(engine_of(service)._streams), leases(service)) == (0, 0)
        assert others() == set()

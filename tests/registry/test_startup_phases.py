"""The phases of a cold start: recorded once, with their seconds and the process's age."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest

from inference.backends.loaded_models import OpenModel
from inference.contracts import Event, Finish, FinishReason, Text, Usage
from inference.registry import registry as registry_module
from inference.registry import startup_phases
from inference.registry.registry import Registry
from inference.registry.startup_phases import FETCH, FIRST_RUN, IMPORT, OPEN, StartupPhases, process_age
from inference.settings import Settings
from inference.settings.machine import MIB
from tests.support.cards import EMBEDDINGS, write_card

EVENTS: list[Event] = [Text("a"), Text("b"), Finish(FinishReason.STOP, Usage(1, 2))]


@pytest.fixture
def ages(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The process's age at each look, the last one repeated: one second a look from 10 s."""
    looks: list[float] = []

    def age() -> float:
        looks.append(10.0 + len(looks))
        return looks[-1]

    monkeypatch.setattr(startup_phases, "process_age", age)
    return looks


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """A clock that shows its only element."""
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    yield now
    monkeypatch.undo()


async def events() -> AsyncGenerator[Event, None]:
    for event in EVENTS:
        yield event


def test_phases_have_their_seconds_and_the_age_at_their_end(ages: list[float], clock: list[float]) -> None:
    phases = StartupPhases()
    phases.record("tiny", FETCH, 1.23456)
    with phases.phase("tiny", IMPORT):
        clock[0] += 0.5
    with phases.phase("tiny", OPEN):
        clock[0] += 2.25
    with phases.phase("tiny", FIRST_RUN):
        clock[0] += 0.125
    assert phases.body() == {
        "import": {"seconds": 10.0},
        "deployments": {
            "tiny": {
                "fetch": {"seconds": 1.235, "at": 11.0},
                "import": {"seconds": 0.5, "at": 12.0},
                "open": {"seconds": 2.25, "at": 13.0},
                "first_run": {"seconds": 0.125, "at": 14.0},
            }
        },
    }


def test_deployments_have_phases_of_their_own(ages: list[float]) -> None:
    phases = StartupPhases()
    phases.record("one", OPEN, 1)
    phases.record("two", OPEN, 2)
    recorded = phases.body()["deployments"]
    assert {name: found["open"]["seconds"] for name, found in recorded.items()} == {"one": 1, "two": 2}


def test_a_phase_that_fails_is_not_recorded_and_a_later_success_is() -> None:
    phases = StartupPhases()

    def fail() -> None:
        with phases.phase("tiny", OPEN):
            raise MemoryError

    with pytest.raises(MemoryError):
        fail()
    assert phases.body()["deployments"] == {}
    with phases.phase("tiny", OPEN):
        pass
    assert phases.body()["deployments"]["tiny"].keys() == {"open"}


def test_a_second_start_of_a_deployment_changes_no_phase_and_adds_none() -> None:
    phases = StartupPhases()
    for name in (IMPORT, OPEN, FIRST_RUN):
        phases.record("tiny", name, 1)
    cold_start = phases.body()
    for name in (FETCH, IMPORT, OPEN, FIRST_RUN):
        phases.record("tiny", name, 9)
    assert phases.body() == cold_start


def test_a_first_run_after_eviction_is_recorded() -> None:
    phases = StartupPhases()
    phases.record("tiny", OPEN, 1)
    phases.record("tiny", OPEN, 9)
    phases.record("tiny", FIRST_RUN, 2)
    recorded = phases.body()["deployments"]["tiny"]
    assert [recorded[name]["seconds"] for name in ("open", "first_run")] == [1, 2]


async def test_the_first_event_of_a_stream_ends_the_first_run() -> None:
    phases = StartupPhases()
    stream = phases.time_first_event("tiny", events())
    assert await anext(stream) == EVENTS[0]
    assert phases.body()["deployments"]["tiny"].keys() == {"first_run"}
    assert [event async for event in stream] == EVENTS[1:]


async def test_the_events_of_a_later_stream_are_returned_as_they_are() -> None:
    phases = StartupPhases()
    phases.record("tiny", FIRST_RUN, 1)
    stream = events()
    assert phases.time_first_event("tiny", stream) is stream
    await stream.aclose()


async def test_a_stream_that_fails_before_its_first_event_records_no_first_run() -> None:
    async def failing() -> AsyncGenerator[Event, None]:
        raise MemoryError
        yield EVENTS[0]  # type: ignore[unreachable]  # makes it a generator

    phases = StartupPhases()
    with pytest.raises(MemoryError):
        await anext(phases.time_first_event("tiny", failing()))
    assert phases.body()["deployments"] == {}


def test_the_age_of_the_process_grows() -> None:
    first = process_age()
    assert 0 < first <= process_age()


class FakeModel(OpenModel):
    """An open model without parts."""

    def close(self) -> None: ...


async def test_opening_again_after_eviction_keeps_the_phases_of_the_cold_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deployments' sizes allow one of them in memory; the second opening of `one` had to fetch it."""
    for name in ("one", "two"):
        write_card(tmp_path, EMBEDDINGS, name=name)
    monkeypatch.setattr(registry_module, "_open", lambda deployment, settings: FakeModel())
    monkeypatch.setattr(registry_module, "estimate_bytes", lambda deployment, settings: 60 * MIB)
    monkeypatch.setattr(registry_module, "resident", lambda: 0)
    registry = Registry(Settings(models=(tmp_path,), memory_mb=100))
    one, two = registry.get("one"), registry.get("two")
    await registry.open(one, patience=60)
    cold_start = registry.health()["start"]["deployments"]["one"]
    assert list(cold_start) == ["import", "open"]

    await registry.open(two, patience=60)
    assert (registry.state(one), registry.state(two)) == ("closed", "open")
    monkeypatch.setattr(registry._containers, "fetch_seconds", lambda deployment: 5.0)
    await registry.open(one, patience=60)
    assert registry.state(one) == "open"
    assert registry.health()["start"]["deployments"]["one"] == cold_start
    registry.close()

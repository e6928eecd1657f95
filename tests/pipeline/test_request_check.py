"""The content filter around one request: work beside its check, and events that wait for the verdict."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeAlias, TypeVar

import pytest

from inference.contracts import Event, Events, Finish, FinishReason, Text, Usage
from inference.errors import ContentFiltered, SafetyUnavailable
from inference.pipeline.request_check import UNCHECKED, RequestCheck
from inference.safety.policy import Decision
from inference.safety.verdict import Verdict
from tests.safety.clock import now, simulate
from tests.safety.judges import FakeModerator, model_events, output_filter_of, spent

PASSED = Decision(Verdict(), blocked=False, results={"hate": {"filtered": False, "severity": "safe"}})
UNJUDGED = Decision(Verdict(failure=SafetyUnavailable("away")), blocked=False, results={"error": {}})
REFUSAL = ContentFiltered("messages", {"hate": {"filtered": True, "severity": "high"}})
STOP = Finish(FinishReason.STOP, Usage(5, 7))
PATIENCE = 10
"""Seconds until a test that hangs is given up."""
Verdicts: TypeAlias = "asyncio.Future[list[Decision]]"
Result = TypeVar("Result")


class Checking:
    """A check that ends when the test says so."""

    def __init__(self, **options: Any) -> None:
        self.verdict: Verdicts = asyncio.get_running_loop().create_future()
        self.task = asyncio.create_task(self._wait())
        self.check = RequestCheck(self.task, **options)

    async def _wait(self) -> list[Decision]:
        return await self.verdict

    async def end(self, outcome: Sequence[Decision] | Exception = (PASSED,)) -> None:
        """End the check, and let every task that waits for it take a step."""
        if isinstance(outcome, Exception):
            self.verdict.set_exception(outcome)
        else:
            self.verdict.set_result(list(outcome))
        await asyncio.wait({self.task})


class Work:
    """Work that notes its start and its end, and is done when the test says so."""

    def __init__(self) -> None:
        self.started, self.cancelled = False, False
        self.start, self.may_end = asyncio.Event(), asyncio.Event()

    async def run(self) -> str:
        self.started = True
        self.start.set()
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return "done"


class Model:
    """Events that note how many of them were asked for, and that they were closed."""

    def __init__(self, *events: Event) -> None:
        self.given, self.closed = 0, False
        self.first = asyncio.Event()
        self._events = events

    async def events(self) -> Events:
        try:
            for event in self._events:
                self.given += 1
                self.first.set()
                yield event
        finally:
            self.closed = True


def others(checking: Checking) -> set[asyncio.Task[Any]]:
    """Return the tasks beside the current one and the check's."""
    return asyncio.all_tasks() - {asyncio.current_task(), checking.task}


async def soon(task: asyncio.Task[Result]) -> Result:
    """Return a task's result, which nothing is left to wait for."""
    return await asyncio.wait_for(task, PATIENCE)


async def shown(events: Events) -> list[Event]:
    return [event async for event in events]


async def instant(result: str = "done") -> str:
    return result


async def failing() -> str:
    raise ValueError("broken")


async def test_without_a_check_work_and_events_are_as_they_are() -> None:
    model = Model(Text("a"), STOP)
    events = model.events()
    assert UNCHECKED.filtered(events, spent) is events
    await events.aclose()
    for wrap in (UNCHECKED.alongside, UNCHECKED.once_passed, UNCHECKED.confirmed):
        assert await wrap(instant()) == "done"
    assert (UNCHECKED.active, UNCHECKED.passed(), UNCHECKED.annotations()) == (False, True, {})


async def test_work_alongside_does_not_wait_for_the_verdict() -> None:
    checking = Checking()
    assert await checking.check.alongside(instant()) == "done"
    assert not checking.task.done()
    assert others(checking) == set()
    await checking.end()


async def test_work_alongside_goes_on_after_the_request_passed() -> None:
    checking, work = Checking(), Work()
    running = asyncio.create_task(checking.check.alongside(work.run()))
    await work.start.wait()
    await checking.end()
    assert not running.done()
    work.may_end.set()
    assert await soon(running) == "done"


@pytest.mark.parametrize("stage", ["alongside", "confirmed"])
async def test_work_is_given_up_when_the_request_is_refused(stage: str) -> None:
    checking, work = Checking(), Work()
    running = asyncio.create_task(getattr(checking.check, stage)(work.run()))
    await work.start.wait()
    await checking.end(REFUSAL)
    with pytest.raises(ContentFiltered):
        await soon(running)
    assert work.cancelled
    assert others(checking) == set()


async def test_a_request_that_was_refused_before_starts_no_work_that_lasts() -> None:
    checking, work = Checking(), Work()
    await checking.end(REFUSAL)
    with pytest.raises(ContentFiltered):
        await checking.check.alongside(work.run())
    assert others(checking) == set()


async def test_a_failure_of_the_work_alongside_is_raised_before_the_verdict() -> None:
    checking = Checking()
    with pytest.raises(ValueError, match="broken"):
        await checking.check.alongside(failing())
    assert not checking.task.done()
    await checking.end()


@pytest.mark.parametrize("stage", ["alongside", "confirmed"])
async def test_cancelled_work_leaves_no_task_and_leaves_the_check_to_its_owner(stage: str) -> None:
    checking, work = Checking(), Work()
    running = asyncio.create_task(getattr(checking.check, stage)(work.run()))
    await work.start.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await soon(running)
    assert work.cancelled
    assert (others(checking), checking.task.cancelled()) == (set(), False)
    await checking.end()


async def test_work_for_another_host_starts_once_the_request_passed() -> None:
    checking, work = Checking(), Work()
    work.may_end.set()
    running = asyncio.create_task(checking.check.once_passed(work.run()))
    await asyncio.sleep(0)
    assert not work.started
    await checking.end()
    assert await soon(running) == "done"


async def test_work_for_another_host_never_starts_after_a_refusal() -> None:
    checking, work = Checking(), Work()
    coroutine: Coroutine[Any, Any, str] = work.run()
    running = asyncio.create_task(checking.check.once_passed(coroutine))
    await checking.end(REFUSAL)
    with pytest.raises(ContentFiltered):
        await soon(running)
    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        coroutine.send(None)
    assert not work.started


async def test_cancelled_before_the_verdict_work_for_another_host_leaves_the_check() -> None:
    checking, work = Checking(), Work()
    running = asyncio.create_task(checking.check.once_passed(work.run()))
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await soon(running)
    assert (work.started, checking.task.cancelled(), others(checking)) == (False, False, set())
    await checking.end()


async def test_confirmed_work_starts_at_once_and_is_returned_once_the_request_passed() -> None:
    checking, work = Checking(), Work()
    work.may_end.set()
    running = asyncio.create_task(checking.check.confirmed(work.run()))
    await work.start.wait()
    for _ in range(5):
        await asyncio.sleep(0)
    assert not running.done()
    await checking.end()
    assert await soon(running) == "done"


async def test_confirmed_work_that_was_done_first_is_withheld_by_a_refusal() -> None:
    checking = Checking()
    running = asyncio.create_task(checking.check.confirmed(instant()))
    await asyncio.sleep(0)
    await checking.end(REFUSAL)
    with pytest.raises(ContentFiltered):
        await soon(running)
    assert others(checking) == set()


async def test_cancelled_before_the_verdict_confirmed_work_leaves_the_check() -> None:
    checking = Checking()
    running = asyncio.create_task(checking.check.confirmed(instant()))
    for _ in range(5):
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await soon(running)
    assert (others(checking), checking.task.cancelled()) == (set(), False)
    await checking.end()


async def test_eager_events_run_beside_the_check_one_event_ahead() -> None:
    checking, model = Checking(), Model(Text("a"), Text("b"), STOP)
    events = checking.check.filtered(model.events(), spent)
    first = asyncio.create_task(anext(events))
    await asyncio.wait_for(model.first.wait(), PATIENCE)
    assert (model.given, first.done()) == (1, False)
    await checking.end()
    assert await soon(first) == Text("a")
    assert await shown(events) == [Text("b"), STOP]
    assert model.closed


async def test_events_of_another_host_start_once_the_request_passed() -> None:
    checking, model = Checking(), Model(Text("a"), STOP)
    events = checking.check.filtered(model.events(), spent, eager=False)
    first = asyncio.create_task(anext(events))
    for _ in range(5):
        await asyncio.sleep(0)
    assert model.given == 0
    await checking.end()
    assert await soon(first) == Text("a")
    assert await shown(events) == [STOP]


@pytest.mark.parametrize("eager", [True, False])
async def test_events_of_a_refused_request_are_closed_and_never_shown(*, eager: bool) -> None:
    checking, model = Checking(), Model(Text("a"), STOP)
    events = checking.check.filtered(model.events(), spent, eager=eager)
    first = asyncio.create_task(anext(events))
    await asyncio.sleep(0)
    await checking.end(REFUSAL)
    with pytest.raises(ContentFiltered):
        await soon(first)
    assert model.given == (1 if eager else 0)
    assert model.closed is eager
    assert others(checking) == set()


@pytest.mark.parametrize("eager", [True, False])
async def test_cancelled_before_the_verdict_events_leave_no_task_and_leave_the_check(*, eager: bool) -> None:
    checking, model = Checking(), Model(Text("a"), STOP)
    events = checking.check.filtered(model.events(), spent, eager=eager)
    first = asyncio.create_task(anext(events))
    for _ in range(3):
        await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await soon(first)
    assert (others(checking), checking.task.cancelled()) == (set(), False)
    assert model.closed is eager
    await checking.end()


async def test_a_silent_model_is_given_up_when_the_request_is_refused() -> None:
    checking, closed = Checking(), asyncio.Event()

    async def silent() -> Events:
        try:
            await asyncio.Event().wait()
            yield STOP
        finally:
            closed.set()

    first = asyncio.create_task(anext(checking.check.filtered(silent(), spent)))
    await asyncio.sleep(0)
    await checking.end(REFUSAL)
    with pytest.raises(ContentFiltered):
        await soon(first)
    assert closed.is_set()
    assert others(checking) == set()


async def test_a_model_without_events_shows_none() -> None:
    checking = Checking()
    await checking.end()
    assert await shown(checking.check.filtered(Model().events(), spent)) == []


@pytest.mark.parametrize("stream", [True, False])
async def test_answers_pass_through_the_output_filter_of_their_form(*, stream: bool) -> None:
    check = RequestCheck(None, output_filter_of(FakeModerator("bad word")), stream=stream)
    assert (check.active, check.passed()) == (True, True)
    assert await shown(check.filtered(Model(Text("good"), STOP).events(), spent)) == [Text("good"), STOP]
    *_, finish = await shown(check.filtered(Model(Text("a bad "), Text("word"), STOP).events(), spent))
    assert finish == Finish(FinishReason.CONTENT_FILTER, STOP.usage)


@pytest.mark.parametrize(("stream", "first"), [(True, "before"), (False, "after")])
def test_a_stream_is_shown_while_its_model_goes_on_and_a_whole_answer_at_its_end(
    first: str, *, stream: bool
) -> None:
    async def first_second() -> float:
        check = RequestCheck(None, output_filter_of(FakeModerator()), stream=stream)
        events = check.filtered(
            model_events(["good " * 60, "end"], every=lambda number: 100.0 * number), spent
        )
        await anext(events)
        seconds = now()
        await events.aclose()
        return seconds

    assert ("before" if simulate(first_second()) < 100 else "after") == first


async def test_a_request_has_passed_only_with_a_verdict_that_lets_it() -> None:
    passing, refused, given_up = Checking(), Checking(), Checking()
    assert [one.check.passed() for one in (passing, refused, given_up)] == [False] * 3
    await passing.end()
    await refused.end(REFUSAL)
    given_up.task.cancel()
    await asyncio.wait({given_up.task})
    assert [one.check.passed() for one in (passing, refused, given_up)] == [True, False, False]
    assert passing.check.active
    assert refused.task.exception() is REFUSAL


async def test_annotations_are_one_entry_a_prompt_where_they_are_wanted() -> None:
    checking = Checking(annotate=True)
    assert checking.check.annotations() == {}
    await checking.end([PASSED, PASSED])
    assert checking.check.annotations() == {
        "prompt_filter_results": [
            {"prompt_index": 0, "content_filter_results": PASSED.results},
            {"prompt_index": 1, "content_filter_results": PASSED.results},
        ]
    }


async def test_unwanted_annotations_are_left_out_unless_a_prompt_was_not_judged() -> None:
    judged, unjudged = Checking(), Checking()
    await judged.end([PASSED])
    await unjudged.end([PASSED, UNJUDGED])
    assert judged.check.annotations() == {}
    assert unjudged.check.annotations() == {
        "prompt_filter_results": [
            {"prompt_index": 0, "content_filter_results": PASSED.results},
            {"prompt_index": 1, "content_filter_results": {"error": {}}},
        ]
    }


async def test_a_request_without_texts_has_no_annotations() -> None:
    checking = Checking(annotate=True)
    await checking.end([])
    assert checking.check.annotations() == {}

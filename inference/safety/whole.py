"""Answers that are sent whole are judged whole, once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing

from inference.contracts import Event, Events, Finish, Usage
from inference.safety.event_buffer import EventBuffer
from inference.safety.output_filter import OutputFilter, blocked


async def filter_whole(events: Events, watch: OutputFilter, spent: Callable[[], Usage]) -> Events:
    """The events when their text passes; else nothing of them but a `Finish` that says content_filter.

    `spent` is the usage so far. Raises `SafetyUnavailable` when nobody could judge.
    """
    held, finish = EventBuffer(), None
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Finish):
                finish = event
            else:
                held.push(event)
    judgement = await watch.judge(held.text)
    ending: tuple[Event, ...]
    if judgement.blocked:
        ending = blocked(judgement, finish.usage if finish else spent())
    elif failure := watch.fails(judgement):
        raise failure
    else:
        ending = (*held.take(len(held.text)), *watch.notes(judgement.verdict), *([finish] if finish else []))
    for event in ending:
        yield event

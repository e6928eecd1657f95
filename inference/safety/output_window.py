"""The filter of streams: text is checked window by window, and none is sent before its verdict.

A check covers the new text and enough of the text before it to understand it. Of the text that passed, the
last characters are held back until they were checked together with the text after them: a phrase of up to one
character more than these is never sent in part, wherever the windows cut it. Characters written as escapes of
JSON count as those that they stand for. One check runs while the model goes on; on a block the model is
stopped at once.

In the asynchronous mode, which the operator chooses, text is sent first, and findings follow with the offsets
of the characters they are about.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import aclosing

from inference.cancellation import cancel
from inference.contracts import Event, Events, FilterResult, Finish, Text, Usage
from inference.safety.event_buffer import EventBuffer, event_text
from inference.safety.json_escapes import BACKSLASH, holdback_offset
from inference.safety.output_filter import (
    MAX_FIRST_RETRY_AFTER,
    MAX_RETRY_AFTER,
    OutputFilter,
    blocked_ending,
    failed_ending,
)
from inference.safety.policy import Decision
from inference.safety.text_splitting import MAX_CHARACTERS
from inference.safety.verdict import Verdict


async def filter_stream(
    events: Events, output_filter: OutputFilter, usage_so_far: Callable[[], Usage]
) -> Events:
    """Yield the events as they pass.

    The stream ends early with `Finish(CONTENT_FILTER)` when a text does not pass or could not be checked; the
    `FilterResult` before it says which.
    """
    stream = _Stream(output_filter, usage_so_far)
    async with aclosing(events):
        model = asyncio.create_task(stream.receive(events))
        model.add_done_callback(lambda _: stream.wake.set())
        try:
            while not stream.ending:
                await stream.wake.wait()
                stream.wake.clear()
                for event in stream.advance(model):
                    yield event
        finally:
            await stream.stop(model)
    for event in stream.ending:
        yield event


class _Stream:
    """The state of one stream: events received, checked and sent. Offsets count characters."""

    def __init__(self, output_filter: OutputFilter, usage_so_far: Callable[[], Usage]) -> None:
        self.wake = asyncio.Event()
        """Set when there may be something to do."""
        self.ending: tuple[Event, ...] = ()
        """The last events, once no other can come."""
        self._filter = output_filter
        self._timing = output_filter.timing
        self._usage_so_far = usage_so_far
        self._buffer = EventBuffer()
        self._finish: Finish | None = None
        self._checked = 0
        """The offset up to which text was checked."""
        self._releases = [0]
        """The offsets up to which text was released, rising, none of them inside an escape."""
        self._windows = 0
        self._total = Verdict()
        self._check: asyncio.Task[Decision] | None = None
        self._span = (0, 0)
        """The start and end of the text that the running check covers."""
        self._timer: asyncio.TimerHandle | None = None
        self._overdue = False
        self._unread = 0.0
        self._unread_at = 0.0

    async def receive(self, events: Events) -> None:
        """Buffer the model's events as they come."""
        async for event in events:
            if isinstance(event, Finish):
                self._finish = event
                break
            self._buffer.push(event)
            self._start_timer()
            if self._filter.asynchronous or (self._check is None and self._is_due(ended=False)):
                self.wake.set()

    def advance(self, model: asyncio.Task[None]) -> Iterator[Event]:
        """Yield the events that may be sent now, and start the next check. Raises the model's errors."""
        ended = model.done()
        if self._filter.asynchronous:
            yield from self._buffer.take(len(self._buffer.text))
        if self._check is not None and self._check.done():
            decision, self._check = self._check.result(), None
            yield from self._apply(decision, ended=ended)
        if ended and not self.ending:
            model.result()
        if self._check is None and not self.ending:
            if self._is_due(ended=ended):
                self._start_check()
            elif ended:
                self.ending = self._end()

    async def stop(self, model: asyncio.Task[None]) -> None:
        """Cancel the timer, the running check and the model."""
        if self._timer is not None:
            self._timer.cancel()
        await cancel(*(task for task in (model, self._check) if task is not None))

    def _is_due(self, *, ended: bool) -> bool:
        unchecked = len(self._buffer.text) - self._checked
        if ended or unchecked <= 0:
            return unchecked > 0
        if unchecked >= self._timing.window(self._windows, limited=self._filter.ensemble.limited):
            return True
        # Text that would be checked now and held back anyway can wait for more.
        return self._overdue and len(self._buffer.text) > self._timing.holdback

    def _start_check(self) -> None:
        text, released = self._buffer.text, self._releases[-1]
        # Many escapes, of which few characters become, can be held back for longer than one request has room.
        end = min(len(text), max(released + MAX_CHARACTERS, self._checked + self._timing.record))
        start = max(0, min(released, end - self._timing.record))
        if BACKSLASH in text[start:end]:
            start = next(offset for offset in self._releases if offset >= start)
        self._span = (start, end)
        self._stop_timer()
        patience = MAX_RETRY_AFTER if self._windows or not self._filter.withholds else MAX_FIRST_RETRY_AFTER
        self._check = asyncio.create_task(self._filter.judge(text[start:end], patience=patience))
        self._check.add_done_callback(lambda _: self.wake.set())

    def _apply(self, decision: Decision, *, ended: bool) -> Iterator[Event]:
        """Yield the events that a decision lets pass, or set the ending of the stream."""
        usage = self._finish.usage if self._finish else self._usage_so_far()
        if self._filter.asynchronous:
            yield from self._located_result(decision)
        if decision.blocked:
            self.ending = blocked_ending(decision, usage)
        elif failure := self._filter.blocking_failure(decision):
            self.ending = failed_ending(failure, usage)
        else:
            self._total |= decision.verdict
            self._checked = self._span[1]
            self._windows += 1
            yield from self._release(decision, ended=ended)
            self._start_timer()

    def _release(self, decision: Decision, *, ended: bool) -> Iterator[Event]:
        whole = ended and self._checked == len(self._buffer.text)
        offset = self._checked if whole else self._passed(self._checked)
        self._releases.append(offset)
        if events := self._buffer.take(offset):
            self._unread = self._count_unread() + sum(len(event_text(event)) for event in events)
            yield from self._filter.annotations(decision.verdict)
            yield from events

    def _passed(self, checked: int) -> int:
        """Return the offset up to which text may be sent, of a text checked up to an offset."""
        last = self._releases[-1]
        return last + holdback_offset(self._buffer.text[last:checked], self._timing.holdback)

    def _located_result(self, decision: Decision) -> Iterator[Event]:
        start, end = self._span
        checked = end if self._finish else self._passed(end)
        offsets = {"check_offset": checked, "start_offset": start, "end_offset": end}
        yield FilterResult(decision.results, offsets)
        yield Text("")

    def _end(self) -> tuple[Event, ...]:
        """Return the last events of a stream that was checked to its end."""
        rest = self._buffer.take(len(self._buffer.text))
        finish = [self._finish] if self._finish else []
        return (*rest, *self._filter.annotations(self._total), *finish)

    def _start_timer(self) -> None:
        waiting = len(self._buffer.text) > self._checked
        if waiting and self._timer is None and self._check is None and not self._overdue:
            limited = self._filter.ensemble.limited
            seconds = self._timing.wait_seconds(self._count_unread(), limited=limited)
            self._timer = asyncio.get_running_loop().call_later(seconds, self._expire)

    def _count_unread(self) -> float:
        """Return the characters sent that a reader has not reached yet."""
        now = asyncio.get_running_loop().time()
        read = (now - self._unread_at) * self._timing.reading
        self._unread, self._unread_at = max(self._unread - read, 0.0), now
        return self._unread

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._overdue = None, False

    def _expire(self) -> None:
        self._timer, self._overdue = None, True
        self.wake.set()

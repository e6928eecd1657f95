"""Streams are judged window by window, and no text leaves before its verdict.

A check's text is what is new and enough of what was before it to understand it. Of what passed, the last
characters stay back until they were judged together with what follows them: a phrase up to one character
longer than these is never half shown, wherever the windows cut it. One check is under way while the model
goes on; on a block the model is stopped at once.

In the asynchronous mode, which the operator chooses, text is shown first, and what is found is told with the
places of the characters it is about.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import aclosing

from inference.contracts import Event, Events, FilterResult, Finish, Text, Usage
from inference.safety.event_buffer import EventBuffer, text_of
from inference.safety.output_filter import OutputFilter, blocked, withheld
from inference.safety.policy import Decision
from inference.safety.text_splitting import LIMIT
from inference.safety.verdict import Verdict


async def filter_stream(events: Events, watch: OutputFilter, spent: Callable[[], Usage]) -> Events:
    """The events as they pass. It ends early with `Finish(CONTENT_FILTER)` when a text does not pass, and
    when nobody could judge: the `FilterResult` before it says which. `spent` is the usage so far.
    """
    stream = _Stream(watch, spent)
    async with aclosing(events):
        filling = asyncio.create_task(stream.fill(events))
        filling.add_done_callback(lambda _: stream.wake.set())
        try:
            while not stream.ending:
                await stream.wake.wait()
                stream.wake.clear()
                for event in stream.advance(filling):
                    yield event
        finally:
            await stream.stop(filling)
    for event in stream.ending:
        yield event


class _Stream:
    """One stream on its way: what came, what was judged, what was shown. Places count characters."""

    def __init__(self, watch: OutputFilter, spent: Callable[[], Usage]) -> None:
        self.wake = asyncio.Event()
        """Set when there may be something to do."""
        self.ending: tuple[Event, ...] = ()
        """The last events, once nothing else can come."""
        self._watch = watch
        self._spent = spent
        self._held = EventBuffer()
        self._finish: Finish | None = None
        self._judged = 0
        self._windows = 0
        self._total = Verdict()
        self._check: asyncio.Task[Decision] | None = None
        self._span = (0, 0)
        """What the check under way is about."""
        self._timer: asyncio.TimerHandle | None = None
        self._overdue = False
        self._unread = 0.0
        self._unread_at = 0.0

    async def fill(self, events: Events) -> None:
        """Takes the model's events as they come."""
        async for event in events:
            if isinstance(event, Finish):
                self._finish = event
                break
            self._held.push(event)
            self._start_timer()
            if self._watch.asynchronous or (self._check is None and self._is_due(ended=False)):
                self.wake.set()

    def advance(self, filling: asyncio.Task[None]) -> Iterator[Event]:
        """What may be shown now; begins the next check. Raises what the model raised."""
        ended = filling.done()
        if self._watch.asynchronous:
            yield from self._held.take(len(self._held.text))
        if self._check is not None and self._check.done():
            judgement, self._check = self._check.result(), None
            yield from self._after(judgement, ended=ended)
        if ended and not self.ending:
            filling.result()
        if self._check is None and not self.ending:
            if self._is_due(ended=ended):
                self._begin()
            elif ended:
                self.ending = self._end()

    async def stop(self, filling: asyncio.Task[None]) -> None:
        """Ends what is under way, the model included."""
        if self._timer is not None:
            self._timer.cancel()
        running = [task for task in (filling, self._check) if task is not None]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _is_due(self, *, ended: bool) -> bool:
        waiting, pace = len(self._held.text) - self._judged, self._watch.pace
        if ended or waiting <= 0:
            return waiting > 0
        if waiting >= pace.window(self._windows, limited=self._watch.ensemble.limited):
            return True
        # What would be judged now and held back anyway can wait for more.
        return self._overdue and len(self._held.text) > pace.hold

    def _begin(self) -> None:
        text, pace = self._held.text, self._watch.pace
        known = max(self._judged - pace.hold, 0)
        end = min(len(text), known + LIMIT)
        start = max(0, min(known, end - pace.record))
        self._span = (start, end)
        self._stop_timer()
        self._check = asyncio.create_task(self._watch.judge(text[start:end], patient=True))
        self._check.add_done_callback(lambda _: self.wake.set())

    def _after(self, judgement: Decision, *, ended: bool) -> Iterator[Event]:
        """What a verdict lets out, or how it ends the stream."""
        usage = self._finish.usage if self._finish else self._spent()
        if self._watch.asynchronous:
            yield from self._told(judgement)
        if judgement.blocked:
            self.ending = blocked(judgement, usage)
        elif failure := self._watch.fails(judgement):
            self.ending = withheld(failure, usage)
        else:
            self._total |= judgement.verdict
            self._judged = self._span[1]
            self._windows += 1
            yield from self._let_out(judgement, ended=ended)
            self._start_timer()

    def _let_out(self, judgement: Decision, *, ended: bool) -> Iterator[Event]:
        everything = ended and self._judged == len(self._held.text)
        out = self._held.take(self._judged if everything else self._judged - self._watch.pace.hold)
        if out:
            self._unread = self._left_to_read() + sum(len(text_of(event)) for event in out)
            yield from self._watch.notes(judgement.verdict)
            yield from out

    def _told(self, judgement: Decision) -> Iterator[Event]:
        start, end = self._span
        checked = end if self._finish else max(end - self._watch.pace.hold, 0)
        offsets = {"check_offset": checked, "start_offset": start, "end_offset": end}
        yield FilterResult(judgement.results, offsets)
        yield Text("")

    def _end(self) -> tuple[Event, ...]:
        """Everything was judged, and the model has ended."""
        rest = self._held.take(len(self._held.text))
        finish = [self._finish] if self._finish else []
        return (*rest, *self._watch.notes(self._total), *finish)

    def _start_timer(self) -> None:
        waits = len(self._held.text) > self._judged
        if waits and self._timer is None and self._check is None and not self._overdue:
            limited = self._watch.ensemble.limited
            seconds = self._watch.pace.patience(self._left_to_read(), limited=limited)
            self._timer = asyncio.get_running_loop().call_later(seconds, self._ring)

    def _left_to_read(self) -> float:
        """Characters shown that a reader has not come to yet."""
        now = asyncio.get_running_loop().time()
        read = (now - self._unread_at) * self._watch.pace.reading
        self._unread, self._unread_at = max(self._unread - read, 0.0), now
        return self._unread

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._overdue = None, False

    def _ring(self) -> None:
        self._timer, self._overdue = None, True
        self.wake.set()

"""The content filter around one request: its check, and the answer that waits for the verdict."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from typing import Any, TypeVar

from inference.cancellation import cancel
from inference.contracts import Events, Usage
from inference.safety.output_filter import OutputFilter, filter_whole
from inference.safety.output_window import filter_stream
from inference.safety.policy import Decision

Result = TypeVar("Result")


class RequestCheck:
    """The check of one request, and the filter of its answer. Made by `ContentFilter.check`."""

    def __init__(
        self,
        check: asyncio.Task[list[Decision]] | None = None,
        output: OutputFilter | None = None,
        *,
        stream: bool = False,
        annotate: bool = False,
    ) -> None:
        self._check = check
        self._output = output
        self._stream = stream
        self._annotate = annotate

    async def alongside(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Return the work's result; give the work up as soon as the request is refused."""
        if self._check is None:
            return await work
        task = asyncio.create_task(work)
        try:
            await asyncio.wait({task, self._check}, return_when=asyncio.FIRST_COMPLETED)
            if self._check.done():
                self._check.result()
            return await task
        finally:
            await cancel(task)

    async def once_passed(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Return the result of work that starts once the request passed, as it sends it to another host."""
        if self._check is None:
            return await work
        try:
            await asyncio.shield(self._check)
        except BaseException:
            work.close()
            raise
        return await work

    async def confirmed(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Return the work's result once the request passed as well."""
        result = await self.alongside(work)
        if self._check is not None:
            await asyncio.shield(self._check)
        return result

    def filtered(self, events: Events, usage: Callable[[], Usage], *, eager: bool = True) -> Events:
        """Return a choice's events, judged on their way and held until the request passed.

        They run from the start if `eager`, else once the request passed: for events of another host.
        """
        if self._check is not None:
            events = (_held_back if eager else _started_later)(events, self._check)
        if self._output is None:
            return events
        judge = filter_stream if self._stream else filter_whole
        return judge(events, self._output, usage)

    @property
    def active(self) -> bool:
        """True if an answer waits for the filter or passes through it."""
        return self._check is not None or self._output is not None

    def passed(self) -> bool:
        """Return True once the request was judged and may be answered."""
        check = self._check
        return check is None or (check.done() and not check.cancelled() and check.exception() is None)

    def answers_silence(self) -> bool:
        """Return True if the silence before the first event may be answered with 200.

        Not while a failure of the filter would still be a refusal: neither before the request passed, nor
        where text waits for a verdict.
        """
        return self.passed() and (self._output is None or not self._output.withholds)

    def annotations(self) -> dict[str, Any]:
        """Return the annotations of the request; none unless they are wanted or it was not judged."""
        decisions = self._check.result() if self._check is not None and self.passed() else []
        if not (self._annotate or any(decision.verdict.failure for decision in decisions)):
            return {}
        results = [
            {"prompt_index": index, "content_filter_results": decision.results}
            for index, decision in enumerate(decisions)
        ]
        return {"prompt_filter_results": results} if results else {}


UNCHECKED = RequestCheck()
"""The check of a request that is not filtered."""


async def _held_back(events: Events, check: asyncio.Task[list[Decision]]) -> Events:
    """Run from the start and yield once the check passed. Raises the refusal of the check."""
    async with aclosing(events):
        first = asyncio.create_task(anext(events, None))
        try:
            await asyncio.shield(check)
            event = await first
        finally:
            await cancel(first)
        if event is not None:
            yield event
        async for event in events:
            yield event


async def _started_later(events: Events, check: asyncio.Task[list[Decision]]) -> Events:
    """Run once the check passed. Raises the refusal of the check."""
    async with aclosing(events):
        await asyncio.shield(check)
        async for event in events:
            yield event

"""How a request and its answer wait for the content filter."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from typing import Any, TypeVar

from inference.contracts import Events, Usage
from inference.safety.output_filter import OutputFilter, filter_whole
from inference.safety.output_window import filter_stream
from inference.safety.policy import Decision

Result = TypeVar("Result")


class RequestCheck:
    """What is asked about one request, and how its answer waits for that. Made by `ContentFilter.inquiry`."""

    def __init__(
        self,
        check: asyncio.Task[list[Decision]] | None = None,
        watch: OutputFilter | None = None,
        *,
        stream: bool = False,
        annotate: bool = False,
    ) -> None:
        self._check = check
        self._watch = watch
        self._stream = stream
        self._annotate = annotate

    async def beside(self, work: Coroutine[Any, Any, Result]) -> Result:
        """The work's result; gives the work up as soon as the request is refused."""
        if self._check is None:
            return await work
        task = asyncio.create_task(work)
        try:
            await asyncio.wait({task, self._check}, return_when=asyncio.FIRST_COMPLETED)
            if self._check.done():
                self._check.result()
            return await task
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})

    async def before(self, work: Coroutine[Any, Any, Result]) -> Result:
        """The work's result; it begins when the request passed, for work that shows it to somebody else."""
        if self._check is None:
            return await work
        try:
            await asyncio.shield(self._check)
        except BaseException:
            work.close()
            raise
        return await work

    async def after(self, work: Coroutine[Any, Any, Result]) -> Result:
        """The work's result, once the request passed as well."""
        result = await self.beside(work)
        if self._check is not None:
            await asyncio.shield(self._check)
        return result

    def guard(self, events: Events, spent: Callable[[], Usage], *, eager: bool = True) -> Events:
        """A choice's events: begun at once, given when the request passed, judged on their way.

        Unless `eager` they begin when the request passed, for those that show it to somebody else.
        """
        if self._check is not None:
            events = (_held if eager else _later)(events, self._check)
        if self._watch is None:
            return events
        judged = filter_stream if self._stream else filter_whole
        return judged(events, self._watch, spent)

    @property
    def guards(self) -> bool:
        """Whether there is anything to do for answers."""
        return self._check is not None or self._watch is not None

    def passed(self) -> bool:
        """Whether the request was judged and may be answered."""
        check = self._check
        return check is None or (check.done() and not check.cancelled() and check.exception() is None)

    def notes(self) -> dict[str, Any]:
        """What the answer says of the request: nothing, unless it is asked for or was not judged."""
        judgements = self._check.result() if self._check is not None and self.passed() else []
        if not (self._annotate or any(judgement.verdict.failure for judgement in judgements)):
            return {}
        results = [
            {"prompt_index": index, "content_filter_results": judgement.results}
            for index, judgement in enumerate(judgements)
        ]
        return {"prompt_filter_results": results} if results else {}


UNCHECKED = RequestCheck()
"""Of a request that nobody judges."""


async def _held(events: Events, check: asyncio.Task[list[Decision]]) -> Events:
    """Begins to run at once; gives nothing before the check passed. Raises what the check raises."""
    async with aclosing(events):
        first = asyncio.create_task(anext(events, None))
        try:
            await asyncio.shield(check)
            event = await first
        finally:
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
        if event is not None:
            yield event
        async for event in events:
            yield event


async def _later(events: Events, check: asyncio.Task[list[Decision]]) -> Events:
    """Begins to run when the check passed. Raises what the check raises."""
    async with aclosing(events):
        await asyncio.shield(check)
        async for event in events:
            yield event

"""Server-sent events as the narrowest client reads them, and the pace of a stream.

azure-ai-inference takes exactly `data: `, one line of JSON, and an empty line, with LF alone: no comments, no
`event:` lines, no CRLF. Silence is therefore filled with chunks that say nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, TypeVar, cast

import orjson

DONE = b"data: [DONE]\n\n"

END = object()

Item = TypeVar("Item")


class StreamBroken(Exception):
    """Raised inside a response body after an error chunk was sent: the server cuts the connection, which is
    the only sign of failure that every client understands once the status is out."""


def event(body: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(body) + b"\n\n"


def error_event(code: str, message: str) -> bytes:
    """The last event of a stream that failed; it has `choices`, because clients read them of every chunk."""
    return event({"error": {"code": code, "message": message}, "choices": []})


async def paced(items: AsyncGenerator[Item, None], seconds: float) -> AsyncGenerator[Item | None, None]:
    """The items as they come, and None whenever `seconds` passed without one. Closes `items` at its end."""
    waiting: asyncio.Task[Item | object] | None = None
    try:
        while True:
            waiting = waiting or asyncio.create_task(_next(items))
            done, _ = await asyncio.wait({waiting}, timeout=seconds)
            if not done:
                yield None
                continue
            item, waiting = waiting.result(), None
            if item is END:
                return
            yield cast(Item, item)
    finally:
        if waiting is not None:
            waiting.cancel()
            await asyncio.wait({waiting})
        await items.aclose()


async def _next(items: AsyncGenerator[Item, None]) -> Item | object:
    return await anext(items, END)

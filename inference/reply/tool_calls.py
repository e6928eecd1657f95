"""Text in which a model writes calls of tools becomes the calls.

A dialect is how a family of models writes them: a class that reads text piece by piece. To add one, write its
class in a file here and give it a row in `DIALECTS`.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from types import MappingProxyType
from typing import Protocol, TypeAlias

from inference.contracts import Event, Events, Finish, FinishReason, Text, ToolCallStart
from inference.reply.hermes import Hermes

NewId: TypeAlias = Callable[[], str]

ALPHABET = string.ascii_letters + string.digits


class Reader(Protocol):
    """Reads an answer in a dialect: gives `Text` and calls, and loses nothing that is not a call."""

    def push(self, text: str, /) -> Sequence[Event]:
        """What is certain with this piece of the answer."""
        ...

    def flush(self) -> Sequence[Event]:
        """What was held back, at the answer's end."""
        ...


Dialect: TypeAlias = Callable[[Collection[str], NewId], Reader]
"""A reader of calls of the tools of these names."""

DIALECTS: Mapping[str, Dialect] = MappingProxyType({"hermes": Hermes})


def new_id() -> str:
    """`call_` and 24 random letters and digits, as OpenAI writes them."""
    return "call_" + "".join(secrets.choice(ALPHABET) for _ in range(24))


async def tool_calls(
    events: Events, dialect: Dialect, offered: Collection[str], new_id: NewId = new_id
) -> Events:
    """Takes `Text`; gives `Text`, and `ToolCallStart` and `ToolCallArguments` for each call.

    A `Finish` with the reason stop gets the reason tool_calls when there was at least one; one cut by its
    length stays so. Other events pass where they stand.
    """
    reader, called = dialect(offered, new_id), False
    async with aclosing(events):
        async for event in events:
            for part in _read(reader, event):
                called = called or isinstance(part, ToolCallStart)
                yield part
            if isinstance(event, Finish):
                yield _finish(event, called=called)


def _read(reader: Reader, event: Event) -> Sequence[Event]:
    match event:
        case Text(text):
            return reader.push(text)
        case Finish():
            return reader.flush()
        case _:
            return [event]


def _finish(finish: Finish, *, called: bool) -> Finish:
    if called and finish.reason is FinishReason.STOP:
        return Finish(FinishReason.TOOL_CALLS, finish.usage)
    return finish

"""What a dialect is: how one family of models writes calls of tools."""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from inference.contracts import Event

ALPHABET = string.ascii_letters + string.digits

NewId: TypeAlias = Callable[[], str]
TokenId: TypeAlias = Callable[[str], int | None]
"""The id of the token that is written exactly so, None where the model has none."""


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool that may be called; `parameters` is the JSON Schema of its arguments, None for any object."""

    name: str
    parameters: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ParsedCall:
    """A call of the past; `arguments` are text where what the model wrote was no JSON object."""

    name: str
    arguments: Mapping[str, Any] | str


class CallReader(Protocol):
    """Reads an answer: gives `Text` and calls, and loses nothing that is not a call.

    Wherever the answer is cut into pieces, the same text and the same calls come out.
    """

    @property
    def held(self) -> int:
        """How many characters of what was pushed are not decided yet."""
        ...

    @property
    def ended(self) -> int:
        """How many calls are complete."""
        ...

    def push(self, text: str, /) -> Sequence[Event]:
        """What is certain with this piece of the answer."""
        ...

    def flush(self) -> Sequence[Event]:
        """What was held back, at the answer's end."""
        ...


class ForceCalls(Protocol):
    """Writes the grammar of an answer that is nothing but calls."""

    def __call__(self, tools: Sequence[ToolSpec], *, parallel: bool, token_id: TokenId) -> str:
        """Lark's notation as `contracts.Grammar.LARK` says, its whole answer the rule `start`.

        One call of one of the tools, or with `parallel` one or more.
        """
        ...


def call_id() -> str:
    """`call_` and 24 random letters and digits, as OpenAI writes them."""
    return "call_" + drawn(24)


def drawn(length: int) -> str:
    """Random letters and digits."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def as_it_is(known: str) -> str:
    return known


@dataclass(frozen=True, slots=True)
class ToolFormat:
    """A family's way of writing calls, everything that the stages need to know of it."""

    read: Callable[[Collection[str], NewId], CallReader]
    """A reader of calls of the tools of these names."""
    force: ForceCalls
    write: Callable[[Sequence[ParsedCall]], str]
    """Calls of the past as the model wrote them, for chat templates that cannot."""
    markers: tuple[str, ...] = ()
    """Tokens that are part of the answer's text though the tokenizer may call them special."""
    new_id: NewId = call_id
    own_id: Callable[[str], str] = as_it_is
    """What the family's chat templates take for the id of a call of the past; equal ids stay equal."""

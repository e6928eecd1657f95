"""The interface of a tool format: how one family of models writes tool calls."""

from __future__ import annotations

import json
import secrets
import string
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from inference.contracts import Event, Text

ALPHABET = string.ascii_letters + string.digits
"""The characters of a call's id."""

NewId: TypeAlias = Callable[[], str]
"""Makes the id of a new call."""
TokenId: TypeAlias = Callable[[str], int | None]
"""Looks up the id of the token with exactly this text, None where the model has no such token."""


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool that may be called; `parameters` is the JSON Schema of its arguments, None for any object."""

    name: str
    parameters: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ParsedCall:
    """A call in the conversation's history; `arguments` that were no JSON object stay the text they were."""

    name: str
    arguments: Mapping[str, Any] | str

    def to_json(self, arguments_key: str) -> str:
        """Return the JSON object of the call, its arguments under `arguments_key`.

        Arguments that are text stand in it unquoted, as the model once wrote them.
        """
        arguments = self.arguments
        text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
        return f'{{"name": {json.dumps(self.name)}, {json.dumps(arguments_key)}: {text}}}'


class CallReader(Protocol):
    """An incremental parser of one answer: text in, `Text` and tool-call events out.

    All text that is not part of a call comes out again as it is, and the same text and calls come out however
    the answer is cut into pieces.
    """

    @property
    def pending(self) -> int:
        """The number of characters pushed that are not decided yet."""
        ...

    @property
    def completed_calls(self) -> int:
        """The number of calls whose arguments are complete."""
        ...

    def push(self, text: str, /) -> Sequence[Event]:
        """Return the events that are certain with this piece of the answer."""
        ...

    def flush(self, *, cut: bool = False) -> Sequence[Event]:
        """Return the events of the text still pending, at the answer's end.

        Where the answer was `cut`, a call that has begun is no text: it is left out, or starts if its name is
        complete, and so is text that may be the start of a mark.
        """
        ...


class CallGrammar(Protocol):
    """A builder of the grammar of an answer that is nothing but calls."""

    def __call__(self, tools: Sequence[ToolSpec], *, parallel: bool, token_id: TokenId) -> str:
        """Return a grammar as `contracts.Grammar.LARK` describes it, the whole answer its rule `start`.

        The answer is one call of one of the tools, or with `parallel` one or more calls.
        """
        ...


def random_id(length: int) -> str:
    """Return random letters and digits."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def new_call_id() -> str:
    """Return `call_` and 24 random letters and digits, the form of OpenAI's ids."""
    return "call_" + random_id(24)


def same_id(call_id: str) -> str:
    """Return the id unchanged."""
    return call_id


@dataclass(frozen=True, slots=True)
class ToolFormat:
    """A family's format of tool calls: everything that the other stages use of it."""

    read: Callable[[Collection[str], NewId], CallReader]
    """Makes a reader of one answer, for calls of the tools with these names."""
    grammar: CallGrammar
    write: Callable[[Sequence[ParsedCall]], str]
    """Formats calls of the history as the model writes them, for chat templates that cannot."""
    heads: Callable[[Sequence[str]], tuple[str, ...]]
    """Returns the texts of which one starts each answer of the grammar, for tools with these names."""
    markers: tuple[str, ...] = ()
    """Tokens that belong to the answer's text even where the tokenizer lists them as special."""
    optional_mark: str = ""
    """A mark that can stand before calls which start without one, empty where calls always have one."""
    new_id: NewId = new_call_id
    template_id: Callable[[str], str] = same_id
    """Maps a call's id to one that the family's chat templates accept; equal ids stay equal."""


class HeldCallReader:
    """A reader that knows from the grammar that an answer is calls, or decides it by the answer's start.

    A form is text from its first character to its last, whatever its strings contain. An answer cut inside a
    call has no text: a mark or a name that is not complete is left out.
    """

    def __init__(self, calls: CallReader, heads: Sequence[str] = ()) -> None:
        """Take the reader of calls, and the texts of which one starts them; none where calls must come."""
        self._calls = calls
        self._heads = tuple(heads)
        self._start = ""
        """The text so far, while it is not decided yet."""
        self._is_call: bool | None = None if heads else True

    @property
    def pending(self) -> int:
        return len(self._start) + self._calls.pending

    @property
    def completed_calls(self) -> int:
        return self._calls.completed_calls

    def push(self, text: str) -> Sequence[Event]:
        if self._is_call is None:
            text = self._decide(text)
        if not text:
            return []
        return self._calls.push(text) if self._is_call else [Text(text)]

    def flush(self, *, cut: bool = False) -> Sequence[Event]:
        if self._is_call is None:
            return [] if cut or not self._start else [Text(self._start)]
        return self._calls.flush(cut=True) if self._is_call else []

    def _decide(self, text: str) -> str:
        """Return the text that is due: all so far once it is decided, else none."""
        self._start += text
        start = self._start.lstrip()
        if any(start.startswith(head) for head in self._heads):
            self._is_call = True
        elif any(head.startswith(start) for head in self._heads):
            return ""
        else:
            self._is_call = False
        due, self._start = self._start, ""
        return due

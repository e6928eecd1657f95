"""Reasoning: the text between a model's reasoning tags, separated from the answer and counted.

Only the start of an answer is searched for the opening tag; a tag further on is text. A chat template may
have written the tag already, then the answer starts inside.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from enum import Enum, auto

from inference.contracts import Event, Events, Finish, Reasoning, Text, Token
from inference.output.logprobs import PieceLogprobBuffer
from inference.tool_formats.json_scanner import partial_match


class ReasoningPosition(Enum):
    """The position in an answer of its next character."""

    BEFORE = auto()
    """Before any reasoning: the answer is white space so far."""
    INSIDE = auto()
    """Between the tags."""
    GAP = auto()
    """In the white space that follows the closing tag."""
    AFTER = auto()
    """In the text that follows the reasoning."""
    WITHOUT = auto()
    """In an answer without reasoning."""


class ReasoningParser:
    """An incremental parser that separates an answer into `Reasoning` and `Text`, however it is cut.

    The tags, and the white space inside them and after the closing one, are left out. With `verbatim` all of
    that is kept as `Reasoning`, preceded by `opened`.
    """

    def __init__(self, opening: str, closing: str, *, opened: str = "", verbatim: bool = False) -> None:
        """Start before the reasoning, or inside it where the prompt opens it.

        `opened` is the end of such a prompt from the opening tag on, else empty.
        """
        self._opening, self._closing, self._verbatim = opening, closing, verbatim
        self.position = ReasoningPosition.INSIDE if opened else ReasoningPosition.BEFORE
        self._buffer = ""
        self._has_reasoning = False
        self._events: list[Event] = []
        self._prefix = opened if verbatim else ""

    @property
    def pending(self) -> int:
        """The number of characters pushed that are not decided yet."""
        return len(self._buffer)

    def push(self, text: str) -> list[Event]:
        """Return the events that are certain with this piece of the answer."""
        self._buffer += text
        if self._prefix:
            self._events.append(Reasoning(self._prefix))
            self._prefix = ""
        while self._advance():
            pass
        return self._take_events()

    def flush(self) -> list[Event]:
        """Return the events of the text still pending, at the answer's end."""
        if self.position is ReasoningPosition.INSIDE:
            self._emit_reasoning(self._buffer if self._verbatim else self._buffer.rstrip())
        elif self._buffer and self.position is not ReasoningPosition.GAP:
            self._events.append(Text(self._buffer))
        self._buffer = ""
        return self._take_events()

    def _advance(self) -> bool:
        """Parse the start of the buffer; return True if more can follow without further text."""
        match self.position:
            case ReasoningPosition.BEFORE:
                return self._before()
            case ReasoningPosition.INSIDE:
                return self._inside()
            case ReasoningPosition.GAP:
                self._buffer = self._buffer.lstrip()
                self.position = ReasoningPosition.AFTER if self._buffer else ReasoningPosition.GAP
                return bool(self._buffer)
        if self._buffer:
            self._events.append(Text(self._buffer))
        self._buffer = ""
        return False

    def _before(self) -> bool:
        start = self._buffer.lstrip()
        if start.startswith(self._opening):
            self._consume_tag(len(self._buffer) - len(start) + len(self._opening))
            self.position = ReasoningPosition.INSIDE
            return True
        if self._opening.startswith(start):
            return False
        self.position = ReasoningPosition.WITHOUT
        return True

    def _inside(self) -> bool:
        end = self._buffer.find(self._closing)
        if end < 0:
            certain = self._buffer[: len(self._buffer) - partial_match(self._buffer, self._closing)]
            certain = certain if self._verbatim else certain.rstrip()
            self._emit_reasoning(certain)
            self._buffer = self._buffer[len(certain) :]
            return False
        last = self._buffer[:end]
        self._emit_reasoning(last if self._verbatim else last.rstrip())
        self._buffer = self._buffer[end:]
        self._consume_tag(len(self._closing))
        self.position = ReasoningPosition.AFTER if self._verbatim else ReasoningPosition.GAP
        return True

    def _emit_reasoning(self, text: str) -> None:
        if not self._verbatim and not self._has_reasoning:
            text = text.lstrip()
        if text:
            self._has_reasoning = True
            self._events.append(Reasoning(text))

    def _consume_tag(self, end: int) -> None:
        """Remove the tag that ends at `end` from the buffer."""
        if self._verbatim:
            self._events.append(Reasoning(self._buffer[:end]))
        self._buffer = self._buffer[end:]

    def _take_events(self) -> list[Event]:
        events, self._events = self._events, []
        return events


UNDECIDED = (ReasoningPosition.BEFORE, ReasoningPosition.INSIDE)
"""Positions whose next token may be part of the reasoning."""


class ReasoningCounter:
    """A counter of the tokens of an answer's reasoning, its tags included."""

    def __init__(self, parser: ReasoningParser) -> None:
        """Start with a parser of its own, ahead of the one in `reasoning`: stop strings come between them."""
        self.tokens = 0
        self._parser = parser
        self._pending = 0
        """Tokens since the last that is known to be reasoning."""

    async def count(self, events: Events) -> Events:
        """Yield the events unchanged: `Token`s and the `Text` that each completes."""
        async with aclosing(events):
            async for event in events:
                self._note(event)
                yield event

    def _note(self, event: Event) -> None:
        if self._parser.position not in UNDECIDED:
            return
        if isinstance(event, Token):
            self._pending += 1
            return
        if isinstance(event, Text):
            self._parser.push(event.text)
        if self._parser.position not in (ReasoningPosition.BEFORE, ReasoningPosition.WITHOUT):
            self.tokens, self._pending = self.tokens + self._pending, 0


async def separate_reasoning(events: Events, parser: ReasoningParser, tokens: Callable[[], int]) -> Events:
    """Yield the events with `Text` separated into `Reasoning` and `Text`.

    `tokens` returns the number of reasoning tokens, for the usage in the `Finish`.
    """
    scores = PieceLogprobBuffer()
    async with aclosing(events):
        async for event in events:
            match event:
                case Text(text):
                    scores.push(event)
                    for part in scores.attach(parser.push(text), parser.pending):
                        yield part
                case Finish(reason, usage):
                    for part in scores.attach(parser.flush(), 0):
                        yield part
                    yield Finish(reason, replace(usage, reasoning_tokens=tokens()))
                case _:
                    yield event


async def inline_reasoning(events: Events) -> Events:
    """Yield the events with `Reasoning` as `Text`, for versions of the API that have no field for it."""
    async with aclosing(events):
        async for event in events:
            yield Text(event.text) if isinstance(event, Reasoning) else event


async def tag_reasoning(events: Events, opening: str, closing: str) -> Events:
    """Yield as `inline`, with tags put around reasoning that comes without them."""
    inside = False
    async with aclosing(events):
        async for event in events:
            match event:
                case Reasoning(text):
                    yield Text(text if inside else opening + text)
                    inside = True
                case Text(""):
                    yield event  # carries only the scores of reasoning
                case _:
                    if inside:
                        yield Text(closing)
                    inside = False
                    yield event

"""What a model thinks before it answers is parted from the answer.

Only the begin of an answer is searched for the opening tag; a tag further on is text. A chat template may
have opened it already, then the answer begins inside.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from enum import Enum, auto

from inference.contracts import Event, Events, Finish, Reasoning, Text, Token
from inference.output.logprobs import LogprobBuffer
from inference.tool_formats.json_scanner import overlap


class ReasoningPosition(Enum):
    """Where in an answer the next character stands."""

    BEFORE = auto()
    """Nothing but white space has been said."""
    INSIDE = auto()
    GAP = auto()
    """Behind the closing tag, and nothing but white space since."""
    BEHIND = auto()
    """In the answer, after thoughts."""
    WITHOUT = auto()
    """In an answer without thoughts."""


class ReasoningParser:
    """Parts a text that comes piece by piece into `Reasoning` and `Text`, wherever the pieces are cut.

    The tags and the white space inside them and behind are left out. `verbatim` keeps them, all of it as
    `Reasoning`, and gives `begun` first.
    """

    def __init__(self, opening: str, closing: str, *, begun: str = "", verbatim: bool = False) -> None:
        """`begun` is the end of the prompt from the opening tag on, empty where it has none."""
        self._opening, self._closing, self._verbatim = opening, closing, verbatim
        self.place = ReasoningPosition.INSIDE if begun else ReasoningPosition.BEFORE
        self._buffer = ""
        self._thought = False
        self._events: list[Event] = []
        self._prefix = begun if verbatim else ""

    @property
    def held(self) -> int:
        """How many characters of what was pushed are not decided yet."""
        return len(self._buffer)

    def push(self, text: str) -> list[Event]:
        """What is certain with this piece of the answer."""
        self._buffer += text
        if self._prefix:
            self._events.append(Reasoning(self._prefix))
            self._prefix = ""
        while self._advance():
            pass
        return self._taken()

    def flush(self) -> list[Event]:
        """What was held back, at the answer's end."""
        if self.place is ReasoningPosition.INSIDE:
            self._think(self._buffer if self._verbatim else self._buffer.rstrip())
        elif self._buffer and self.place is not ReasoningPosition.GAP:
            self._events.append(Text(self._buffer))
        self._buffer = ""
        return self._taken()

    def _advance(self) -> bool:
        """Reads what stands at the begin of the buffer; whether more may follow."""
        match self.place:
            case ReasoningPosition.BEFORE:
                return self._before()
            case ReasoningPosition.INSIDE:
                return self._inside()
            case ReasoningPosition.GAP:
                self._buffer = self._buffer.lstrip()
                self.place = ReasoningPosition.BEHIND if self._buffer else ReasoningPosition.GAP
                return bool(self._buffer)
        if self._buffer:
            self._events.append(Text(self._buffer))
        self._buffer = ""
        return False

    def _before(self) -> bool:
        begin = self._buffer.lstrip()
        if begin.startswith(self._opening):
            self._think_tag(len(self._buffer) - len(begin) + len(self._opening))
            self.place = ReasoningPosition.INSIDE
            return True
        if self._opening.startswith(begin):
            return False
        self.place = ReasoningPosition.WITHOUT
        return True

    def _inside(self) -> bool:
        end = self._buffer.find(self._closing)
        if end < 0:
            thought = self._buffer[: len(self._buffer) - overlap(self._buffer, self._closing)]
            thought = thought if self._verbatim else thought.rstrip()
            self._think(thought)
            self._buffer = self._buffer[len(thought) :]
            return False
        thought = self._buffer[:end]
        self._think(thought if self._verbatim else thought.rstrip())
        self._buffer = self._buffer[end:]
        self._think_tag(len(self._closing))
        self.place = ReasoningPosition.BEHIND if self._verbatim else ReasoningPosition.GAP
        return True

    def _think(self, text: str) -> None:
        if not self._verbatim and not self._thought:
            text = text.lstrip()
        if text:
            self._thought = True
            self._events.append(Reasoning(text))

    def _think_tag(self, count: int) -> None:
        if self._verbatim:
            self._events.append(Reasoning(self._buffer[:count]))
        self._buffer = self._buffer[count:]

    def _taken(self) -> list[Event]:
        events, self._events = self._events, []
        return events


class ReasoningCounter:
    """Counts the tokens of what a model thinks, its tags included."""

    def __init__(self, thinking: ReasoningParser) -> None:
        """`thinking` reads the same text as the stage does, ahead of it."""
        self.tokens = 0
        self._thinking = thinking
        self._waiting = 0
        """Tokens of which it is not known yet."""

    async def count(self, events: Events) -> Events:
        """Takes `Token`s and the `Text` that each completes; gives the events as they are."""
        async with aclosing(events):
            async for event in events:
                self._note(event)
                yield event

    def _note(self, event: Event) -> None:
        before = self._thinking.place
        if before not in (ReasoningPosition.BEFORE, ReasoningPosition.INSIDE):
            return
        match event:
            case Token():
                self._waiting += 1
            case Text(text):
                self._thinking.push(text)
        if self._thinking.place not in (
            ReasoningPosition.BEFORE,
            ReasoningPosition.WITHOUT,
        ) and not isinstance(event, Token):
            self.tokens, self._waiting = self.tokens + self._waiting, 0


async def reasoning(events: Events, thinking: ReasoningParser, tokens: Callable[[], int]) -> Events:
    """Takes `Text`; gives `Reasoning`, then `Text`. `tokens` tells how many of them were thoughts, for the
    usage in the `Finish`. Other events pass."""
    scores = LogprobBuffer()
    async with aclosing(events):
        async for event in events:
            match event:
                case Text(text):
                    scores.push(event)
                    for part in scores.attached(thinking.push(text), thinking.held):
                        yield part
                case Finish(reason, usage):
                    for part in scores.attached(thinking.flush(), 0):
                        yield part
                    yield Finish(reason, replace(usage, reasoning_tokens=tokens()))
                case _:
                    yield event


async def tagged(events: Events, opening: str, closing: str) -> Events:
    """As `inline`, for thoughts that come without the tags which a model writes around them."""
    inside = False
    async with aclosing(events):
        async for event in events:
            match event:
                case Reasoning(text):
                    yield Text(text if inside else opening + text)
                    inside = True
                case Text(""):
                    yield event  # no more than the scores of what is thought
                case _:
                    if inside:
                        yield Text(closing)
                    inside = False
                    yield event


async def inline(events: Events) -> Events:
    """Takes `Reasoning`; gives it as `Text`, for callers whose version of the API has no word for it."""
    async with aclosing(events):
        async for event in events:
            yield Text(event.text) if isinstance(event, Reasoning) else event

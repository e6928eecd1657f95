"""A queue of events that wait for a verdict, and the text that they make."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace

from inference.contracts import Event, Reasoning, Text, ToolCallArguments
from inference.safety.text_splitting import character_boundary

TextEvent = Text | Reasoning | ToolCallArguments
REPEATED = 512
"""Characters of a channel that are repeated where it goes on after another."""


def event_text(event: Event) -> str:
    """Return the text of an event, empty for events without any."""
    match event:
        case Text(text) | Reasoning(text):
            return text
        case ToolCallArguments(_, arguments):
            return arguments
    return ""


class EventBuffer:
    """Events in their sequence over one text.

    The content, the reasoning before it and the arguments of each tool call follow one another in the text,
    separated by a line break. A channel that goes on after another, as with calls whose pieces alternate, is
    preceded by its last characters, because its reader sees it in one piece. Offsets count code points.
    """

    def __init__(self) -> None:
        self.text = ""
        self._events: deque[tuple[int, Event]] = deque()
        """Events, each with the offset at which its text ends."""
        self._channel: object = None
        self._ends: dict[object, str] = {}
        """The last characters of each channel."""

    def push(self, event: Event) -> None:
        """Append an event and its text."""
        if piece := event_text(event):
            channel = _channel(event)
            end = self._ends.get(channel, "")
            if self._channel not in (None, channel):
                self.text += "\n" + end
            self._channel = channel
            self._ends[channel] = (end + piece)[-REPEATED:]
            self.text += piece
        self._events.append((len(self.text), event))

    def take(self, limit: int) -> list[Event]:
        """Remove and return the events up to an offset, or up to the last character boundary before it.

        Neighbouring events of one kind are joined.
        """
        limit = character_boundary(self.text, limit)
        return list(_join(self._pop(limit)))

    def _pop(self, limit: int) -> Iterator[Event]:
        while self._events and self._events[0][0] <= limit:
            yield self._events.popleft()[1]
        if self._events:
            end, event = self._events[0]
            count = limit - (end - len(event_text(event)))
            if count > 0:
                yield _cut(event, slice(count))
                self._events[0] = end, _cut(event, slice(count, None))


def _channel(event: Event) -> object:
    match event:
        case ToolCallArguments(index):
            return ToolCallArguments, index
        case Text(refusal=refusal):
            return Text, refusal
    return type(event)


def _cut(event: Event, part: slice) -> Event:
    """Return a part of an event; log probabilities go with the last part, as they cover the whole text."""
    match event:
        case Text(text, scores):
            return replace(event, text=text[part], scores=scores if part.stop is None else ())
        case Reasoning(text):
            return Reasoning(text[part])
        case ToolCallArguments():
            return replace(event, arguments=event.arguments[part])
    return event


def _join(events: Iterator[Event]) -> Iterator[Event]:
    """Yield one event for neighbours of one kind, so that a window's text is sent in one piece."""
    last: Event | None = None
    for event in events:
        if last is not None and _same_channel(last, event):
            last = _concatenate(last, event)
            continue
        if last is not None:
            yield last
        last = event
    if last is not None:
        yield last


def _same_channel(one: Event, other: Event) -> bool:
    return isinstance(one, TextEvent) and type(one) is type(other) and _channel(one) == _channel(other)


def _concatenate(one: Event, other: Event) -> Event:
    match one, other:
        case Text(text, scores), Text(more, more_scores):
            return replace(one, text=text + more, scores=scores + more_scores)
        case Reasoning(text), Reasoning(more):
            return Reasoning(text + more)
        case ToolCallArguments(_, text), ToolCallArguments(_, more):
            return replace(one, arguments=text + more)
    return one

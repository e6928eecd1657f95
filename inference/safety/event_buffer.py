"""Events that wait to be judged, and the text they make."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace

from inference.contracts import Event, Reasoning, Text, ToolCallArguments
from inference.safety.text_splitting import border

Spoken = Text | Reasoning | ToolCallArguments


def text_of(event: Event) -> str:
    """What a reader could read of an event."""
    match event:
        case Text(text) | Reasoning(text):
            return text
        case ToolCallArguments(_, arguments):
            return arguments
    return ""


class EventBuffer:
    """What is said, in order: a queue of events over one text.

    The answer, what was thought before it and the arguments of each call stand in the text one after the
    other, with a line break where one ends and the next begins. Places count its code points.
    """

    def __init__(self) -> None:
        self.text = ""
        self._events: deque[tuple[int, Event]] = deque()
        """Each with the place where its text ends."""
        self._channel: object = None

    def push(self, event: Event) -> None:
        """Adds an event behind the others."""
        if piece := text_of(event):
            channel = _channel(event)
            if self._channel not in (None, channel):
                self.text += "\n"
            self._channel = channel
            self.text += piece
        self._events.append((len(self.text), event))

    def take(self, limit: int) -> list[Event]:
        """The events up to a place, or to the last border of characters before it; joined where alike."""
        limit = border(self.text, limit)
        return list(_joined(self._taken(limit)))

    def _taken(self, limit: int) -> Iterator[Event]:
        while self._events and self._events[0][0] <= limit:
            yield self._events.popleft()[1]
        if self._events:
            end, event = self._events[0]
            count = limit - (end - len(text_of(event)))
            if count > 0:
                yield _cut(event, slice(count))
                self._events[0] = end, _cut(event, slice(count, None))


def _channel(event: Event) -> object:
    return (type(event), event.index) if isinstance(event, ToolCallArguments) else type(event)


def _cut(event: Event, part: slice) -> Event:
    """Log probabilities stay with the last part: they tell what the whole text is."""
    match event:
        case Text(text, scores):
            return Text(text[part], scores if part.stop is None else ())
        case Reasoning(text):
            return Reasoning(text[part])
        case ToolCallArguments():
            return replace(event, arguments=event.arguments[part])
    return event


def _joined(events: Iterator[Event]) -> Iterator[Event]:
    """One event for neighbours of one kind: a window's text leaves in one piece."""
    last: Event | None = None
    for event in events:
        if last is not None and _alike(last, event):
            last = _with(last, event)
            continue
        if last is not None:
            yield last
        last = event
    if last is not None:
        yield last


def _alike(one: Event, other: Event) -> bool:
    return isinstance(one, Spoken) and type(one) is type(other) and _channel(one) == _channel(other)


def _with(one: Event, other: Event) -> Event:
    match one, other:
        case Text(text, scores), Text(more, others):
            return Text(text + more, scores + others)
        case Reasoning(text), Reasoning(more):
            return Reasoning(text + more)
        case ToolCallArguments(_, text), ToolCallArguments(_, more):
            return replace(one, arguments=text + more)
    return one

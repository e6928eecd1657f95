"""What tools do: names to build from, parameters, questions that need them, and what they find."""

from __future__ import annotations

from dataclasses import dataclass

from training.chat import slots, values
from training.chat.slots import Slot

Results = tuple[tuple[str, Slot], ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """A kind of tool. Questions name its slots {0}, {1}, ...; `finds` are its result's keys and values."""

    verbs: tuple[str, ...]
    nouns: tuple[str, ...]
    meaning: str
    slots: tuple[Slot, ...]
    questions: tuple[str, ...]
    finds: Results


SKY = Slot((), "string", slots.listed(values.WEATHER), "")
DEGREES = Slot((), "integer", slots.whole(0, 40), "")
PRICE = Slot((), "integer", slots.whole(2, 999), "")
SMALL = Slot((), "integer", slots.whole(1, 60), "")
STATUS = Slot(
    (), "string", slots.listed(("sent", "open", "done", "waiting", "ready", "closed", "lost", "paid")), ""
)
NAME = Slot((), "string", slots.listed(values.NAMES, 0.5), "")
GET = ("get", "fetch", "lookup", "find", "read", "query", "check", "show", "retrieve")

"""The nouns of the training text: message, exchange, dialogue, and the two sides of the hold-out."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

Message = dict[str, Any]
"""A chat message as the API carries it: role, content, and for tools tool_calls or tool_call_id."""

Tool = dict[str, Any]
"""A tool definition as the API carries it: {"type": "function", "function": {...}}."""


class Split(Enum):
    """TRAIN text is learnt; HELD_OUT text is made of phrasings, names and numbers that TRAIN never shows."""

    TRAIN = "train"
    HELD_OUT = "held-out"


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question with its one right answer; `brief` and `french` are for system messages that want them."""

    skill: str
    question: str
    answer: str
    brief: str = ""
    french: str = ""

    @property
    def short(self) -> str:
        return self.brief or self.answer


@dataclass(frozen=True, slots=True)
class Dialogue:
    """Messages to learn from. Every assistant message is learnt; evaluation asks for the last one only."""

    skill: str
    messages: list[Message]
    tools: list[Tool] = field(default_factory=list)


def user(text: str) -> Message:
    return {"role": "user", "content": text}


def assistant(text: str) -> Message:
    return {"role": "assistant", "content": text}


def system(text: str) -> Message:
    return {"role": "system", "content": text}

"""What has been said, and what is sent of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Message = Mapping[str, str]


@dataclass(slots=True)
class Conversation:
    """The turns so far; `options` are parameters of every request."""

    system: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    turns: list[Message] = field(default_factory=list)

    def asking(self, text: str) -> Mapping[str, Any]:
        """The body that asks for an answer to `text` after all that was said."""
        instruction = [{"role": "system", "content": self.system}] if self.system else []
        return {"messages": [*instruction, *self.turns, _user(text)], **self.options}

    def answered(self, text: str, answer: str) -> None:
        """Keeps a question and its answer; one without an answer is forgotten."""
        if answer:
            self.turns += [_user(text), {"role": "assistant", "content": answer}]

    def reset(self) -> None:
        """Forgets the turns; the system message stays."""
        self.turns.clear()


def _user(text: str) -> Message:
    return {"role": "user", "content": text}

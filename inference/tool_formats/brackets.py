"""Where JSON text that comes character by character stands in its strings and brackets."""

from __future__ import annotations


class Brackets:
    """`depth` counts the objects and arrays that are open, `quoted` says whether a string is."""

    def __init__(self) -> None:
        self.depth = 0
        self.quoted = False
        self._escaped = False

    def step(self, character: str) -> None:
        """Takes the next character, of valid JSON or not."""
        if self._escaped:
            self._escaped = False
        elif character == '"':
            self.quoted = not self.quoted
        elif self.quoted:
            self._escaped = character == "\\"
        elif character in "{[":
            self.depth += 1
        elif character in "}]":
            self.depth -= 1

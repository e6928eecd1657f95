"""Bicep's tokens, and object literals as Python values.

An expression that is no literal stays text, as an `Expr`. What is not understood raises, so that no test
passes on a file that was half read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

TOKEN = re.compile(
    r"(?P<comment>//[^\n]*)|(?P<string>'(?:\\.|\$\{[^}]*\}|[^'\\\n])*')|(?P<space>[ \t]+)|(?P<line>\n)"
    r"|(?P<word>[\w$]+)|(?P<open>[\[{(])|(?P<close>[\]})])|(?P<mark>=>|\?\?|\|\||&&|[=!<>]=|.)",
)
OPERATORS = ("?", ":", "??", "||", "&&", "==", "!=", "+", "-", "*", "/", "<", ">", "=>")


class Expr(str):
    """An expression that is no literal."""


Value: TypeAlias = Any
"""`str`, `int`, `bool`, `None`, `list`, `dict` or `Expr`."""
Token: TypeAlias = tuple[str, str]


def unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1])


@dataclass(slots=True)
class Reader:
    """Walks over tokens; spaces and comments are not among them."""

    tokens: Sequence[Token]
    at: int = 0

    @classmethod
    def over(cls, text: str) -> Reader:
        found = ((match.lastgroup or "", match.group()) for match in TOKEN.finditer(text))
        return cls([token for token in found if token[0] not in ("comment", "space")])

    def peek(self, kind: str = "", text: str = "") -> bool:
        found = self.tokens[self.at] if self.at < len(self.tokens) else ("end", "")
        return (not kind or found[0] == kind) and (not text or found[1] == text)

    def take(self, text: str = "") -> str:
        kind, found = self.tokens[self.at]
        assert not text or found == text, f"expected {text!r}, found {found!r} ({kind}) at {self.at}"
        self.at += 1
        return found

    def lines(self) -> None:
        while self.peek("line"):
            self.at += 1

    def value(self) -> Value:
        """A literal where the expression is one and ends there, else its text."""
        if self.peek("open", "{") or (self.peek("open", "[") and self.tokens[self.at + 1][1] != "for"):
            return self.object() if self.peek(text="{") else self.array()
        start = self.at
        self.skip_expression()
        return literal(self.tokens[start : self.at])

    def skip_expression(self) -> None:
        """To the end of an expression: a line's end, unless the next line begins with an operator."""
        while not (self.peek("close") or self.peek("mark", ",") or self.peek("end")):
            if self.peek("line"):
                here = self.at
                self.lines()
                if not (self.peek("mark") and self.tokens[self.at][1] in OPERATORS):
                    self.at = here
                    return
            elif self.peek("open"):
                self.skip_group()
            else:
                self.at += 1

    def skip_group(self) -> None:
        depth = 0
        while True:
            depth += self.peek("open") - self.peek("close")
            self.at += 1
            if depth == 0:
                return

    def rest(self) -> str:
        """The text of what is left of an expression."""
        start = self.at
        self.skip_expression()
        return "".join(token for kind, token in self.tokens[start : self.at] if kind != "line")

    def object(self) -> dict[str, Value]:
        found = {}
        self.take("{")
        for _ in self.items("}"):
            key = self.take()
            self.take(":")
            found[unquoted(key) if key.startswith("'") else key] = self.value()
        return found

    def array(self) -> list[Value]:
        self.take("[")
        return [self.value() for _ in self.items("]")]

    def items(self, closing: str) -> Iterator[None]:
        """Stops before every item, and after the closing bracket."""
        while True:
            while self.peek("line") or self.peek("mark", ","):
                self.at += 1
            if self.peek("close", closing):
                self.at += 1
                return
            yield


def literal(tokens: Sequence[Token]) -> Value:
    text = "".join(" " if kind == "line" else token for kind, token in tokens)
    if text in ("true", "false", "null"):
        return {"true": True, "false": False, "null": None}[text]
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    if len(tokens) == 1 and tokens[0][0] == "string" and "${" not in text:
        return unquoted(text)
    return Expr(text)

"""The page on structured output says what the code does."""

from __future__ import annotations

import re

from inference.engine.grammar import MAX_CACHED_GRAMMARS
from inference.engine.grammar_compiler import MAX_CHARACTERS
from inference.prompt.json_schema import (
    FORMATS,
    MAX_COUNTS,
    MAX_DIGITS,
    MAX_EXACT_INTEGER,
    MAX_REPEATS,
    SUPPORTED,
    UNSUPPORTED,
)
from inference.settings import PROJECT

PAGE = (PROJECT / "docs" / "structured-output.md").read_text(encoding="utf-8")


def quoted(line: str) -> list[str]:
    return re.findall(r"`([^`]+)`", line)


def line_of(start: str) -> str:
    """Return the line that starts so, with those that it is wrapped over."""
    lines = PAGE[PAGE.index(f"\n{start}") + 1 :].split("\n")
    ends = next(index for index, line in enumerate(lines[1:], 1) if not line or line.startswith("- "))
    return " ".join(lines[:ends])


def test_the_keywords_of_the_page_are_those_of_the_code() -> None:
    for what, group in zip(("any type", "objects", "arrays", "texts", "numbers"), SUPPORTED, strict=True):
        assert quoted(line_of(f"- {what}:")) == list(group)
    assert quoted(line_of("`format` knows"))[1:] == sorted(FORMATS)
    assert set(quoted(line_of("`contains`, `dependencies`"))) == UNSUPPORTED


def test_the_numbers_of_the_page_are_those_of_the_code() -> None:
    assert f"more than {MAX_REPEATS} repetitions" in PAGE
    assert f"- a schema of more than {MAX_CHARACTERS} characters, {MAX_COUNTS['schemas']} schemas" in PAGE
    assert f"{MAX_COUNTS['properties']} properties, {MAX_COUNTS['enum']} `enum` values or" in PAGE
    assert f"{MAX_COUNTS['patternProperties']} `patternProperties` in all" in PAGE
    assert (MAX_EXACT_INTEGER, MAX_DIGITS) == (2**53, 4)
    assert f"kept for the next {MAX_CACHED_GRAMMARS - 1} that differ" in PAGE

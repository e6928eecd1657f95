"""How much at a text's end may still become a mark."""

from __future__ import annotations


def overlap(text: str, mark: str) -> int:
    """The length of the longest end of the text that begins the mark and is not all of it."""
    return max(length for length in range(len(mark)) if text.endswith(mark[:length]))

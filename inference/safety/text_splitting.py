"""Texts split and packed to the size of one check, and cut only at the boundaries of characters."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

MAX_CHARACTERS = 10_000
"""The most code points of one request to Azure AI Content Safety."""
OVERLAP = 256
"""Characters that neighbouring pieces share: twice the longest item of a blocklist."""
SEPARATOR = "\n\n"
"""The separator of texts that are checked together."""

LONGEST_CHARACTER = 1_024
"""Code points of one user-perceived character, at most; Unicode's stream-safe format allows 30 marks."""
EXTENDING = ("Mn", "Me", "Mc")
"""General categories that belong to the character before them (UAX 29, Extend and SpacingMark)."""
JOINERS = "\N{ZERO WIDTH JOINER}"
ALSO_EXTENDING = (
    (0x200C, 0x200D),  # zero width non-joiner, joiner
    (0xFF9E, 0xFF9F),  # halfwidth katakana sound marks
    (0x1F3FB, 0x1F3FF),  # skin tones
    (0xE0020, 0xE007F),  # tags of subdivision flags
)
REGIONAL = (0x1F1E6, 0x1F1FF)
"""Regional indicators, of which two make a flag."""
HANGUL = ((0x1100, 0x11FF), (0xA960, 0xA97C), (0xAC00, 0xD7FB))
"""Hangul syllables and the jamo that compose them."""


def split_text(text: str, limit: int = MAX_CHARACTERS, overlap: int = OVERLAP) -> Iterator[str]:
    """Yield overlapping pieces of at most `limit` characters; no phrase up to `overlap` is cut in all."""
    for start in range(0, max(len(text) - overlap, 1), limit - overlap):
        yield text[start : start + limit]


def pack_texts(texts: Sequence[str], limit: int = MAX_CHARACTERS) -> Iterator[list[int]]:
    """Yield the indices of neighbouring texts that fit into one check; a text over the limit is alone."""
    group: list[int] = []
    size = 0
    for index, text in enumerate(texts):
        if group and size + len(text) > limit:
            yield group
            group, size = [], 0
        group.append(index)
        size += len(text) + len(SEPARATOR)
    if group:
        yield group


def character_boundary(text: str, limit: int) -> int:
    """Return the last offset up to `limit` between two user-perceived characters, 0 if there is none.

    Follows the rules of UAX 29 as far as general categories show them. Where these are too coarse the cut
    comes earlier, never inside a character; but a run without a boundary that is longer than any character
    (`LONGEST_CHARACTER`) is cut at `limit`, so that a text of joiners costs no more than another.
    """
    if limit >= len(text):
        return len(text)
    for offset in range(limit, max(limit - LONGEST_CHARACTER, 0), -1):
        if _is_boundary(text, offset):
            return offset
    return 0 if limit <= LONGEST_CHARACTER else limit


def _is_boundary(text: str, offset: int) -> bool:
    before, after = text[offset - 1], text[offset]
    if _extends(after) or before in JOINERS or (before == "\r" and after == "\n"):
        return False
    if _within(after, REGIONAL) and _within(before, REGIONAL):
        return _regional_indicators_before(text, offset) % 2 == 0
    return not (_is_hangul(before) and _is_hangul(after) and not _separate_syllables(before, after))


def _extends(character: str) -> bool:
    return unicodedata.category(character) in EXTENDING or any(
        _within(character, pair) for pair in ALSO_EXTENDING
    )


def _within(character: str, pair: tuple[int, int]) -> bool:
    return pair[0] <= ord(character) <= pair[1]


def _regional_indicators_before(text: str, offset: int) -> int:
    count = 0
    while count < min(offset, LONGEST_CHARACTER) and _within(text[offset - count - 1], REGIONAL):
        count += 1
    return count


def _is_hangul(character: str) -> bool:
    return any(_within(character, pair) for pair in HANGUL)


def _separate_syllables(before: str, after: str) -> bool:
    """Return True if the second Hangul character is a whole syllable or begins one."""
    begins = _within(after, (0x1100, 0x115F)) or _within(after, (0xA960, 0xA97C))
    leading = _within(before, (0x1100, 0x115F)) or _within(before, (0xA960, 0xA97C))
    return (begins or _within(after, (0xAC00, 0xD7A3))) and not leading

"""Texts in pieces that who judges can take, and pieces of text that end between characters."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

LIMIT = 10_000
"""The most code points of one request to Azure AI Content Safety."""
OVERLAP = 256
"""Characters that neighbouring pieces share: twice the longest item of a blocklist."""
JOINT = "\n\n"
"""Between texts that are judged together."""

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
"""Letters of which two make a flag."""
HANGUL = ((0x1100, 0x11FF), (0xA960, 0xA97C), (0xAC00, 0xD7FB))
"""Syllables and what they are made of."""


def split(text: str, limit: int = LIMIT, overlap: int = OVERLAP) -> Iterator[str]:
    """Pieces of at most `limit` characters that overlap, so that nothing short is cut in all of them."""
    for start in range(0, max(len(text) - overlap, 1), limit - overlap):
        yield text[start : start + limit]


def pack(texts: Sequence[str], limit: int = LIMIT) -> Iterator[list[int]]:
    """Neighbours, by their places, that fit into one request together; one that is too long stands alone."""
    group: list[int] = []
    size = 0
    for place, text in enumerate(texts):
        if group and size + len(text) > limit:
            yield group
            group, size = [], 0
        group.append(place)
        size += len(text) + len(JOINT)
    if group:
        yield group


def border(text: str, limit: int) -> int:
    """The last place up to `limit` where a text may be cut between what a reader sees as characters.

    Follows the rules of UAX 29 as far as general categories tell them, and where these are too coarse it
    keeps together: the cut comes earlier, never inside. 0 when there is no such place.
    """
    if limit >= len(text):
        return len(text)
    while limit > 0 and not _is_border(text, limit):
        limit -= 1
    return limit


def _is_border(text: str, place: int) -> bool:
    before, after = text[place - 1], text[place]
    if _extends(after) or before in JOINERS or (before == "\r" and after == "\n"):
        return False
    if _within(after, REGIONAL) and _within(before, REGIONAL):
        return _flags_before(text, place) % 2 == 0
    return not (_is_hangul(before) and _is_hangul(after) and not _complete(before, after))


def _extends(character: str) -> bool:
    return unicodedata.category(character) in EXTENDING or any(
        _within(character, pair) for pair in ALSO_EXTENDING
    )


def _within(character: str, pair: tuple[int, int]) -> bool:
    return pair[0] <= ord(character) <= pair[1]


def _flags_before(text: str, place: int) -> int:
    count = 0
    while place > count and _within(text[place - count - 1], REGIONAL):
        count += 1
    return count


def _is_hangul(character: str) -> bool:
    return any(_within(character, pair) for pair in HANGUL)


def _complete(before: str, after: str) -> bool:
    """Whether two Hangul characters stand apart: the second is a whole syllable or begins one."""
    begins = _within(after, (0x1100, 0x115F)) or _within(after, (0xA960, 0xA97C))
    leading = _within(before, (0x1100, 0x115F)) or _within(before, (0xA960, 0xA97C))
    return (begins or _within(after, (0xAC00, 0xD7A3))) and not leading

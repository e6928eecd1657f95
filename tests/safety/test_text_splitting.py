"""Long texts in pieces, short texts together, and cuts between characters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.safety.text_splitting import JOINT, border, pack, split


@given(st.text(max_size=300), st.integers(5, 40))
def test_pieces_overlap_and_lose_nothing(text: str, limit: int) -> None:
    overlap = limit // 2
    pieces = list(split(text, limit, overlap))
    assert all(len(piece) <= limit for piece in pieces)
    for start in range(len(text) - overlap + 1):
        phrase = text[start : start + overlap]
        assert any(phrase in piece for piece in pieces)
    whole = pieces[0] + "".join(piece[overlap:] for piece in pieces[1:])
    assert whole == text


@given(st.lists(st.text(max_size=30), max_size=30))
def test_packs_keep_order_and_size(texts: list[str]) -> None:
    groups = list(pack(texts, 50))
    assert [place for group in groups for place in group] == list(range(len(texts)))
    for group in groups:
        assert len(group) == 1 or len(JOINT.join(texts[place] for place in group)) <= 50


@pytest.mark.parametrize(
    ("text", "limit", "place"),
    [
        ("abcd", 2, 2),
        ("abcd", 9, 4),
        ("abcd", 0, 0),
        ("ae\u0301x", 2, 1),
        ("a\r\nb", 2, 1),
        ("a👍🏽b", 2, 1),
        ("a👩\u200d💻b", 2, 1),
        ("a👩\u200d💻b", 3, 1),
        ("🇩🇪🇫🇷x", 1, 0),
        ("🇩🇪🇫🇷x", 2, 2),
        ("🇩🇪🇫🇷x", 3, 2),
        ("한글", 1, 1),
        ("\u1112\u1161\u11abx", 1, 0),
        ("\u1112\u1161\u11abx", 3, 3),
        ("कि", 1, 0),
        ("\u0301\u0301\u0301", 2, 0),
    ],
)
def test_a_cut_is_between_characters(text: str, limit: int, place: int) -> None:
    assert border(text, limit) == place

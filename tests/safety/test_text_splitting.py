"""Splitting long texts, packing short ones, and cutting between characters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.safety.text_splitting import SEPARATOR, character_boundary, pack_texts, split_text


@given(st.text(max_size=300), st.integers(5, 40))
def test_pieces_overlap_and_lose_nothing(text: str, limit: int) -> None:
    overlap = limit // 2
    pieces = list(split_text(text, limit, overlap))
    assert all(len(piece) <= limit for piece in pieces)
    for start in range(len(text) - overlap + 1):
        phrase = text[start : start + overlap]
        assert any(phrase in piece for piece in pieces)
    whole = pieces[0] + "".join(piece[overlap:] for piece in pieces[1:])
    assert whole == text


@given(st.lists(st.text(max_size=30), max_size=30))
def test_packed_texts_keep_their_sequence_within_the_limit(texts: list[str]) -> None:
    groups = list(pack_texts(texts, 50))
    assert [index for group in groups for index in group] == list(range(len(texts)))
    for group in groups:
        assert len(group) == 1 or len(SEPARATOR.join(texts[index] for index in group)) <= 50


@pytest.mark.parametrize(
    ("text", "limit", "boundary"),
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
def test_a_boundary_is_between_characters(text: str, limit: int, boundary: int) -> None:
    assert character_boundary(text, limit) == boundary


def test_a_run_of_joiners_longer_than_any_character_is_cut() -> None:
    text = "\N{ZERO WIDTH JOINER}" * 900_000
    assert character_boundary(text, 800_000) == 800_000
    assert character_boundary(text, 500) == 0
    assert character_boundary("a" + "\N{COMBINING ACUTE ACCENT}" * 900, 800) == 0

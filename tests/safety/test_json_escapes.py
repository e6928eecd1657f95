"""Escapes of JSON: the forms of a text, and the text that is held back until it can be decoded."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.safety.json_escapes import DECODINGS, decoded_forms, holdback_offset


def escaped(text: str) -> str:
    """Return a text with every character as escapes by number."""
    units = text.encode("utf-16-be").hex()
    return "".join(rf"\u{units[at : at + 4]}" for at in range(0, len(units), 4))


@pytest.mark.parametrize(
    ("text", "decodings"),
    [
        ("plain", []),
        (r"\u007a\u006f\u006f", ["zoo"]),
        (r"\u007A\u006F\u006f", ["zoo"]),
        (r"forbidden\nplum", ["forbidden\nplum"]),
        (r"\"\/\b\f\n\r\t\\", ['"/\b\f\n\r\t\\']),
        (r"forbidden\/plum", ["forbidden/plum"]),
        (r"\ud83d\ude00", ["\U0001f600"]),
        (r"\uD83D\uDE00!", ["\U0001f600!"]),
        (r"a\ud83d", ["a\ufffd"]),
        (r"\ud83d\u0041", ["\ufffdA"]),
        (r"\ude00\ud83d\ude00", ["\ufffd\U0001f600"]),
        (r"\\u007aoo", [r"\u007aoo", "zoo"]),
        (r"\u005cu007aoo", [r"\u007aoo", "zoo"]),
        (r"\\\u007aoo", [r"\zoo"]),
        (r"\\\\u007a", [r"\\u007a", r"\u007a", "z"]),
        (r"\x7a \U0000007a \u{7a} \u07 &#122; %7A \q \ ", []),
        ("\\", []),
    ],
)
def test_a_text_has_a_form_for_every_decoding_that_changes_it(text: str, decodings: list[str]) -> None:
    assert decoded_forms(text) == [text, *decodings]


def test_json_in_strings_of_json_is_decoded_as_often_as_documented() -> None:
    text = "forbidden\nplum"
    for _ in range(DECODINGS):
        text = json.dumps(text)
        assert "forbidden\nplum" in decoded_forms(text)[-1]
    assert "forbidden\nplum" not in decoded_forms(json.dumps(text))[-1]


def test_the_number_of_forms_is_bounded() -> None:
    assert len(decoded_forms(r"\u005c" + "u005c" * 1_000 + "n")) == DECODINGS + 1


@given(st.text())
def test_a_text_in_json_is_among_the_forms_of_the_json(text: str) -> None:
    well_formed = text.encode("utf-16", "replace").decode("utf-16")
    for ascii_only in (True, False):
        written = json.dumps(well_formed, ensure_ascii=ascii_only)
        assert written[1:-1] == well_formed or decoded_forms(written)[1] == f'"{well_formed}"'


@pytest.mark.parametrize(
    ("text", "count", "offset"),
    [
        ("abcdef", 2, 4),
        ("ab", 2, 0),
        ("", 2, 0),
        (escaped("abcdef"), 2, 24),
        (escaped("ab"), 2, 0),
        (r"ab\ncd", 2, 4),
        (r"ab\ncd", 3, 2),
        (r"ab\u0063d\u00", 1, 8),
        (r"ab\u0063d\u00", 2, 2),
        (r"abc\u", 1, 2),
        ("abc\\", 1, 2),
        (r"abc\ud83d", 1, 2),
        (r"abc\ud83d\ude", 1, 2),
        (r"abc\ud83d\ude00", 1, 3),
        (r"abc\ud83d\n", 1, 9),
        (r"abc\\", 1, 2),
        (r"ab\\u0063d", 1, 9),
        (r"ab\\u0063d", 2, 2),
        (r"ab\\u0063d\\u00", 1, 9),
        (r"ab\\u0063d\\", 1, 9),
        (r"ab\u005cu0063d\u005cu", 2, 2),
    ],
)
def test_text_is_held_back_by_the_characters_that_a_reader_sees(text: str, count: int, offset: int) -> None:
    assert holdback_offset(text, count) == offset


@given(st.text(st.sampled_from("ab\\u0057cd8n\n"), max_size=60), st.integers(0, 20))
def test_the_text_held_back_has_at_least_its_characters_and_any_more_text_keeps_the_rest_whole(
    text: str, count: int
) -> None:
    offset = holdback_offset(text, count)
    for more in ("", "\\", "u005c", "n", "0", "\\ude00"):
        whole = decoded_forms(text + more)
        apart = decoded_forms(text[:offset])
        for level in range(min(len(whole), len(apart))):
            assert whole[level].startswith(apart[level])
    assert offset == 0 or len(decoded_forms(text[offset:])[-1]) >= count

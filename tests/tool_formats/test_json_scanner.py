import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.tool_formats.json_scanner import WhitespaceTrimmer


def trimmed(*pieces: str | None) -> str:
    """Return the text of pieces; None stands for a cut."""
    trimmer, text = WhitespaceTrimmer(), ""
    for piece in pieces:
        if piece is None:
            trimmer.cut()
        else:
            text += trimmer.push(piece)
    return text + trimmer.flush()


@given(st.lists(st.text(" \nab", max_size=4)))
def test_text_without_a_cut_stays_unchanged(pieces: list[str]) -> None:
    assert trimmed(*pieces) == "".join(pieces)


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        ((" ", None, "\n"), ""),
        (("a ", None, "\n"), "a"),
        ((" ", None, "\nb "), "b "),
        (("a ", None, "\nb"), "a \nb"),
        (("a", None, " ", None, " "), "a"),
        (("a ", None, "b ", None, " "), "a b"),
    ],
)
def test_white_space_next_to_a_cut_stays_only_between_two_texts(
    pieces: tuple[str | None, ...], text: str
) -> None:
    assert trimmed(*pieces) == text

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.tool_formats.json_scanner import Margins


def said(*pieces: str | None) -> str:
    """What is said of pieces; None stands for a cut."""
    margins, text = Margins(), ""
    for piece in pieces:
        if piece is None:
            margins.cut()
        else:
            text += margins.say(piece)
    return text + margins.end()


@given(st.lists(st.text(" \nab", max_size=4)))
def test_a_text_without_a_cut_stays_as_it_is(pieces: list[str]) -> None:
    assert said(*pieces) == "".join(pieces)


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
def test_white_space_beside_a_cut(pieces: tuple[str | None, ...], text: str) -> None:
    assert said(*pieces) == text

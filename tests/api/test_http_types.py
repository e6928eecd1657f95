"""The bytes of events."""

import pytest

from inference.api.http_types import HttpResponse, sse_error, sse_event
from inference.contracts import ApiStyle
from inference.errors import Busy


def test_events_are_one_line_and_an_empty_one() -> None:
    assert sse_event({"a": "x\ny\u2028"}) == '{"a":"x\\ny\u2028"}'.join(("data: ", "\n\n")).encode()


def test_the_error_of_a_stream_is_in_the_style_of_its_path() -> None:
    native, openai = (sse_error(Busy("Later."), style) for style in (ApiStyle.NATIVE, ApiStyle.OPENAI))
    assert native == b'data: {"error":{"code":"RateLimitReached","message":"Later."},"choices":[]}\n\n'
    assert openai == (
        b'data: {"error":{"message":"Later.","type":"rate_limit_error","param":null,'
        b'"code":"rate_limit_exceeded"},"choices":[]}\n\n'
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain text, of ASCII!", "plain text, of ASCII!"),
        (" blanks around ", "blanks around"),
        ("", ""),
        ("größe", "gr%C3%B6%C3%9Fe"),
        ("a\r\nx-forged: 1", "a%0D%0Ax-forged: 1"),
        ("\ud800", "?"),
        ("n" * 9_000, "n" * 5_000),
        ("é" * 9_000, "%C3%A9" * 833 + "%C"),
    ],
)
def test_a_header_has_a_value_that_every_client_takes(text: str, value: str) -> None:
    assert HttpResponse(200, b"", headers={"x-name": text}).headers == {"x-name": value}

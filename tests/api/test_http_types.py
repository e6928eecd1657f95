"""The bytes of events."""

from inference.api.http_types import sse_error, sse_event
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

"""The bytes of events."""

from inference.api.http_types import sse_error, sse_event


def test_events_are_one_line_and_an_empty_one() -> None:
    assert sse_event({"a": "x\ny\u2028"}) == '{"a":"x\\ny\u2028"}'.join(("data: ", "\n\n")).encode()
    assert sse_error("busy", "later") == b'data: {"error":{"code":"busy","message":"later"},"choices":[]}\n\n'

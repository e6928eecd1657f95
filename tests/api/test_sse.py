"""The bytes of events."""

from inference.api.sse import error_event, event


def test_events_are_one_line_and_an_empty_one() -> None:
    assert event({"a": "x\ny\u2028"}) == '{"a":"x\\ny\u2028"}'.join(("data: ", "\n\n")).encode()
    assert (
        error_event("busy", "later") == b'data: {"error":{"code":"busy","message":"later"},"choices":[]}\n\n'
    )

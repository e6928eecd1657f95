"""The request's id and its one line."""

import logging
import re

import pytest

from inference.contracts import Usage
from inference.telemetry.request_log import RequestTrace


def test_a_plain_id_of_the_caller_is_kept() -> None:
    trace = RequestTrace.start("GET", "/info", {"x-ms-client-request-id": "abc-1"})
    assert trace.headers == {"x-ms-request-id": "abc-1", "apim-request-id": "abc-1"}


@pytest.mark.parametrize("given", ["", "a b", "a\r\nSet-Cookie: x", "a" * 129, "é"])
def test_another_is_replaced(given: str) -> None:
    trace = RequestTrace.start("GET", "/info", {"x-ms-client-request-id": given})
    assert re.fullmatch(r"[0-9a-f-]{36}", trace.id)


def test_the_line_tells_how_it_went(caplog: pytest.LogCaptureFixture) -> None:
    trace = RequestTrace.start("POST", "/embeddings", {})
    trace.deployment = "tiny"
    trace.dropped = ("n", "user")
    trace.count(Usage(3, 4))
    with caplog.at_level(logging.INFO, "inference.requests"):
        trace.end(200)
    assert "POST /embeddings -> 200 ok deployment=tiny tokens=3+4 dropped=n,user" in caplog.text
    assert caplog.text.count("\n") == 1

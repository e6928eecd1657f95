"""Errors of an endpoint in every form, as this app's errors."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from inference.api.error_body import body_of
from inference.backends.remote.upstream_errors import error_of_response, retry_after_seconds
from inference.contracts import Route
from inference.errors import ContentFiltered, UpstreamError, UpstreamRefused


def translated(body: Any, status: int = 422, headers: dict[str, str] | None = None) -> UpstreamError:
    text = body if isinstance(body, str) else json.dumps(body)
    error = error_of_response(status, headers or {}, text, "far", Route.CHAT)
    assert isinstance(error, UpstreamError)
    return error


FLAT = {"status": 422, "code": "c", "message": "No.", "detail": {"loc": ["body", "n"], "input": 5}}
NESTED = {"error": {"code": "c", "message": "No.", "param": "messages[0].content", "type": "t"}}
DETAILED = {"error": {"code": "c", "message": "No.", "details": [{"loc": ["body", "n"], "message": "5!"}]}}
FASTAPI = {"detail": [{"type": "t", "loc": ["body", "n"], "msg": "too many", "input": 5}]}


@pytest.mark.parametrize(
    ("body", "code", "loc", "value", "message"),
    [
        (FLAT, "c", ("body", "n"), 5, "The endpoint of far: No."),
        (NESTED, "c", ("body", "messages", 0, "content"), None, "The endpoint of far: No."),
        (DETAILED, "c", ("body", "n"), None, "The endpoint of far: No. 5!"),
        (FASTAPI, "upstream_refused", ("body", "n"), 5, "The endpoint of far: too many"),
    ],
)
def test_every_form_keeps_code_message_and_location(
    body: Any, code: str, loc: Any, value: Any, message: str
) -> None:
    error = translated(body)
    assert (error.status, error.code, error.message) == (422, code, message)
    assert (error.offenders[0].loc, error.offenders[0].input) == (loc, value)
    rendered = body_of(error)
    assert rendered["status"] == rendered["error"]["status"] == 422
    assert rendered["detail"] == {"loc": list(loc), "input": value}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"detail": "Sorry."}, "The endpoint of far: Sorry."),
        ({"error": "just text"}, "The endpoint of far: just text"),
        ({"message": 5}, "The endpoint of far: answered 418."),
        ([1], "The endpoint of far: answered 418."),
        ("<html>proxy</html>", "The endpoint of far: answered 418."),
        ("", "The endpoint of far: answered 418."),
        ({"error": {"details": "x", "target": 7, "code": 404}, "detail": [5]}, "The endpoint of far: "),
    ],
)
def test_other_bodies_keep_the_status(body: Any, message: str) -> None:
    error = translated(body, 418)
    assert (error.status, error.code) == (418, "upstream_refused")
    assert error.message.startswith(message)


def test_a_code_that_no_header_may_hold_is_dropped() -> None:
    assert translated({"code": "a\r\nSet-Cookie: b"}).code == "upstream_refused"


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_are_not_blamed_on_the_caller(status: int) -> None:
    error = translated({"error": {"code": "invalid_api_key", "message": "Incorrect key sk-1234"}}, status)
    assert (error.status, error.code) == (status, "upstream_unauthorized")
    assert "sk-1234" not in error.message
    assert error.headers == {}


def test_a_content_filter_error_is_content_filtered() -> None:
    results = {"violence": {"filtered": True, "severity": "medium"}}
    inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": results}
    error = error_of_response(
        400, {}, json.dumps({"error": {"code": "content_filter", "innererror": inner}}), "far", Route.CHAT
    )
    assert isinstance(error, ContentFiltered)
    body = body_of(error)
    assert body["param"] == "messages"
    assert body["error"]["innererror"]["content_filter_result"] == results


def test_retry_after_is_passed_on() -> None:
    assert translated({}, 429, {"retry-after": "1.2"}).headers == {"Retry-After": "2"}
    assert translated({}, 429).headers == {}


def test_the_rate_limits_of_the_endpoint_are_passed_on() -> None:
    limits = {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s"}
    strange = {"x-ratelimit-note": "a b", "x-other": "1"}
    assert translated({}, 429, {**limits, **strange}).headers == limits


@pytest.mark.parametrize(
    ("text", "seconds"), [("", None), ("3", 3.0), ("-1", 0.0), ("soon", None), ("inf", None), ("nan", None)]
)
def test_retry_after_numbers_are_seconds(text: str, seconds: float | None) -> None:
    assert retry_after_seconds(text) == seconds


def test_a_retry_after_date_is_seconds_from_now() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    found = retry_after_seconds(soon)
    assert found is not None
    assert 50 < found <= 60


def test_a_redirect_is_an_upstream_failure() -> None:
    error = translated("", 302)
    assert (error.status, error.code) == (502, "upstream_failed")
    assert not isinstance(error, UpstreamRefused)

"""Headers of cross-origin requests."""

from __future__ import annotations

import pytest

from inference.api.cors import cors_headers, preflight_headers
from tests.support.exchanges import http_request

ORIGIN = "https://app.example.com"
SENT = {"x-ms-request-id": "1", "Retry-After": "2", "Access-Control-Max-Age": "7200"}


def test_an_allowed_origin_may_read_the_headers_that_are_sent() -> None:
    request = http_request("chat/completions", headers={"origin": ORIGIN})
    assert cors_headers(request, [ORIGIN], SENT) == {
        "Vary": "Origin",
        "Access-Control-Allow-Origin": ORIGIN,
        "Access-Control-Expose-Headers": "retry-after, x-ms-request-id",
    }


@pytest.mark.parametrize("headers", [{}, {"origin": "https://evil.example"}, {"origin": "null"}])
def test_other_callers_learn_only_that_answers_differ(headers: dict[str, str]) -> None:
    assert cors_headers(http_request("info", headers=headers), [ORIGIN], SENT) == {"Vary": "Origin"}


def test_without_origins_nothing_is_added() -> None:
    request = http_request("info", headers={"origin": ORIGIN, "access-control-request-method": "GET"})
    assert cors_headers(request, [], SENT) == {}
    assert preflight_headers(request, []) == {}


@pytest.mark.parametrize("names", ["", "a b", "x\r\nSet-Cookie: a", "é", ",", "x" * 5000])
def test_names_of_headers_that_are_none_are_not_repeated(names: str) -> None:
    headers = {
        "origin": ORIGIN,
        "access-control-request-method": "POST",
        "access-control-request-headers": names,
    }
    request = http_request("chat/completions", method="OPTIONS", headers=headers)
    assert preflight_headers(request, ["*"]) == {
        "Access-Control-Allow-Methods": "POST, OPTIONS",
        "Access-Control-Max-Age": "7200",
    }


def test_options_without_a_method_to_come_is_no_preflight() -> None:
    assert preflight_headers(http_request("info", headers={"origin": ORIGIN}), ["*"]) == {}

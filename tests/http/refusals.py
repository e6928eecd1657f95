"""What every refusal has to look like, whoever reads it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx


def refusal(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The body of a refusal with that status and code, its shape checked."""
    assert (response.status_code, response.headers.get("x-ms-error-code")) == (status, code), response.text
    body: dict[str, Any] = response.json()
    check_shape(body, status)
    assert body["code"] == code
    return body


def check_shape(body: dict[str, Any], status: int) -> None:
    """The flat keys, and the same again in the `error` object that the client packages read."""
    error = body["error"]
    assert body["status"] == error["status"] == status
    assert body["code"] == error["code"]
    assert body["message"] == error["message"]
    assert isinstance(body["message"], str)
    assert body["message"]
    if "detail" in body:
        first = error["details"][0]
        assert body["detail"] == {"loc": first["loc"], "input": first["input"]}
        assert all(entry["loc"][0] in ("body", "query", "header") for entry in error["details"])
        assert all(entry["message"] for entry in error["details"])


def offender(response: httpx.Response, status: int, code: str) -> tuple[Sequence[Any], Any]:
    """Where the first offence of a refusal is, and the value that stands there."""
    detail = refusal(response, status, code)["detail"]
    return detail["loc"], detail["input"]

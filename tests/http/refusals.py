"""What every refusal has to look like, whoever reads it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx

SUMMARY = "One of the parameters contain invalid values."


def openai_refusal(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The `error` object of a refusal under an OpenAI path, its shape checked."""
    assert (response.status_code, response.headers.get("x-ms-error-code")) == (status, code), response.text
    error = check_openai_shape(response.json())
    assert error["code"] == code
    assert response.headers["x-request-id"]
    assert response.headers["openai-processing-ms"].isdecimal()
    return error


def check_openai_shape(body: dict[str, Any]) -> dict[str, Any]:
    """OpenAI's own four keys; its message names the parameter that is wrong."""
    error: dict[str, Any] = body["error"]
    assert set(body) == {"error"}
    assert set(error) - {"details"} == {"message", "type", "param", "code"}
    assert isinstance(error["message"], str)
    assert (error["param"] or "") in error["message"]
    return error


def refusal(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The body of a refusal with that status and code, its shape checked."""
    assert (response.status_code, response.headers.get("x-ms-error-code")) == (status, code), response.text
    body: dict[str, Any] = response.json()
    check_shape(body, status)
    assert body["code"] == code
    return body


def check_shape(body: dict[str, Any], status: int) -> None:
    """The flat keys, and the same again in the `error` object that the client packages read.

    Its message names the place; the flat one of the introduction's own code is the introduction's.
    """
    error = body["error"]
    assert body["status"] == error["status"] == status
    assert body["code"] == error["code"]
    assert body["message"] == (SUMMARY if body["code"] == "parameter_not_supported" else error["message"])
    assert isinstance(error["message"], str)
    assert error["message"]
    if "detail" in body:
        assert body["detail"]["loc"][0] != "body" or error["target"] in error["message"]
        first = error["details"][0]
        assert body["detail"] == {"loc": first["loc"], "input": first["input"]}
        assert all(entry["loc"][0] in ("body", "query", "header") for entry in error["details"])
        assert all(entry["message"] for entry in error["details"])


def offender(response: httpx.Response, status: int, code: str) -> tuple[Sequence[Any], Any]:
    """Where the first offence of a refusal is, and the value that stands there."""
    detail = refusal(response, status, code)["detail"]
    return detail["loc"], detail["input"]

"""The one body of every refusal.

It repeats the flat keys of the API's introduction (`status`, `code`, `message`, `detail`, `param`, `type`)
in an `error` object, because azure-core and openai read the code and the message from there.
"""

from __future__ import annotations

from typing import Any

from inference.errors import ApiError, ContentFiltered, Offender, Unprocessable

OPENAI_TYPES = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}
"""`error.type` under the OpenAI base paths; other statuses below 500 are `invalid_request_error`."""


def body_of(error: ApiError, *, openai: bool = False) -> dict[str, Any]:
    """Return the JSON body of a refusal.

    `openai` adds the two fields that OpenAI's clients read, and names the problem in the message, because
    those clients show the message alone.
    """
    message = error.offenders[0].message if openai and isinstance(error, Unprocessable) else error.message
    flat: dict[str, Any] = {"status": error.status, "code": error.code, **_introduced(error, message)}
    nested: dict[str, Any] = {"code": error.code, "status": error.status, "message": message}
    if isinstance(error, ContentFiltered):
        return _filtered_body(error, "prompt" if openai else error.key, flat, nested)
    if error.offenders:
        nested["target"] = error.offenders[0].target
        nested["details"] = [_detail(error.code, offender) for offender in error.offenders]
    if openai:
        nested["type"] = _openai_type(error.status)
        nested["param"] = error.param
    return {**flat, "error": nested}


def _introduced(error: ApiError, message: str) -> dict[str, Any]:
    """Return location and message in the introduction's order.

    Where it has no example the message comes first, because litellm takes the first brackets of a body for
    the names of the parameters to leave out.
    """
    place: dict[str, Any] = {}
    if error.offenders:
        first = error.offenders[0]
        place = {"detail": {"loc": list(first.loc), "input": first.input}}
    if isinstance(error, Unprocessable):
        return {**place, "message": message}
    return {"message": message, **place}


def _filtered_body(
    error: ContentFiltered, param: str, flat: dict[str, Any], nested: dict[str, Any]
) -> dict[str, Any]:
    """Return the introduction's flat fields, and Azure OpenAI's `innererror`, whose `param` is the prompt."""
    shared = {"param": param, "type": None}
    inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": dict(error.results)}
    return {**flat, **shared, "error": {**nested, **shared, "innererror": inner}}


def _detail(code: str, offender: Offender) -> dict[str, Any]:
    return {
        "code": code,
        "message": offender.message,
        "target": offender.target,
        "loc": list(offender.loc),
        "input": offender.input,
    }


def _openai_type(status: int) -> str:
    return OPENAI_TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")

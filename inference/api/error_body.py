"""The body of every refusal, in the style of the API that was called.

The native body repeats the flat keys of the API's introduction (`status`, `code`, `message`, `detail`) in an
`error` object, because azure-core reads the code and the message from there. The OpenAI body is OpenAI's own:
an `error` object with `message`, `type`, `param` and `code`. A refusal of the content filter has Azure's form
in both styles.
"""

from __future__ import annotations

from typing import Any

from inference.contracts import ApiStyle
from inference.errors import ApiError, ContentFiltered, Offender, ParameterNotSupported, Unprocessable

OPENAI_TYPES = {
    401: "authentication_error",
    404: "not_found_error",
    424: "server_error",
    429: "rate_limit_error",
}
"""`error.type` under the OpenAI base paths; other statuses below 500 are `invalid_request_error`."""


def body_of(error: ApiError, style: ApiStyle = ApiStyle.NATIVE) -> dict[str, Any]:
    """Return the JSON body of a refusal."""
    if isinstance(error, ContentFiltered):
        return _filtered_body(error, "prompt" if style is ApiStyle.OPENAI else error.key)
    return _openai_body(error) if style is ApiStyle.OPENAI else _native_body(error)


def status_of(error: ApiError, style: ApiStyle) -> int:
    """Return the status of a refusal: under the OpenAI paths a wrong value is a 400."""
    wrong_value = error.status == 422 or any(offender.code for offender in error.offenders)
    return 400 if style is ApiStyle.OPENAI and wrong_value else error.status


def code_of(error: ApiError, style: ApiStyle) -> str:
    """Return the code of a refusal: under the OpenAI paths that of its first offender, else of its class."""
    if style is ApiStyle.NATIVE:
        return error.code
    first = error.offenders[0].code if error.offenders else ""
    return first or error.openai_code or error.code


def details_of(error: ApiError) -> list[dict[str, Any]]:
    """Return every offender with its location and its value, as native bodies list them."""
    return [
        {
            "code": error.code,
            "message": offender.message,
            "target": offender.target,
            "loc": list(offender.loc),
            "input": offender.input,
        }
        for offender in error.offenders
    ]


def _openai_body(error: ApiError) -> dict[str, Any]:
    """Return OpenAI's body; of several offenders each has its entry in `details`.

    No value is repeated there: clients look for phrases such as "rate limit" in the text of a whole body.
    """
    nested: dict[str, Any] = {
        "message": error.message,
        "type": _openai_type(status_of(error, ApiStyle.OPENAI)),
        "param": error.param,
        "code": code_of(error, ApiStyle.OPENAI),
    }
    if len(error.offenders) > 1:
        nested["details"] = [_openai_detail(error, offender) for offender in error.offenders]
    return {"error": nested}


def _openai_detail(error: ApiError, offender: Offender) -> dict[str, Any]:
    code = offender.code or error.openai_code or error.code
    return {"message": offender.sentence, "param": offender.target, "code": code}


def _openai_type(status: int) -> str:
    return OPENAI_TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")


def _native_body(error: ApiError) -> dict[str, Any]:
    head = {"code": error.code, "status": error.status, "message": error.message}
    nested: dict[str, Any] = dict(head)
    if error.offenders:
        nested["target"] = error.offenders[0].target
        nested["details"] = details_of(error)
    return {"status": error.status, "code": error.code, **_introduced(error), "error": nested}


def _introduced(error: ApiError) -> dict[str, Any]:
    """Return location and message in the introduction's order.

    Where it has no example the message comes first, because litellm takes the first brackets of a body for
    the names of the parameters to leave out.
    """
    place: dict[str, Any] = {}
    if error.offenders:
        first = error.offenders[0]
        place = {"detail": {"loc": list(first.loc), "input": first.input}}
    if isinstance(error, Unprocessable):
        message = error.summary if isinstance(error, ParameterNotSupported) else error.message
        return {**place, "message": message}
    return {"message": error.message, **place}


def _filtered_body(error: ContentFiltered, param: str) -> dict[str, Any]:
    """Return the introduction's flat fields, and Azure OpenAI's `innererror`, whose `param` is the prompt."""
    flat = {"status": error.status, "code": error.code, "message": error.message}
    shared = {"param": param, "type": None}
    inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": dict(error.results)}
    return {**flat, **shared, "error": {**flat, **shared, "innererror": inner}}

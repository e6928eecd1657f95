"""Errors of an endpoint as this app's errors, with their status, code, message and locations.

Errors come in three forms: flat (`{"status", "code", "message", "detail": {"loc", "input"}}`), nested
(`{"error": {"code", "message", "target" or "param", "details", "innererror"}}`), and FastAPI's
(`{"detail": "text"}` or `{"detail": [{"loc", "msg", "input"}]}`).

A 401 or 403 keeps its status but not its message: the endpoint refused this app's credentials, which no
caller can change. So the code is `upstream_unauthorized`, there is no `WWW-Authenticate` that would make a
client get a new token, and the text, in which some endpoints quote the key, is not repeated.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from inference.api.offenders import MOST_OFFENDERS, abridged
from inference.contracts import Route
from inference.errors import (
    ApiError,
    ContentFiltered,
    Location,
    Offender,
    UpstreamError,
    UpstreamRefused,
)

log = logging.getLogger("inference.upstream")

UNAUTHORIZED = "upstream_unauthorized"
CONTENT_FILTER = "content_filter"
MAX_MESSAGE_CHARACTERS = 2_000
"""Characters of an endpoint's message, or of a location, that are repeated."""
PATH_STEP = re.compile(r"[^.\[\]]+")
FILTERED_FIELDS = {Route.CHAT: "messages", Route.COMPLETIONS: "prompt"}
LOCATION_ROOTS = ("body", "query", "header", "path")
RATE_LIMIT = re.compile(r"x-ratelimit-[a-z-]{1,40}")
RATE_LIMIT_VALUE = re.compile(r"[0-9a-z.]{1,40}")
CODE = re.compile(r"[ -~]{1,128}")
"""A code that fits into a header."""


def error_of_response(
    status: int, headers: Mapping[str, str], text: str, name: str, route: Route
) -> UpstreamError | ContentFiltered:
    """Return the error for a response of another status than 200."""
    if status in (401, 403):
        log.error("%s: the endpoint refused this app's own credentials with %d", name, status)
        message = f"The endpoint of {name} refused the credentials of this app, not yours."
        return UpstreamRefused(message, status=status, code=UNAUTHORIZED)
    if not 400 <= status < 600:
        return UpstreamError(f"The endpoint of {name} answered {status}.")
    body = _parse_object(text)
    nested = _mapping(body.get("error"))
    if filtered := _content_filtered(nested or body, route):
        return filtered
    message = _message(body, nested) or f"answered {status}."
    offenders = list(_offenders(body, nested))[:MOST_OFFENDERS]
    if offenders and offenders[0].message not in message:
        message = f"{message} {offenders[0].message}"
    return UpstreamRefused(
        f"The endpoint of {name}: {message}",
        status=status,
        code=_code(body, nested),
        offenders=offenders,
        headers={**_retry_after(headers), **_rate_limits(headers)},
    )


def stream_error(error: Any, name: str, route: Route) -> ApiError:
    """Return the error for an event of a stream with the key `error`."""
    nested = _mapping(error) or {"message": str(error)}
    if filtered := _content_filtered(nested, route):
        return filtered
    message = _message({}, nested) or "failed."
    return UpstreamRefused(f"The endpoint of {name}: {message}", status=502, code=_code({}, nested))


def malformed_response(name: str, found: str) -> UpstreamError:
    """Return the error for a response of status 200 that cannot be understood."""
    return UpstreamError(f"The endpoint of {name} answered with {found}.")


def retry_after_seconds(value: str) -> float | None:
    """Return the seconds of a Retry-After header, a number or a date; None for any other value."""
    text = value.strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            return None
    return max(seconds, 0.0) if seconds < float("inf") else None


def _retry_after(headers: Mapping[str, str]) -> dict[str, str]:
    seconds = retry_after_seconds(headers.get("retry-after", ""))
    return {} if seconds is None else {"Retry-After": str(int(-(-seconds // 1)))}


def _rate_limits(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the limits and the rest of them, which clients that slow down by themselves read."""
    return {
        name: value
        for name, value in headers.items()
        if RATE_LIMIT.fullmatch(name) and RATE_LIMIT_VALUE.fullmatch(value)
    }


def _parse_object(text: str) -> dict[str, Any]:
    try:
        body = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return _mapping(body)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _content_filtered(nested: Mapping[str, Any], route: Route) -> ContentFiltered | None:
    inner = _mapping(nested.get("innererror"))
    if CONTENT_FILTER not in (nested.get("code"), inner.get("code")):
        return None
    results = _mapping(inner.get("content_filter_result") or inner.get("content_filter_results"))
    return ContentFiltered(FILTERED_FIELDS.get(route, "input"), results)


def _message(body: Mapping[str, Any], nested: Mapping[str, Any]) -> str:
    message = nested.get("message") or body.get("message") or body.get("error") or body.get("detail")
    if isinstance(message, list):
        message = "; ".join(str(_mapping(one).get("msg", "")) for one in message[:MOST_OFFENDERS])
    return message[:MAX_MESSAGE_CHARACTERS] if isinstance(message, str) else ""


def _code(body: Mapping[str, Any], nested: Mapping[str, Any]) -> str:
    code = nested.get("code") or body.get("code") or nested.get("type") or ""
    return code if isinstance(code, str) and CODE.fullmatch(code) else ""


def _offenders(body: Mapping[str, Any], nested: Mapping[str, Any]) -> Iterator[Offender]:
    """Yield the locations of the first form that has any, the most detailed form first."""
    detail = body.get("detail")
    for details in (nested.get("details"), detail):
        if isinstance(details, list) and any(_mapping(one).get("loc") for one in details):
            yield from (_offender(_mapping(one)) for one in details if _mapping(one).get("loc"))
            return
    if _mapping(detail).get("loc"):
        yield _offender({**_mapping(detail), "message": _message(body, nested)})
    elif isinstance(path := nested.get("target") or nested.get("param") or body.get("param"), str):
        yield Offender(("body", *_steps(path)), None, _message(body, nested))


def _offender(detail: Mapping[str, Any]) -> Offender:
    message = str(detail.get("message") or detail.get("msg") or "")
    return Offender(_location(detail["loc"]), abridged(detail.get("input")), message[:MAX_MESSAGE_CHARACTERS])


def _location(loc: Any) -> Location:
    steps = [step for step in loc if isinstance(step, (str, int))] if isinstance(loc, list) else [str(loc)]
    return tuple(steps) if steps[:1] and steps[0] in LOCATION_ROOTS else ("body", *steps)


def _steps(path: str) -> Iterator[str | int]:
    """Yield the keys and indexes of a path such as `messages[0].content`."""
    for step in PATH_STEP.findall(path[:MAX_MESSAGE_CHARACTERS]):
        yield int(step) if step.isdecimal() and len(step) < 10 else step

"""What an endpoint refused, as our own refusal: its status, its code, its words and its places kept.

Errors come in three shapes: flat (`{"status", "code", "message", "detail": {"loc", "input"}}`), nested
(`{"error": {"code", "message", "target" or "param", "details", "innererror"}}`), and FastAPI's
(`{"detail": "text"}` or `{"detail": [{"loc", "msg", "input"}]}`).

A 401 or 403 keeps its status too, but not its words: it is this app's key that was refused and no caller can
mend that, so the code is `upstream_unauthorized`, there is no `WWW-Authenticate` that would make a client ask
for a new token, and nothing is repeated of a text in which some endpoints quote the key.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from inference.api.validation import MOST_OFFENDERS, abridged
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
FILTERED = "content_filter"
LONGEST = 2_000
"""Characters of an endpoint's message or code that are repeated."""
STEP = re.compile(r"[^.\[\]]+")
PLACES = {Route.CHAT: "messages", Route.COMPLETIONS: "prompt"}
WHERE = ("body", "query", "header", "path")
CODE = re.compile(r"[ -~]{1,128}")
"""Of a code what a header may hold."""


def refused(
    status: int, headers: Mapping[str, str], text: str, name: str, route: Route
) -> UpstreamError | ContentFiltered:
    """The refusal that an answer other than 200 is."""
    if status in (401, 403):
        log.error("%s: the endpoint refused this app's own credentials with %d", name, status)
        message = f"The endpoint of {name} refused the credentials of this app, not yours."
        return UpstreamRefused(message, status=status, code=UNAUTHORIZED)
    if not 400 <= status < 600:
        return UpstreamError(f"The endpoint of {name} answered {status}.")
    body = _object(text)
    nested = _mapping(body.get("error"))
    if filtered := _filtered(nested or body, route):
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
        headers=_again(headers),
    )


def failed(error: Any, name: str, route: Route) -> ApiError:
    """What an event that tells of an error is, in the middle of a stream."""
    nested = _mapping(error) or {"message": str(error)}
    if filtered := _filtered(nested, route):
        return filtered
    message = _message({}, nested) or "failed."
    return UpstreamRefused(f"The endpoint of {name}: {message}", status=502, code=_code({}, nested))


def seconds_of(retry_after: str) -> float | None:
    """Seconds from a number or a date; None for neither."""
    text = retry_after.strip()
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


def _again(headers: Mapping[str, str]) -> dict[str, str]:
    seconds = seconds_of(headers.get("retry-after", ""))
    return {} if seconds is None else {"Retry-After": str(int(-(-seconds // 1)))}


def _object(text: str) -> dict[str, Any]:
    try:
        body = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return _mapping(body)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _filtered(nested: Mapping[str, Any], route: Route) -> ContentFiltered | None:
    inner = _mapping(nested.get("innererror"))
    if FILTERED not in (nested.get("code"), inner.get("code")):
        return None
    results = _mapping(inner.get("content_filter_result") or inner.get("content_filter_results"))
    return ContentFiltered(PLACES.get(route, "input"), results)


def _message(body: Mapping[str, Any], nested: Mapping[str, Any]) -> str:
    said = nested.get("message") or body.get("message") or body.get("error") or body.get("detail")
    if isinstance(said, list):
        said = "; ".join(str(_mapping(one).get("msg", "")) for one in said[:MOST_OFFENDERS])
    return said[:LONGEST] if isinstance(said, str) else ""


def _code(body: Mapping[str, Any], nested: Mapping[str, Any]) -> str:
    code = nested.get("code") or body.get("code") or nested.get("type") or ""
    return code if isinstance(code, str) and CODE.fullmatch(code) else ""


def _offenders(body: Mapping[str, Any], nested: Mapping[str, Any]) -> Iterator[Offender]:
    """Every place that is named, in any of the shapes; the richest of them first, and no other."""
    detail = body.get("detail")
    for listed in (nested.get("details"), detail):
        if isinstance(listed, list) and any(_mapping(one).get("loc") for one in listed):
            yield from (_offender(_mapping(one)) for one in listed if _mapping(one).get("loc"))
            return
    if _mapping(detail).get("loc"):
        yield _offender({**_mapping(detail), "message": _message(body, nested)})
    elif isinstance(place := nested.get("target") or nested.get("param") or body.get("param"), str):
        yield Offender(("body", *_steps(place)), None, _message(body, nested))


def _offender(one: Mapping[str, Any]) -> Offender:
    said = one.get("message") or one.get("msg") or ""
    return Offender(_location(one["loc"]), abridged(one.get("input")), str(said)[:LONGEST])


def _location(loc: Any) -> Location:
    steps = [step for step in loc if isinstance(step, (str, int))] if isinstance(loc, list) else [str(loc)]
    return tuple(steps) if steps[:1] and steps[0] in WHERE else ("body", *steps)


def _steps(path: str) -> Iterator[str | int]:
    """`messages[0].content` as keys and indexes."""
    for step in STEP.findall(path[:LONGEST]):
        yield int(step) if step.isdecimal() and len(step) < 10 else step

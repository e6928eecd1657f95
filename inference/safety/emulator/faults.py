"""What a service does on a bad day, one word each: the server does it instead of answering."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Fault(StrEnum):
    """A bad day. `slow` answers late and right; all others are failures."""

    NONE = "none"
    HANG = "hang"
    RESET = "reset"
    HALF = "half"
    DRIP = "drip"
    UNAUTHORIZED = "401"
    FORBIDDEN = "403"
    NOT_FOUND = "404"
    LIMITED = "429"
    BROKEN = "500"
    GARBAGE = "garbage"
    NO_SEVERITY = "no-severity"
    EMPTY = "empty"


CODES = {
    Fault.UNAUTHORIZED: "401",
    Fault.FORBIDDEN: "403",
    Fault.NOT_FOUND: "404",
    Fault.LIMITED: "TooManyRequests",
    Fault.BROKEN: "InternalError",
}


@dataclass(frozen=True, slots=True)
class EmulatedResponse:
    """What goes over the wire."""

    status: int
    body: bytes
    headers: dict[str, str]


def spoiled(
    fault: Fault, status: int, body: Any, headers: dict[str, str], retry_after: float
) -> EmulatedResponse:
    """The answer as a fault leaves it."""
    if fault in CODES:
        error = {"error": {"code": CODES[fault], "message": "The emulator was told to answer so."}}
        extra = {"Retry-After": f"{retry_after:g}"} if fault is Fault.LIMITED else {}
        return EmulatedResponse(
            int(fault), json.dumps(error).encode(), {"x-ms-error-code": CODES[fault], **extra}
        )
    if fault is Fault.NO_SEVERITY:
        body = _without_severity(body)
    data = json.dumps(body).encode()
    if fault is Fault.GARBAGE:
        data = data[: len(data) // 2]
    return EmulatedResponse(status, b"" if fault is Fault.EMPTY else data, headers)


def _without_severity(body: Any) -> Any:
    analysis = [{"category": one["category"]} for one in body.get("categoriesAnalysis", [])]
    return {**body, "categoriesAnalysis": analysis}

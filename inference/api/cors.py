"""Cross-origin requests: the headers by which scripts of web pages may send requests and read answers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from inference.api.http_types import HttpRequest, HttpResponse

ANY = "*"
HEADER_NAMES = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+( ?, ?[A-Za-z0-9!#$%&'*+.^_`|~-]+)*")
LONGEST_LIST = 4_000
"""Characters of a list of header names that is repeated: clients send a dozen names."""
MAX_AGE = "7200"
"""Seconds for which a browser remembers a preflight: the most that Chromium takes."""


def cors_headers(http: HttpRequest, origins: Sequence[str], sent: Mapping[str, str]) -> dict[str, str]:
    """Return the headers to add to those that are sent; none where no origin is allowed.

    Scripts may read every header of the answer. Credentials of browsers (cookies) are never allowed: a key
    or a token comes in a header.
    """
    if not origins:
        return {}
    vary = {} if ANY in origins else {"Vary": "Origin"}
    if not _is_allowed(http, origins):
        return vary
    exposed = sorted(name.lower() for name in sent if not name.startswith("Access-Control-"))
    allowed = {
        "Access-Control-Allow-Origin": ANY if ANY in origins else http.headers["origin"],
        "Access-Control-Expose-Headers": ", ".join(exposed),
    }
    return {**vary, **allowed}


def options_response(http: HttpRequest, origins: Sequence[str]) -> HttpResponse:
    """Return the answer to `OPTIONS` of a route: its methods, and what a preflight asks about."""
    methods = {"Allow": ", ".join(http.target.methods)}
    return HttpResponse(204, b"", media_type="", headers={**methods, **preflight_headers(http, origins)})


def preflight_headers(http: HttpRequest, origins: Sequence[str]) -> dict[str, str]:
    """Return the headers that answer a preflight; none for another request and for other origins."""
    if "access-control-request-method" not in http.headers or not _is_allowed(http, origins):
        return {}
    headers = {
        "Access-Control-Allow-Methods": ", ".join(http.target.methods),
        "Access-Control-Max-Age": MAX_AGE,
    }
    names = http.headers.get("access-control-request-headers", "")
    if len(names) <= LONGEST_LIST and HEADER_NAMES.fullmatch(names):
        headers["Access-Control-Allow-Headers"] = names
    return headers


def _is_allowed(http: HttpRequest, origins: Sequence[str]) -> bool:
    origin = http.headers.get("origin")
    return origin is not None and (ANY in origins or origin in origins)

"""Server-sent events as the narrowest client reads them.

azure-ai-inference takes exactly `data: `, one line of JSON, and an empty line, with LF alone: no comments, no
`event:` lines, no CRLF. Silence is therefore filled with chunks that say nothing.
"""

from __future__ import annotations

from typing import Any

import orjson

DONE = b"data: [DONE]\n\n"


class StreamBroken(Exception):
    """Raised inside a response body after an error chunk was sent: the server cuts the connection, which is
    the only sign of failure that every client understands once the status is out."""


def sse_event(body: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(body) + b"\n\n"


def sse_error(code: str, message: str) -> bytes:
    """The last event of a stream that failed; it has `choices`, because clients read them of every chunk."""
    return sse_event({"error": {"code": code, "message": message}, "choices": []})

"""Bounds on the structure of a body, counted in its bytes before anything is parsed.

Parsing is one call that nothing else in this process can interrupt. Its time depends on the values of a body
more than on its length: 32 MiB of base64 take 5 ms, as many bytes of empty arrays three seconds. Within these
bounds no body takes more than some 50 ms.
"""

from __future__ import annotations

from inference.errors import InvalidJson, RequestTooLarge

MAX_CONTAINERS = 50_000
"""Arrays and objects: 0.15 us each, and much work for the stages that follow."""
MAX_KEYS = 100_000
"""Keys: 0.4 us each."""
MAX_ITEMS = 300_000
"""Values after the first of their array or object: as many token ids as OpenAI takes in one request."""
MAX_STRINGS = 200_000
MAX_ESCAPES = 4_000_000
"""Bytes of backslashes: a million characters of text may be written as `\\uXXXX` pairs twice over."""
MAX_BARE_BYTES = 8 * 2**20
"""Bytes outside strings: numbers and white space."""
MAX_UNICODE_BYTES = 8 * 2**20
"""Bytes of characters beyond ASCII, which take ten times as long as those of ASCII."""
SLICE = 2**20
"""Bytes that are looked at in one call."""
ASCII = bytes(range(128))


def check_structure(body: bytes) -> None:
    """Raise `RequestTooLarge` for a body with more values, escapes or white space than any request needs.

    One whose arrays and objects do not all end, and are too many, is `InvalidJson`.
    """
    _check("characters beyond ASCII, in bytes,", _unicode_bytes(body), MAX_UNICODE_BYTES)
    _check("backslashes", body.count(b"\\"), MAX_ESCAPES)
    bare = _outside_strings(body)
    _check("bytes outside strings", len(bare), MAX_BARE_BYTES)
    containers = bare.count(b"[") + bare.count(b"{")
    if containers > MAX_CONTAINERS and containers != bare.count(b"]") + bare.count(b"}"):
        raise InvalidJson("The body is not valid JSON: not every array and object has an end.")
    _check("arrays and objects", containers, MAX_CONTAINERS)
    _check("keys", bare.count(b":"), MAX_KEYS)
    _check("items", bare.count(b","), MAX_ITEMS)


def _unicode_bytes(body: bytes) -> int:
    if body.isascii():
        return 0
    slices = (body[start : start + SLICE] for start in range(0, len(body), SLICE))
    return sum(len(one.translate(None, ASCII)) for one in slices)


def _outside_strings(body: bytes) -> bytes:
    """Return the bytes outside strings, of a body whose strings may hold escaped quotes."""
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    _check("strings", body.count(b'"') // 2, MAX_STRINGS)
    return b"".join(body.split(b'"')[::2])


def _check(found: str, count: int, most: int) -> None:
    if count > most:
        raise RequestTooLarge(f"The body has {count} {found}, this endpoint takes at most {most}.")

"""The body of a request: read within a size and a time, and decoded within the same size."""

from __future__ import annotations

import asyncio
import sys
import zlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol, TypeAlias

from starlette.requests import ClientDisconnect

from inference.api.http_types import ClientGone
from inference.errors import InvalidJson, RequestTimedOut, RequestTooLarge, UnsupportedMediaType

if TYPE_CHECKING:
    from starlette.requests import Request

MOST_MEMBERS = 16
"""Members of a gzip body, or frames of a zstd body, that are decoded: clients send one."""
WINDOW_LOG = 23
"""Windows of zstd that are decoded: 8 MiB, the most that RFC 9659 lets a client use."""
ZLIB, RAW, GZIP = zlib.MAX_WBITS, -zlib.MAX_WBITS, zlib.MAX_WBITS | 16
"""Formats of zlib's decompressor."""


class Decompressor(Protocol):
    """The decoder of one member or frame."""

    @property
    def eof(self) -> bool:
        """True once the member is over."""
        ...

    @property
    def unused_data(self) -> bytes:
        """Bytes after the member."""
        ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """Return at most that many decoded bytes."""
        ...


MakeDecompressor: TypeAlias = Callable[[bytes], Decompressor]
"""Makes the decoder of a member, whose bytes may tell its format."""


async def read_body(request: Request, max_bytes: int, seconds: float) -> bytes:
    """Return the decoded body of a request.

    Raises `UnsupportedMediaType` for an encoding that is not decoded, `RequestTooLarge` before reading if the
    declared length is too large, else once too much has come, `RequestTimedOut` if it has not come whole in
    time, `InvalidJson` for what its encoding cannot be, and `ClientGone`.
    """
    coding = _coding(request.headers.get("content-encoding", ""))
    try:
        async with asyncio.timeout(seconds):
            body = await _read(request, max_bytes)
    except TimeoutError:
        raise RequestTimedOut(
            f"The body did not come whole within {seconds:g} seconds.", headers={"Connection": "close"}
        ) from None
    except ClientDisconnect:
        raise ClientGone from None
    if coding == IDENTITY:
        return body
    # In a thread: 32 MiB take a tenth of a second.
    return await asyncio.to_thread(decoded, body, coding, max_bytes)


async def _read(request: Request, max_bytes: int) -> bytes:
    declared = request.headers.get("content-length", "")
    body = bytearray()
    if not (declared.isdecimal() and int(declared) > max_bytes):
        async for chunk in request.stream():
            body += chunk
            if len(body) > max_bytes:
                break
        else:
            return bytes(body)
    raise RequestTooLarge(f"The body is larger than {max_bytes} bytes, the limit of this endpoint.")


def decoded(body: bytes, coding: str, max_bytes: int) -> bytes:
    """Return the decoded content of a body in one of `CODINGS`.

    Raises `RequestTooLarge` as soon as there is more of it than that, and `InvalidJson`.
    """
    content, members = bytearray(), 0
    while members < MOST_MEMBERS:
        members += 1
        member = CODINGS[coding](body)
        try:
            content += member.decompress(body, max_bytes + 1 - len(content))
        except (zlib.error, _zstd_error()) as error:
            raise InvalidJson(f"The body is not in the encoding {coding}: {error}.") from None
        if len(content) > max_bytes:
            raise RequestTooLarge(
                f"The decoded body is larger than {max_bytes} bytes, the limit of this endpoint."
            )
        if not member.eof:
            raise InvalidJson(f"The body in the encoding {coding} ends too early.")
        body = member.unused_data
        if not body:
            return bytes(content)
    raise InvalidJson(f"The body in the encoding {coding} has more than {MOST_MEMBERS} members.")


def _coding(text: str) -> str:
    """Return the name of a body's coding. Raises `UnsupportedMediaType` unless it is one known coding."""
    name = text.strip().lower() or IDENTITY
    if name == IDENTITY or name in CODINGS:
        return name
    raise UnsupportedMediaType(
        f"Content-Encoding may be one of {', '.join(OFFERED)}, not {text[:100]!r}.",
        headers={"Accept-Encoding": ", ".join(OFFERED)},
    )


def _gzip(_: bytes) -> Decompressor:
    return zlib.decompressobj(GZIP)


def _deflate(body: bytes) -> Decompressor:
    """Return a decoder of the zlib format, which the name stands for, or of the bare one that some send."""
    has_header = len(body) > 1 and body[0] & 0x0F == zlib.DEFLATED and (body[0] << 8 | body[1]) % 31 == 0
    return zlib.decompressobj(ZLIB if has_header else RAW)


def _zstd(_: bytes) -> Decompressor:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: WINDOW_LOG})


def _zstd_error() -> type[Exception]:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd.ZstdError


IDENTITY = "identity"
OFFERED = ("gzip", "deflate", "zstd")
CODINGS: Mapping[str, MakeDecompressor] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "zstd": _zstd,
}
"""The codings that are decoded; `x-gzip` is an old name of gzip."""

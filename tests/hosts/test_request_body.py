"""Bodies of requests: sizes, encodings, bombs, and clients that leave or take too long."""

from __future__ import annotations

import asyncio
import gzip
import sys
import zlib
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from starlette.requests import Request

from inference.api.http_types import ClientGone
from inference.errors import ApiError, InvalidJson, RequestTimedOut, RequestTooLarge, UnsupportedMediaType
from inference.hosts import request_body
from inference.hosts.request_body import MOST_MEMBERS, decoded, read_body
from tests.safety.clock import simulate

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MOST = 100
TEXT = b"x" * MOST
ENCODE: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstd.compress,
}


def raw_deflate(data: bytes) -> bytes:
    encoder = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return encoder.compress(data) + encoder.flush()


def request(chunks: Iterable[bytes | None], **headers: str) -> Request:
    """Return a request with the chunks of a body; after None the client says nothing more."""
    messages = iter(chunks)

    async def receive() -> dict[str, Any]:
        chunk = next(messages, b"")
        if chunk is None:
            await asyncio.sleep(10_000)
        return {"type": "http.request", "body": chunk, "more_body": chunk != b""}

    fields = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "headers": fields}, receive)


@pytest.mark.parametrize("coding", ENCODE)
def test_a_body_of_the_limit_is_decoded(coding: str) -> None:
    assert decoded(ENCODE[coding](TEXT), coding, MOST) == TEXT


@pytest.mark.parametrize("coding", ENCODE)
@pytest.mark.parametrize("size", [MOST + 1, 10_000_000])
def test_a_body_that_decodes_to_more_is_refused(coding: str, size: int) -> None:
    with pytest.raises(RequestTooLarge, match="The decoded body is larger than 100 bytes"):
        decoded(ENCODE[coding](b"x" * size), coding, MOST)


def test_a_bomb_is_decoded_no_further_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths: list[int] = []

    class Bomb:
        """A decoder of a body without an end."""

        eof, unused_data = False, b""

        def decompress(self, _: bytes, max_length: int, /) -> bytes:
            lengths.append(max_length)
            return b"x" * max_length

    monkeypatch.setattr(request_body, "CODINGS", {"gzip": lambda _: Bomb()})
    with pytest.raises(RequestTooLarge):
        decoded(b"bomb", "gzip", MOST)
    assert lengths == [MOST + 1]


def test_deflate_without_its_header_is_decoded_too() -> None:
    assert decoded(raw_deflate(TEXT), "deflate", MOST) == TEXT


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_members_are_joined_within_the_limit(coding: str) -> None:
    member = ENCODE[coding](b"x" * 50)
    assert decoded(member * 2, coding, MOST) == TEXT
    with pytest.raises(RequestTooLarge):
        decoded(member * 3, coding, MOST)


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_members_without_content_are_limited(coding: str) -> None:
    empty = ENCODE[coding](b"")
    assert decoded(empty * MOST_MEMBERS, coding, MOST) == b""
    with pytest.raises(InvalidJson, match="has more than 16 members"):
        decoded(empty * (MOST_MEMBERS + 1), coding, MOST)


@pytest.mark.parametrize("coding", ENCODE)
def test_a_body_that_is_cut_is_refused(coding: str) -> None:
    for body in (ENCODE[coding](TEXT)[:-3], b""):
        with pytest.raises(InvalidJson, match=f"The body in the encoding {coding} ends too early"):
            decoded(body, coding, MOST)


@pytest.mark.parametrize("coding", ENCODE)
def test_a_body_in_another_format_is_refused(coding: str) -> None:
    with pytest.raises(InvalidJson, match=f"The body is not in the encoding {coding}"):
        decoded(b'\xff\xff{"messages": []}', coding, MOST)


def test_a_zstd_window_beyond_the_one_of_http_is_refused() -> None:
    options: dict[int, int] = {
        zstd.CompressionParameter.window_log: 24,
        zstd.CompressionParameter.content_size_flag: 0,
    }
    encoder = zstd.ZstdCompressor(options=options)
    body = encoder.compress(b"x" * 1000) + encoder.flush()
    with pytest.raises(InvalidJson, match="The body is not in the encoding zstd"):
        decoded(body, "zstd", MOST)


async def test_the_whole_body_is_read() -> None:
    assert await read_body(request([b"ab", b"c"]), MOST, 60) == b"abc"


async def test_a_body_that_is_declared_too_large_is_not_read() -> None:
    with pytest.raises(RequestTooLarge, match="The body is larger than 100 bytes"):
        await read_body(request([None], content_length="101"), MOST, 60)


async def test_a_compressed_body_that_is_too_large_as_it_comes_is_refused() -> None:
    with pytest.raises(RequestTooLarge, match="The body is larger than 100 bytes"):
        await read_body(request([b"x" * 60, b"x" * 60], content_encoding="gzip"), MOST, 60)


async def test_an_unknown_encoding_is_refused_before_the_body_is_read() -> None:
    with pytest.raises(UnsupportedMediaType, match="one of gzip, deflate, zstd, not 'br'"):
        await read_body(request([None], content_encoding="br"), MOST, 60)


def test_a_body_that_does_not_come_in_time_is_refused_and_its_connection_closed() -> None:
    async def refusal() -> ApiError:
        with pytest.raises(RequestTimedOut, match="did not come whole within 60 seconds") as caught:
            await read_body(request([b"{", None]), MOST, 60)
        return caught.value

    assert simulate(refusal()).headers == {"Connection": "close"}


async def test_a_client_that_leaves_within_its_body_is_no_error_of_the_server() -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    with pytest.raises(ClientGone):
        await read_body(Request({"type": "http", "method": "POST", "headers": []}, receive), MOST, 60)

"""Endpoints that break TLS, HTTP or HTTP/2: an error with a status, and a connection that is used no more."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from inference.backends.remote import transport
from inference.backends.remote.endpoint import RemoteEndpoint
from inference.errors import UpstreamError, UpstreamUnreachable
from tests.backends.remote.remotes import card_of, collect, proxy_request, text_of
from tests.backends.remote.upstream import chat, chunk, event
from tests.support.network_faults import (
    BAD_RECORD,
    BODY_FAULTS,
    BODY_FRAMES,
    DATA,
    ENCODING_FAULTS,
    FRAMES,
    HEAD_FAULTS,
    STARTED,
    TEXT_FAULTS,
    Fault,
    Tls,
    answering,
    breaks_connection,
    faulty_server,
    frame,
    http2_answering,
    trusted_certificate,
    whole,
)

STREAM_ALONE = ("a reset stream", "a status that is no number", "data after its end")
"""Faults whose connection may be used again, until it is seen to be closed."""
BOTH = pytest.mark.parametrize("stream", [False, True])


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the pauses between attempts."""
    monkeypatch.setattr(transport, "BACKOFF_SECONDS", 0)


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return trusted_certificate(tmp_path, monkeypatch)


def fine_body(*, stream: bool) -> bytes:
    if stream:
        return event(chunk("fine", reason="stop")) + b"data: [DONE]\n\n"
    return json.dumps(chat("fine")).encode()


async def error_of(
    fault: Fault, fine: Fault, *, tls: bool, stream: bool, follow: bool = True
) -> UpstreamError:
    """Return the error of a request whose connection has a fault; the next request is answered."""
    with faulty_server(fault, fine, tls=tls) as server:
        card = card_of(server.url, timeout_seconds=5, connect_seconds=5, retries=0, connections=1)
        endpoint = RemoteEndpoint(card)
        with pytest.raises(UpstreamError) as caught:
            await collect(endpoint, proxy_request(stream=stream))
        if follow:
            assert text_of(await collect(endpoint, proxy_request(stream=stream))) == "fine"
        await endpoint.aclose()
    return caught.value


@BOTH
@pytest.mark.parametrize("name", HEAD_FAULTS)
async def test_a_response_that_never_started_is_unreachable(name: str, stream: bool) -> None:
    fine = answering(whole(fine_body(stream=stream)))
    error = await error_of(HEAD_FAULTS[name], fine, tls=False, stream=stream)
    assert (type(error), error.status, error.headers) == (UpstreamUnreachable, 503, {"Retry-After": "2"})


@BOTH
@pytest.mark.parametrize("name", [*BODY_FAULTS, *ENCODING_FAULTS])
async def test_a_response_that_broke_off_or_cannot_be_decompressed_is_a_bad_gateway(
    name: str, stream: bool
) -> None:
    fine = answering(whole(fine_body(stream=stream)))
    error = await error_of({**BODY_FAULTS, **ENCODING_FAULTS}[name], fine, tls=False, stream=stream)
    assert error.status == 502
    if name != "gzip that ends early":  # the decompressor does not notice, but the text ends early
        assert error.headers == {"Retry-After": "2"}


@BOTH
@pytest.mark.parametrize("name", TEXT_FAULTS)
async def test_a_response_that_cannot_be_read_is_a_bad_gateway(name: str, stream: bool) -> None:
    fine = answering(whole(fine_body(stream=stream)))
    assert (await error_of(TEXT_FAULTS[name], fine, tls=False, stream=stream)).status == 502


@BOTH
async def test_faults_of_tls_before_a_response_are_unreachable(certificate: Path, stream: bool) -> None:
    tls = Tls(certificate)
    fine = tls.over(answering(whole(fine_body(stream=stream))))
    for name, fault in {**tls.handshake, **tls.head}.items():
        error = await error_of(fault, fine, tls=True, stream=stream)
        assert (error.status, error.headers) == (503, {"Retry-After": "2"}), name


@BOTH
async def test_faults_of_tls_within_a_response_are_a_bad_gateway(certificate: Path, stream: bool) -> None:
    tls = Tls(certificate)
    fine = tls.over(answering(whole(fine_body(stream=stream))))
    for name, fault in tls.body.items():
        error = await error_of(fault, fine, tls=True, stream=stream)
        assert (error.status, error.headers) == (502, {"Retry-After": "2"}), name


def http2_fine(*, stream: bool) -> Fault:
    return http2_answering(STARTED, frame(DATA, 1, 1, fine_body(stream=stream)))


@BOTH
@pytest.mark.parametrize("name", FRAMES)
async def test_frames_that_break_http2_are_an_error_and_their_connection_is_left(
    name: str, stream: bool, certificate: Path
) -> None:
    tls = Tls(certificate, "h2")
    fault = tls.over(http2_answering(FRAMES[name], closing=not breaks_connection(name)))
    follow = name not in STREAM_ALONE
    error = await error_of(fault, tls.over(http2_fine(stream=stream)), tls=True, stream=stream, follow=follow)
    assert error.status in (502, 503)
    assert error.headers == {"Retry-After": "2"}


@BOTH
@pytest.mark.parametrize("name", BODY_FRAMES)
async def test_frames_that_break_http2_within_a_body_are_an_error_and_their_connection_is_left(
    name: str, stream: bool, certificate: Path
) -> None:
    tls = Tls(certificate, "h2")
    fault = tls.over(http2_answering(STARTED, BODY_FRAMES[name], closing=not breaks_connection(name)))
    follow = name not in STREAM_ALONE
    error = await error_of(fault, tls.over(http2_fine(stream=stream)), tls=True, stream=stream, follow=follow)
    assert error.status in (502, 503)
    assert error.headers == {"Retry-After": "2"}


@BOTH
@pytest.mark.parametrize("started", [b"", STARTED])
async def test_a_bad_tls_record_under_http2_is_an_error(
    started: bytes, stream: bool, certificate: Path
) -> None:
    tls = Tls(certificate, "h2")
    fault = tls.over(http2_answering(started, raw=BAD_RECORD))
    error = await error_of(fault, tls.over(http2_fine(stream=stream)), tls=True, stream=stream)
    assert error.status in (502, 503)
    assert error.headers == {"Retry-After": "2"}


@pytest.mark.parametrize("host", ["no-such-name.invalid", "a..b", "x" * 64 + ".test", "xn--a.test"])
async def test_a_name_that_dns_cannot_resolve_is_unreachable(host: str) -> None:
    endpoint = RemoteEndpoint(card_of(f"https://{host}", retries=0))
    async with asyncio.timeout(20):
        with pytest.raises(UpstreamUnreachable) as caught:
            await collect(endpoint, proxy_request())
    assert caught.value.headers == {"Retry-After": "2"}
    await endpoint.aclose()

"""Signing keys: when they are fetched, and what follows when the issuer does not answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from inference.auth.jwks import (
    MAX_AGE,
    MIN_INTERVAL,
    MIN_INTERVAL_WITHOUT_KEYS,
    REFRESH_AFTER,
    FetchFailed,
    KeysById,
    SigningKeys,
    fetch_keys,
)
from inference.errors import IssuerUnreachable
from tests.support.issuers import CONFIGURATION, KEYS, TENANT, Issuer, issuing, private_key, public_jwk
from tests.support.network_faults import HTTP1_FAULTS, Tls, faulty_server, trusted_certificate


class FakeIssuer:
    """An issuer without a network, and a clock."""

    def __init__(self) -> None:
        self.kids = ["one"]
        self.up = True
        self.fetches = 0
        self.now = 1000.0
        self.gate = threading.Event()
        self.gate.set()

    def fetch(self) -> KeysById:
        self.fetches += 1
        assert self.gate.wait(timeout=10)
        if not self.up:
            raise FetchFailed("down")
        return {kid: private_key(kid).public_key() for kid in self.kids}

    def clock(self) -> float:
        return self.now


@pytest.fixture
def source() -> FakeIssuer:
    return FakeIssuer()


@pytest.fixture
def keys(source: FakeIssuer) -> SigningKeys:
    return SigningKeys(source.fetch, source.clock)


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with issuing() as made:
        yield made


async def background_fetch() -> None:
    """Wait for the fetch that no request waits for."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.wait_for(asyncio.gather(*others), timeout=10)


async def test_a_key_is_fetched_once_and_cached(keys: SigningKeys, source: FakeIssuer) -> None:
    for _ in range(3):
        assert await keys.find("one") == private_key("one").public_key()
    assert source.fetches == 1


async def test_concurrent_requests_wait_for_the_same_fetch(keys: SigningKeys, source: FakeIssuer) -> None:
    source.gate.clear()
    waiting = [asyncio.create_task(keys.find("one")) for _ in range(5)]
    await asyncio.sleep(0.01)
    waiting[0].cancel()
    source.gate.set()
    assert all(await asyncio.gather(*waiting[1:]))
    assert source.fetches == 1


async def test_an_unknown_key_is_fetched(keys: SigningKeys, source: FakeIssuer) -> None:
    await keys.find("one")
    source.kids, source.now = ["two"], source.now + MIN_INTERVAL
    assert await keys.find("two")
    assert await keys.find("one") is None
    assert source.fetches == 2


async def test_unknown_keys_cause_one_fetch_in_each_interval(keys: SigningKeys, source: FakeIssuer) -> None:
    await keys.find("one")
    for second in range(3 * MIN_INTERVAL):
        source.now = 1001 + second
        assert await keys.find(f"unknown {second}") is None
    assert source.fetches == 1 + 3


async def test_concurrent_unknown_keys_cause_one_fetch(keys: SigningKeys, source: FakeIssuer) -> None:
    found = await asyncio.gather(*(keys.find(f"unknown {number}") for number in range(50)))
    assert not any(found)
    assert source.fetches == 1


async def test_old_keys_are_refreshed_in_the_background(keys: SigningKeys, source: FakeIssuer) -> None:
    await keys.find("one")
    source.gate.clear()
    source.kids, source.now = ["two"], source.now + REFRESH_AFTER
    for _ in range(3):
        assert await keys.find("one")
    source.gate.set()
    await background_fetch()
    assert source.fetches == 2
    assert await keys.find("one") is None
    assert await keys.find("two")
    assert source.fetches == 2


async def test_very_old_keys_are_refreshed_before_they_are_used(
    keys: SigningKeys, source: FakeIssuer
) -> None:
    await keys.find("one")
    source.kids, source.now = ["two"], source.now + MAX_AGE
    assert await keys.find("one") is None
    assert source.fetches == 2


async def test_cached_keys_are_used_while_the_issuer_is_down(
    keys: SigningKeys, source: FakeIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    await keys.find("one")
    source.up = False
    for age in (MIN_INTERVAL, REFRESH_AFTER, MAX_AGE, 3 * MAX_AGE):
        source.now = 1000 + age
        assert await keys.find("one")
        await background_fetch()
    assert source.fetches == 1 + 3
    assert "could not be fetched: down" in caplog.text


async def test_without_any_keys_the_request_is_refused_with_a_retry_time(
    keys: SigningKeys, source: FakeIssuer
) -> None:
    source.up = False
    with pytest.raises(IssuerUnreachable) as refusal:
        await keys.find("one")
    assert refusal.value.headers == {"Retry-After": str(MIN_INTERVAL_WITHOUT_KEYS)}

    source.up, source.now = True, source.now + MIN_INTERVAL_WITHOUT_KEYS - 1
    with pytest.raises(IssuerUnreachable) as refusal:
        await keys.find("one")
    assert refusal.value.headers == {"Retry-After": "1"}
    assert source.fetches == 1

    source.now += 1
    assert await keys.find("one")


async def test_an_unknown_key_while_the_issuer_is_down_is_refused_with_a_retry_time(
    keys: SigningKeys, source: FakeIssuer
) -> None:
    """The key may be valid: the caller should retry rather than get another token."""
    await keys.find("one")
    source.up, source.now = False, source.now + MIN_INTERVAL
    with pytest.raises(IssuerUnreachable) as refusal:
        await keys.find("two")
    assert refusal.value.headers == {"Retry-After": str(MIN_INTERVAL)}
    assert await keys.find("one")

    source.up, source.now = True, source.now + MIN_INTERVAL
    assert await keys.find("unknown") is None


def test_usable_keys_of_an_issuer_are_fetched(issuer: Issuer) -> None:
    encryption = {**public_jwk("two"), "use": "enc"}
    nameless = {key: value for key, value in public_jwk("two").items() if key != "kid"}
    curve = {"kty": "EC", "kid": "curve", "use": "sig", "crv": "P-256"}
    broken = {"kty": "RSA", "kid": "broken", "use": "sig", "n": "!"}
    usual = {**public_jwk("one"), "x5t": "one", "x5c": ["MII"], "issuer": issuer.v2}
    issuer.pages[KEYS] = {"keys": [encryption, nameless, curve, broken, "text", usual]}
    assert fetch_keys(issuer.url, TENANT) == {"one": private_key("one").public_key()}
    assert issuer.asked == [CONFIGURATION, KEYS]


@pytest.mark.parametrize(
    ("path", "page"),
    [
        (CONFIGURATION, None),
        (CONFIGURATION, {}),
        (CONFIGURATION, []),
        (CONFIGURATION, {"jwks_uri": ""}),
        (CONFIGURATION, {"jwks_uri": "http://[host/"}),
        (CONFIGURATION, {"jwks_uri": 5}),
        (KEYS, None),
        (KEYS, {}),
        (KEYS, {"keys": 5}),
        (KEYS, {"keys": []}),
        (KEYS, {"keys": "text"}),
        (KEYS, {"keys": [{"kty": "RSA", "kid": "one", "n": "AQAB", "e": 5}]}),
    ],
)
def test_an_unexpected_response_of_the_issuer_fails(issuer: Issuer, path: str, page: Any) -> None:
    issuer.pages[path] = page
    with pytest.raises(FetchFailed):
        fetch_keys(issuer.url, TENANT)


def test_an_unreachable_issuer_fails() -> None:
    with issuing() as stopped:
        url = stopped.url
    with pytest.raises(FetchFailed, match="ConnectError"):
        fetch_keys(url, TENANT)


async def test_a_slow_issuer_does_not_block_the_event_loop(keys: SigningKeys, source: FakeIssuer) -> None:
    source.gate.clear()
    finding = asyncio.create_task(keys.find("one"))
    for _ in range(10):
        await asyncio.sleep(0.001)
    assert not finding.done()
    source.gate.set()
    assert await finding


async def test_keys_are_found_at_a_real_issuer(issuer: Issuer) -> None:
    keys = SigningKeys(partial(fetch_keys, issuer.url, TENANT))
    assert await keys.find("one") == private_key("one").public_key()
    assert await keys.find("two") is None
    assert issuer.fetches == 1


@pytest.mark.parametrize("name", HTTP1_FAULTS)
def test_every_fault_of_http_is_a_failed_fetch(name: str) -> None:
    with faulty_server(HTTP1_FAULTS[name]) as server, pytest.raises(FetchFailed):
        fetch_keys(server.url, "tenant")


def test_every_fault_of_tls_is_a_failed_fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tls = Tls(trusted_certificate(tmp_path, monkeypatch))
    for fault in {**tls.handshake, **tls.head, **tls.body}.values():
        with faulty_server(fault, tls=True) as server, pytest.raises(FetchFailed):
            fetch_keys(server.url, "tenant")

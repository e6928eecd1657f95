"""Signing keys: when the issuer is asked, and what happens when it does not answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from inference.auth.jwks import (
    FIRST_PAUSE,
    PAUSE,
    RENEWED_AFTER,
    TRUSTED_FOR,
    FetchFailed,
    KeysById,
    SigningKeys,
    fetch_keys,
)
from inference.errors import IssuerUnreachable
from tests.support.issuers import CONFIGURATION, KEYS, TENANT, Issuer, issuing, private_key, public_jwk


class Source:
    """An issuer without a network, and the clock."""

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
def source() -> Source:
    return Source()


@pytest.fixture
def keys(source: Source) -> SigningKeys:
    return SigningKeys(source.fetch, source.clock)


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with issuing() as made:
        yield made


async def settled() -> None:
    """Waits for the fetch that no request waits for."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.wait_for(asyncio.gather(*others), timeout=10)


async def test_a_key_is_fetched_once(keys: SigningKeys, source: Source) -> None:
    for _ in range(3):
        assert await keys.find("one") == private_key("one").public_key()
    assert source.fetches == 1


async def test_requests_at_the_same_time_wait_for_the_same_fetch(keys: SigningKeys, source: Source) -> None:
    source.gate.clear()
    waiting = [asyncio.create_task(keys.find("one")) for _ in range(5)]
    await asyncio.sleep(0.01)
    waiting[0].cancel()
    source.gate.set()
    assert all(await asyncio.gather(*waiting[1:]))
    assert source.fetches == 1


async def test_a_new_key_is_found_when_a_token_names_it(keys: SigningKeys, source: Source) -> None:
    await keys.find("one")
    source.kids, source.now = ["two"], source.now + PAUSE
    assert await keys.find("two")
    assert await keys.find("one") is None
    assert source.fetches == 2


async def test_unknown_keys_do_not_hammer_the_issuer(keys: SigningKeys, source: Source) -> None:
    await keys.find("one")
    for second in range(3 * PAUSE):
        source.now = 1001 + second
        assert await keys.find(f"unknown {second}") is None
    assert source.fetches == 1 + 3


async def test_unknown_keys_at_the_same_time_cost_one_fetch(keys: SigningKeys, source: Source) -> None:
    found = await asyncio.gather(*(keys.find(f"unknown {number}") for number in range(50)))
    assert not any(found)
    assert source.fetches == 1


async def test_old_keys_are_renewed_beside_the_request(keys: SigningKeys, source: Source) -> None:
    await keys.find("one")
    source.gate.clear()
    source.kids, source.now = ["two"], source.now + RENEWED_AFTER
    for _ in range(3):
        assert await keys.find("one")
    source.gate.set()
    await settled()
    assert source.fetches == 2
    assert await keys.find("one") is None
    assert await keys.find("two")
    assert source.fetches == 2


async def test_very_old_keys_are_renewed_before_they_are_used(keys: SigningKeys, source: Source) -> None:
    await keys.find("one")
    source.kids, source.now = ["two"], source.now + TRUSTED_FOR
    assert await keys.find("one") is None
    assert source.fetches == 2


async def test_kept_keys_serve_while_the_issuer_is_down(
    keys: SigningKeys, source: Source, caplog: pytest.LogCaptureFixture
) -> None:
    await keys.find("one")
    source.up = False
    for age in (PAUSE, RENEWED_AFTER, TRUSTED_FOR, 3 * TRUSTED_FOR):
        source.now = 1000 + age
        assert await keys.find("one")
        await settled()
    assert source.fetches == 1 + 3
    assert "could not be fetched: down" in caplog.text


async def test_without_any_keys_nobody_can_tell(keys: SigningKeys, source: Source) -> None:
    source.up = False
    with pytest.raises(IssuerUnreachable) as refusal:
        await keys.find("one")
    assert refusal.value.headers == {"Retry-After": str(FIRST_PAUSE)}

    source.up, source.now = True, source.now + FIRST_PAUSE - 1
    with pytest.raises(IssuerUnreachable) as refusal:
        await keys.find("one")
    assert refusal.value.headers == {"Retry-After": "1"}
    assert source.fetches == 1

    source.now += 1
    assert await keys.find("one")


async def test_a_new_key_while_the_issuer_is_down(keys: SigningKeys, source: Source) -> None:
    """It may be a good one: the caller is told to come back rather than that the token is wrong."""
    await keys.find("one")
    source.up, source.now = False, source.now + PAUSE
    with pytest.raises(IssuerUnreachable) as refusal:
        await keys.find("two")
    assert refusal.value.headers == {"Retry-After": str(PAUSE)}
    assert await keys.find("one")

    source.up, source.now = True, source.now + PAUSE
    assert await keys.find("unknown") is None


def test_keys_of_an_issuer(issuer: Issuer) -> None:
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
def test_issuers_that_say_something_else(issuer: Issuer, path: str, page: Any) -> None:
    issuer.pages[path] = page
    with pytest.raises(FetchFailed):
        fetch_keys(issuer.url, TENANT)


def test_an_issuer_that_is_not_there() -> None:
    with issuing() as gone:
        url = gone.url
    with pytest.raises(FetchFailed, match="ConnectError"):
        fetch_keys(url, TENANT)


async def test_the_event_loop_goes_on_while_the_issuer_is_slow(keys: SigningKeys, source: Source) -> None:
    source.gate.clear()
    finding = asyncio.create_task(keys.find("one"))
    for _ in range(10):
        await asyncio.sleep(0.001)
    assert not finding.done()
    source.gate.set()
    assert await finding


async def test_a_local_issuer_in_full(issuer: Issuer) -> None:
    keys = SigningKeys(partial(fetch_keys, issuer.url, TENANT))
    assert await keys.find("one") == private_key("one").public_key()
    assert await keys.find("two") is None
    assert issuer.fetches == 1

"""The keys that an issuer signs tokens with: fetched, cached by their id, refreshed in the background.

Requests wait for the issuer only if no cached key will do, and all of them for the same fetch. However many
tokens name unknown keys, the issuer receives at most one fetch in `MIN_INTERVAL` seconds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from math import ceil, inf
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

from inference.errors import IssuerUnreachable

if TYPE_CHECKING:
    import httpx
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

log = logging.getLogger(__name__)

KeysById: TypeAlias = "Mapping[str, RSAPublicKey]"

REFRESH_AFTER = 60 * 60
"""Age in seconds from which keys are refreshed in the background."""

MAX_AGE = 24 * 60 * 60
"""Age in seconds from which keys are refreshed before they are used; if that fails they are still used."""

MIN_INTERVAL = 60
"""Seconds between two fetches while there are keys."""

MIN_INTERVAL_WITHOUT_KEYS = 5
"""Seconds between two fetches while there are no keys: until one succeeds every token is refused."""

TIMEOUT = 5
"""Seconds for each step of a fetch: connecting, writing, reading."""


class FetchFailed(Exception):
    """The issuer cannot be reached, or its response has no keys; the message says which."""


class SigningKeys:
    """A cache of signing keys by their id, for one event loop."""

    def __init__(self, fetch: Callable[[], KeysById], clock: Callable[[], float] = monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._keys: KeysById = {}
        self._fetched = -inf
        self._tried = -inf
        self._failed = False
        self._refreshing: asyncio.Task[None] | None = None

    async def find(self, kid: str) -> RSAPublicKey | None:
        """Return the key of an id, or None if the issuer has none. Raises `IssuerUnreachable`."""
        age = self._clock() - self._fetched
        if kid not in self._keys or age >= MAX_AGE:
            if refreshing := self._refresh():
                # A request that is cancelled must not cancel the fetch that others wait for.
                await asyncio.shield(refreshing)
        elif age >= REFRESH_AFTER:
            self._refresh()
        if kid not in self._keys and self._failed:
            raise IssuerUnreachable(
                "The token cannot be verified now, because its issuer cannot be reached.",
                retry_after=max(1, ceil(self._seconds_to_next_fetch())),
            )
        return self._keys.get(kid)

    def _refresh(self) -> asyncio.Task[None] | None:
        """Return the fetch that is running, or a new one if the interval has passed."""
        if self._refreshing is None and self._seconds_to_next_fetch() <= 0:
            self._tried = self._clock()
            self._refreshing = asyncio.create_task(self._fetch_keys())
        return self._refreshing

    def _seconds_to_next_fetch(self) -> float:
        interval = MIN_INTERVAL if self._keys else MIN_INTERVAL_WITHOUT_KEYS
        return self._tried + interval - self._clock()

    async def _fetch_keys(self) -> None:
        try:
            # In a thread: the first fetch imports the HTTP client and reads the certificates.
            self._keys = await asyncio.to_thread(self._fetch)
            self._fetched, self._failed = self._clock(), False
        except FetchFailed as error:
            self._failed = True
            log.warning("The signing keys could not be fetched: %s", error)
        finally:
            self._refreshing = None


def fetch_keys(authority: str, tenant: str) -> KeysById:
    """Return a tenant's signing keys, found through its OpenID configuration.

    Blocks; raises `FetchFailed`.
    """
    import httpx
    import jwt

    secure = urlsplit(authority).scheme == "https"
    url = f"{authority}/{tenant}/v2.0/.well-known/openid-configuration"
    try:
        # A local issuer is reached without the proxy that the environment may name.
        with httpx.Client(timeout=TIMEOUT, trust_env=secure) as client:
            url = str(_get_object(client, url)["jwks_uri"])
            if secure and not url.startswith("https://"):
                raise FetchFailed(f"the keys of {authority} are not served over https")
            usable = [key for key in _get_object(client, url)["keys"] if _is_usable(key)]
        return {str(key.key_id): key.key for key in jwt.PyJWKSet.from_dict({"keys": usable}).keys}
    except FetchFailed:
        raise
    except Exception as error:
        # Of any kind, because the response may have any form, and ssl's errors pass through the HTTP client.
        raise FetchFailed(f"{url}: {type(error).__name__}: {error}") from error


def _get_object(client: httpx.Client, url: str) -> dict[str, Any]:
    """Return the JSON object at a URL. Raises `httpx.HTTPError` or `ValueError`."""
    body = client.get(url).raise_for_status().json()
    if not isinstance(body, dict):
        raise ValueError("not a JSON object")
    return body


def _is_usable(key: Any) -> bool:
    """Return True if an entry of a key set is an RSA key for signatures."""
    return (
        isinstance(key, dict) and key.get("kty") == "RSA" and key.get("use", "sig") == "sig" and "kid" in key
    )

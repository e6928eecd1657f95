"""The keys that an issuer signs tokens with: fetched from it, kept by their id, renewed beside requests.

Requests wait for the issuer only where no kept key can answer, and all of them for the same fetch. However
many tokens name keys that do not exist, the issuer is asked at most once in `PAUSE` seconds.
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

RENEWED_AFTER = 60 * 60
"""Older keys are renewed beside the request that found them."""

TRUSTED_FOR = 24 * 60 * 60
"""Older keys are renewed before they are used; where that fails they are still used."""

PAUSE = 60
"""Between two fetches, while there are keys."""

FIRST_PAUSE = 5
"""Between two fetches, while there are none: nobody can be admitted by a token until one succeeds."""

TIMEOUT = 5
"""For each step of a fetch: connecting, writing, reading."""


class FetchFailed(Exception):
    """The issuer could not be asked, or what it said holds no keys; the message says which."""


class SigningKeys:
    """Finds a key by its id; belongs to one event loop."""

    def __init__(self, fetch: Callable[[], KeysById], clock: Callable[[], float] = monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._keys: KeysById = {}
        self._fetched = -inf
        self._tried = -inf
        self._failed = False
        self._renewal: asyncio.Task[None] | None = None

    async def find(self, kid: str) -> RSAPublicKey | None:
        """The key of that id, or nothing where the issuer has none. Raises `IssuerUnreachable`."""
        age = self._clock() - self._fetched
        if kid not in self._keys or age >= TRUSTED_FOR:
            if renewal := self._renew():
                # One caller who goes away must not take the fetch from the others.
                await asyncio.shield(renewal)
        elif age >= RENEWED_AFTER:
            self._renew()
        if kid not in self._keys and self._failed:
            raise IssuerUnreachable(
                "The token cannot be verified now, because its issuer cannot be reached.",
                retry_after=max(1, ceil(self._wait())),
            )
        return self._keys.get(kid)

    def _renew(self) -> asyncio.Task[None] | None:
        """The fetch that is under way, or a new one where it is time for one."""
        if self._renewal is None and self._wait() <= 0:
            self._tried = self._clock()
            self._renewal = asyncio.create_task(self._fetch_keys())
        return self._renewal

    def _wait(self) -> float:
        pause = PAUSE if self._keys else FIRST_PAUSE
        return self._tried + pause - self._clock()

    async def _fetch_keys(self) -> None:
        try:
            # In a thread: the first fetch imports the HTTP client and reads the certificates.
            self._keys = await asyncio.to_thread(self._fetch)
            self._fetched, self._failed = self._clock(), False
        except FetchFailed as failure:
            self._failed = True
            log.warning("The signing keys could not be fetched: %s", failure)
        finally:
            self._renewal = None


def fetch_keys(authority: str, tenant: str) -> KeysById:
    """A tenant's keys, by way of its OpenID configuration. Blocks; raises `FetchFailed`."""
    import httpx
    import jwt

    secure = urlsplit(authority).scheme == "https"
    address = f"{authority}/{tenant}/v2.0/.well-known/openid-configuration"
    try:
        # A local issuer is reached without the proxy that the environment may name.
        with httpx.Client(timeout=TIMEOUT, trust_env=secure) as client:
            address = str(_read(client, address)["jwks_uri"])
            if secure and not address.startswith("https://"):
                raise FetchFailed(f"the keys of {authority} are not served over https")
            usable = [key for key in _read(client, address)["keys"] if _usable(key)]
        return {str(key.key_id): key.key for key in jwt.PyJWKSet.from_dict({"keys": usable}).keys}
    except (httpx.HTTPError, httpx.InvalidURL, jwt.PyJWTError, ValueError, KeyError, TypeError) as error:
        raise FetchFailed(f"{address}: {type(error).__name__}: {error}") from error


def _read(client: httpx.Client, address: str) -> dict[str, Any]:
    answer = client.get(address).raise_for_status().json()
    if not isinstance(answer, dict):
        raise ValueError("not a JSON object")
    return answer


def _usable(key: Any) -> bool:
    return (
        isinstance(key, dict) and key.get("kty") == "RSA" and key.get("use", "sig") == "sig" and "kid" in key
    )

"""Who may call: keys, compared in constant time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import compare_digest

from inference.errors import Unauthorized
from inference.settings import Settings

REFUSAL = (
    "Auth token validation failed. Access token is missing, invalid, audience is incorrect, or have expired."
)
NO_KEYS = (
    "Auth token validation failed. This endpoint has no keys yet: set INFERENCE_API_KEYS, or "
    "INFERENCE_ANONYMOUS=true to answer everyone."
)


@dataclass(frozen=True, slots=True)
class Authority:
    """Accepts a request when one of its two headers holds a configured key."""

    keys: tuple[bytes, ...] = field(repr=False)
    anonymous: bool

    @classmethod
    def from_settings(cls, settings: Settings, *, loopback: bool) -> Authority:
        """Without keys an endpoint is open to this machine alone, or to all where the operator says so."""
        keys = tuple(_digest(key) for key in settings.api_keys)
        return cls(keys, anonymous=settings.anonymous or (loopback and not keys))

    def admit(self, headers: Mapping[str, str]) -> None:
        """Raises `Unauthorized`. Clients may send a key in both headers; one right one is enough."""
        if self.anonymous:
            return
        if not self.keys:
            raise Unauthorized(NO_KEYS)
        offered = [_digest(text) for text in _credentials(headers)]
        # Every pair is compared, so that the time taken tells nothing about which key came near.
        matches = [compare_digest(mine, theirs) for mine in self.keys for theirs in offered]
        if not any(matches):
            raise Unauthorized(REFUSAL)


def _credentials(headers: Mapping[str, str]) -> list[str]:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" else ""
    return [text for text in (headers.get("api-key", ""), bearer) if text]


def _digest(text: str) -> bytes:
    # Equal lengths: compare_digest may return early for unequal ones.
    return sha256(text.encode()).digest()

"""Who may call: keys, compared in constant time, and beside them tokens of a Microsoft Entra tenant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from hmac import compare_digest

from inference.auth.entra import InvalidToken, Tokens, looks_like_token
from inference.auth.jwks import SigningKeys, fetch_keys
from inference.errors import Unauthorized
from inference.settings import Settings

FAILED = "Auth token validation failed."
"""What clients look for in a 401."""

REFUSAL = f"{FAILED} Access token is missing, invalid, audience is incorrect, or have expired."
NOT_SET_UP = (
    f"{FAILED} This endpoint has no keys and accepts no tokens yet: set INFERENCE_API_KEYS, or "
    "INFERENCE_ENTRA_TENANT, or INFERENCE_ANONYMOUS=true to answer everyone."
)


@dataclass(frozen=True, slots=True)
class Authority:
    """Accepts a request when one of its two headers holds a configured key, or its bearer is a good token."""

    keys: tuple[bytes, ...] = field(repr=False)
    tokens: Tokens | None
    anonymous: bool

    @classmethod
    def from_settings(cls, settings: Settings, *, loopback: bool) -> Authority:
        """An endpoint with neither keys nor tokens is open to this machine alone, or to all where the
        operator says so."""
        keys = tuple(_digest(key) for key in settings.api_keys)
        tokens = _tokens(settings) if settings.entra_tenant else None
        return cls(keys, tokens, anonymous=settings.anonymous or (loopback and not settings.has_credentials))

    async def admit(self, headers: Mapping[str, str]) -> None:
        """Raises `Unauthorized` or `IssuerUnreachable`. Clients may send a key in both headers; one right
        one is enough."""
        bearer = _bearer(headers)
        if self.anonymous or self._holds_key(headers.get("api-key", ""), bearer):
            return
        if self.tokens is None or not looks_like_token(bearer):
            raise Unauthorized(REFUSAL if self.keys or self.tokens else NOT_SET_UP)
        try:
            await self.tokens.verify(bearer)
        except InvalidToken as reason:
            raise Unauthorized(f"{FAILED} {reason}") from None

    def _holds_key(self, *offered: str) -> bool:
        theirs = [_digest(text) for text in offered if text]
        # Every pair is compared, so that the time taken tells nothing about which key came near.
        matches = [compare_digest(mine, other) for mine in self.keys for other in theirs]
        return any(matches)


def _tokens(settings: Settings) -> Tokens:
    keys = SigningKeys(partial(fetch_keys, settings.entra_authority, settings.entra_tenant))
    return Tokens.from_settings(settings, keys.find)


def _bearer(headers: Mapping[str, str]) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _digest(text: str) -> bytes:
    # Equal lengths: compare_digest may return early for unequal ones.
    return sha256(text.encode()).digest()

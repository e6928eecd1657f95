"""Authentication of requests: API keys, compared in constant time, or tokens of a Microsoft Entra tenant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from hmac import compare_digest

from inference.auth.entra import InvalidToken, TokenVerifier, looks_like_token
from inference.auth.jwks import SigningKeys, fetch_keys
from inference.errors import Unauthorized
from inference.settings import Settings

FAILED = "Auth token validation failed."
"""The start of every 401's message, which clients of Azure AI match."""

INVALID_CREDENTIALS = f"{FAILED} Access token is missing, invalid, audience is incorrect, or have expired."
NO_CREDENTIALS_CONFIGURED = (
    f"{FAILED} This endpoint has no keys and accepts no tokens yet: set INFERENCE_API_KEYS, or "
    "INFERENCE_ENTRA_TENANT, or INFERENCE_ANONYMOUS=true to answer everyone."
)


@dataclass(frozen=True, slots=True)
class Authenticator:
    """The credentials that an endpoint accepts."""

    keys: tuple[bytes, ...] = field(repr=False)
    """SHA-256 digests of the API keys."""
    tokens: TokenVerifier | None
    anonymous: bool
    """True if requests without credentials are served."""

    @classmethod
    def from_settings(cls, settings: Settings, *, loopback: bool) -> Authenticator:
        """Return the credentials that the settings accept.

        Without keys and tokens, requests are served if `loopback` says that only this machine can send any,
        or if the settings allow anonymous requests.
        """
        keys = tuple(_digest(key) for key in settings.api_keys)
        tokens = _token_verifier(settings) if settings.entra_tenant else None
        return cls(keys, tokens, anonymous=settings.anonymous or (loopback and not settings.has_credentials))

    async def authenticate(self, headers: Mapping[str, str]) -> None:
        """Accept a request by its headers, of which one valid credential is enough.

        Raises `Unauthorized`, and `IssuerUnreachable` if a token cannot be verified now.
        """
        bearer = _bearer(headers)
        if self.anonymous or self._is_key(headers.get("api-key", ""), bearer):
            return
        if self.tokens is None or not looks_like_token(bearer):
            raise Unauthorized(INVALID_CREDENTIALS if self.keys or self.tokens else NO_CREDENTIALS_CONFIGURED)
        try:
            await self.tokens.verify(bearer)
        except InvalidToken as error:
            raise Unauthorized(f"{FAILED} {error}") from None

    def _is_key(self, *candidates: str) -> bool:
        """Return True if one of the candidates is an API key."""
        digests = [_digest(candidate) for candidate in candidates if candidate]
        # Every pair is compared, so that the duration reveals nothing about the keys.
        matches = [compare_digest(key, digest) for key in self.keys for digest in digests]
        return any(matches)


def _token_verifier(settings: Settings) -> TokenVerifier:
    keys = SigningKeys(partial(fetch_keys, settings.entra_authority, settings.entra_tenant))
    return TokenVerifier.from_settings(settings, keys.find)


def _bearer(headers: Mapping[str, str]) -> str:
    """Return the bearer credential of `Authorization`; empty where there is none."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _digest(text: str) -> bytes:
    # compare_digest may return early for unequal lengths.
    return sha256(text.encode()).digest()

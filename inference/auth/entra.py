"""Access tokens of Microsoft Entra: verification of those that callers send, and the app's own.

A tenant issues tokens of two versions, and both are accepted: v1 tokens come from the security token service,
v2 tokens from the authority. The signature is verified first, so that no claim of a forged token is used.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

from inference.settings import Settings

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken, TokenCredential
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

FindKey: TypeAlias = "Callable[[str], Awaitable[RSAPublicKey | None]]"

ALGORITHM = "RS256"
"""The algorithm that Entra signs with. No other is accepted: `none` and the symmetric ones allow forgery."""

LEEWAY = 5 * 60
"""Seconds that this machine's clock and the issuer's may differ by."""

MAX_CHARACTERS = 16 * 1024
"""Characters of the longest token accepted; a token with 200 groups has about 10,000."""

REQUIRED_CLAIMS = ("exp", "iat", "nbf", "iss", "aud", "tid")
"""Claims that every access token of Entra has; a token without one of them is refused."""

TOKEN = re.compile(r"eyJ[\w-]*\.[\w-]*\.[\w-]*", re.ASCII)
"""Three parts, the first of which is base64 of text that starts with `{"`."""

STS = "https://sts.windows.net"
STS_BY_AUTHORITY = {
    "login.partner.microsoftonline.cn": "https://sts.chinacloudapi.cn",
    "login.chinacloudapi.cn": "https://sts.chinacloudapi.cn",
}
"""Issuers of v1 tokens by the host of the authority; `STS` for every other."""

REASONS = {
    "ExpiredSignatureError": "The token has expired: get a new one.",
    "ImmatureSignatureError": "The token is not valid yet: the caller's clock or this machine's is wrong.",
    "InvalidSignatureError": "The token's signature is wrong.",
}
UNREADABLE = "The token cannot be read."


class InvalidToken(Exception):
    """A token that is refused; the message has the reason and nothing of the token."""


def looks_like_token(text: str) -> bool:
    """Return True if a bearer has the form of a JSON Web Token, which an API key rarely has."""
    return TOKEN.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class TokenVerifier:
    """The conditions for access tokens of one tenant."""

    tenant: str
    issuers: tuple[str, ...]
    audiences: tuple[str, ...]
    roles: tuple[str, ...]
    find_key: FindKey = field(repr=False)

    @classmethod
    def from_settings(cls, settings: Settings, find_key: FindKey) -> TokenVerifier:
        """Return the conditions in the settings; `find_key` returns the signing key of an id."""
        tenant, authority = settings.entra_tenant, settings.entra_authority
        sts = STS_BY_AUTHORITY.get(urlsplit(authority).hostname or "", STS)
        issuers = (f"{sts}/{tenant}/", f"{authority}/{tenant}/v2.0")
        audiences = tuple(name.rstrip("/") for name in settings.entra_audiences)
        return cls(tenant, issuers, audiences, settings.entra_roles, find_key)

    async def verify(self, token: str) -> None:
        """Verify the signature and the claims of a token.

        Raises `InvalidToken`, and `IssuerUnreachable` if the signing keys cannot be fetched.
        """
        if len(token) > MAX_CHARACTERS:
            raise InvalidToken(f"The token is longer than {MAX_CHARACTERS} characters.")
        # In a thread: the first token imports cryptography, and every token takes computation.
        key = await self.find_key(await asyncio.to_thread(_key_id, token))
        if key is None:
            raise InvalidToken("The token is signed with a key that the tenant's issuer does not publish.")
        await asyncio.to_thread(self._check, token, key)

    def _check(self, token: str, key: RSAPublicKey) -> None:
        claims = self._claims(token, key)
        if claims["tid"] != self.tenant:
            raise InvalidToken(f"The token is of another tenant, expected {self.tenant}.")
        roles = claims.get("roles")
        if self.roles and not (isinstance(roles, list) and any(role in roles for role in self.roles)):
            raise InvalidToken(f"The token has none of the roles {', '.join(self.roles)}.")

    def _claims(self, token: str, key: RSAPublicKey) -> Mapping[str, Any]:
        import jwt

        try:
            return jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                issuer=list(self.issuers),
                audience=[name + suffix for name in self.audiences for suffix in ("", "/")],
                leeway=LEEWAY,
                options={"require": list(REQUIRED_CLAIMS)},
            )
        except (jwt.InvalidTokenError, RecursionError) as error:
            raise InvalidToken(self._reason(error)) from None

    def _reason(self, error: Exception) -> str:
        """Return the sentence for an error of the JWT library, by its name: the library is imported late."""
        kind = type(error).__name__
        if kind == "InvalidAudienceError":
            return f"The token's audience is incorrect, expected one of {', '.join(self.audiences)}."
        if kind == "InvalidIssuerError":
            return f"The token's issuer is incorrect, expected one of {', '.join(self.issuers)}."
        if kind == "MissingRequiredClaimError":
            return f"The token has no claim {getattr(error, 'claim', '')!r}."
        return REASONS.get(kind, UNREADABLE)


def _key_id(token: str) -> str:
    """Return the id of the signing key that a token names, before it is verified. Raises `InvalidToken`."""
    import jwt

    try:
        header = jwt.get_unverified_header(token)
    except (jwt.InvalidTokenError, RecursionError):
        raise InvalidToken(UNREADABLE) from None
    if header.get("alg") != ALGORITHM:
        raise InvalidToken(f"The token is not signed with {ALGORITHM}.")
    if not (kid := header.get("kid")):
        raise InvalidToken("The token does not name the key it is signed with.")
    return str(kid)


class AppIdentity:
    """The app's own identity: an asynchronous `DefaultAzureCredential`.

    It runs the synchronous one in a thread, because azure-identity's asynchronous one needs aiohttp.
    """

    def __init__(self, credential: TokenCredential | None = None) -> None:
        self._credential = credential

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """Return an access token for the scopes."""
        return await asyncio.to_thread(self._token, *scopes, **options)

    async def close(self) -> None:
        """Do nothing: no connection stays open between tokens."""

    async def __aenter__(self) -> AppIdentity:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _token(self, *scopes: str, **options: Any) -> AccessToken:
        if self._credential is None:
            from azure.identity import DefaultAzureCredential

            self._credential = DefaultAzureCredential()
        return self._credential.get_token(*scopes, **options)

"""Access tokens of one Microsoft Entra tenant: what a token must be to be let in.

Both generations are accepted, and a tenant issues both: v1 tokens come from the security token service, v2
tokens from the authority. The signature is verified first, so that no claim of a forged token is looked at.
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
"""What Entra signs with. A list of one: `none` and the symmetric algorithms are how tokens are forged."""

LEEWAY = 5 * 60
"""How far, in seconds, this machine's clock and the issuer's may be apart."""

LONGEST = 16 * 1024
"""Characters of the longest token that is read; a token with 200 groups has about 10,000."""

CLAIMS = ("exp", "iat", "nbf", "iss", "aud", "tid")
"""Claims that every access token of Entra has, and without which none is accepted."""

TOKEN = re.compile(r"eyJ[\w-]*\.[\w-]*\.[\w-]*", re.ASCII)
"""Three parts, the first of which begins as JSON does."""

STS = "https://sts.windows.net"
STS_ELSEWHERE = {
    "login.partner.microsoftonline.cn": "https://sts.chinacloudapi.cn",
    "login.chinacloudapi.cn": "https://sts.chinacloudapi.cn",
}
"""Who issues v1 tokens, by the authority's host where it is someone else."""

REASONS = {
    "ExpiredSignatureError": "The token has expired: get a new one.",
    "ImmatureSignatureError": "The token is not valid yet: the caller's clock or this machine's is wrong.",
    "InvalidSignatureError": "The token's signature is wrong.",
}
UNREADABLE = "The token cannot be read."


class InvalidToken(Exception):
    """A token is refused; the message says why and holds nothing of the token."""


def looks_like_token(text: str) -> bool:
    """Whether a bearer is a JSON Web Token rather than a key."""
    return TOKEN.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Tokens:
    """Verifies the access tokens of one tenant."""

    tenant: str
    issuers: tuple[str, ...]
    audiences: tuple[str, ...]
    roles: tuple[str, ...]
    find_key: FindKey = field(repr=False)

    @classmethod
    def from_settings(cls, settings: Settings, find_key: FindKey) -> Tokens:
        tenant, authority = settings.entra_tenant, settings.entra_authority
        sts = STS_ELSEWHERE.get(urlsplit(authority).hostname or "", STS)
        issuers = (f"{sts}/{tenant}/", f"{authority}/{tenant}/v2.0")
        audiences = tuple(name.rstrip("/") for name in settings.entra_audiences)
        return cls(tenant, issuers, audiences, settings.entra_roles, find_key)

    async def verify(self, token: str) -> None:
        """Raises `InvalidToken`, and `IssuerUnreachable` where that cannot be told."""
        if len(token) > LONGEST:
            raise InvalidToken(f"The token is longer than {LONGEST} characters.")
        # In a thread: the first token imports the cryptography, and every one is arithmetic.
        key = await self.find_key(await asyncio.to_thread(_key_id, token))
        if key is None:
            raise InvalidToken("The token is signed with a key that the tenant's issuer does not name.")
        await asyncio.to_thread(self._check, token, key)

    def _check(self, token: str, key: RSAPublicKey) -> None:
        claims = self._claims(token, key)
        if claims["tid"] != self.tenant:
            raise InvalidToken(f"The token is of another tenant, expected {self.tenant}.")
        held = claims.get("roles")
        if self.roles and not (isinstance(held, list) and any(role in held for role in self.roles)):
            raise InvalidToken(f"The token carries none of the roles {', '.join(self.roles)}.")

    def _claims(self, token: str, key: RSAPublicKey) -> Mapping[str, Any]:
        import jwt

        try:
            return jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                issuer=list(self.issuers),
                audience=[name + end for name in self.audiences for end in ("", "/")],
                leeway=LEEWAY,
                options={"require": list(CLAIMS)},
            )
        except (jwt.InvalidTokenError, RecursionError) as error:
            raise InvalidToken(self._reason(error)) from None

    def _reason(self, error: Exception) -> str:
        kind = type(error).__name__
        if kind == "InvalidAudienceError":
            return f"The token's audience is incorrect, expected one of {', '.join(self.audiences)}."
        if kind == "InvalidIssuerError":
            return f"The token's issuer is incorrect, expected one of {', '.join(self.issuers)}."
        if kind == "MissingRequiredClaimError":
            return f"The token has no claim {getattr(error, 'claim', '')!r}."
        return REASONS.get(kind, UNREADABLE)


def _key_id(token: str) -> str:
    """The id of the key that signed a token, which is not verified yet. Raises `InvalidToken`."""
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
    """`DefaultAzureCredential`, asked in a thread: its asynchronous twin would need another HTTP library."""

    def __init__(self, credential: TokenCredential | None = None) -> None:
        self._credential = credential

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        return await asyncio.to_thread(self._token, *scopes, **options)

    async def close(self) -> None:
        """Nothing is open between tokens."""

    async def __aenter__(self) -> AppIdentity:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _token(self, *scopes: str, **options: Any) -> AccessToken:
        if self._credential is None:
            from azure.identity import DefaultAzureCredential

            self._credential = DefaultAzureCredential()
        return self._credential.get_token(*scopes, **options)

"""Credentials for an endpoint: a key from a setting, or tokens of the app's own identity."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary

from inference.cards.card import CARD_FILE, CardError
from inference.cards.remote import RemoteApi, RemoteCard
from inference.errors import DeploymentBroken, UpstreamUnreachable

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken

log = logging.getLogger(__name__)

REFRESH_MARGIN = 300
"""Seconds before its expiry that a token is renewed."""


class Identity(Protocol):
    """A source of access tokens."""

    async def get_token(self, *scopes: str) -> AccessToken: ...


class Credential:
    """The authorization headers of requests to one endpoint; the repr shows no secret."""

    def __init__(self, remote: RemoteCard, name: str, identity: Identity | None = None) -> None:
        """Read the key. Raises `CardError` if the setting that holds it is empty or unusable."""
        self._name = name
        self._scope = remote.identity_scope
        self._key = _read_key(remote)
        self._headers = _key_headers(self._key, remote.dialect) if self._key else {}
        self._identity = identity
        self._token: AccessToken | None = None
        self._locks: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()

    async def headers(self) -> Mapping[str, str]:
        """Return the headers, with a token renewed if needed.

        Raises `DeploymentBroken` without a token, `UpstreamUnreachable` where its issuer cannot be reached.
        """
        if not self._scope:
            return self._headers
        async with self._locks.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            if self._token is None or self._token.expires_on - REFRESH_MARGIN < time.time():
                self._token = await self._get_token()
        return {"Authorization": f"Bearer {self._token.token}"}

    def discard_token(self) -> None:
        """Discard the token after a 401, so that the next request gets a new one."""
        self._token = None

    def redact(self, text: str) -> str:
        """Return an endpoint's text without the secret."""
        for secret in (self._key, self._token.token if self._token else ""):
            text = text.replace(secret, "***") if secret else text
        return text

    async def _get_token(self) -> AccessToken:
        from azure.core.exceptions import AzureError, ServiceRequestError, ServiceResponseError

        if self._identity is None:
            from inference.auth.entra import AppIdentity

            self._identity = AppIdentity()
        try:
            return await self._identity.get_token(self._scope)
        except Exception as error:  # noqa: BLE001
            log.error("No token for %s of %s: %s", self._scope, self._name, type(error).__name__)
            message = f"The deployment {self._name} gets no token for its endpoint."
            network = isinstance(error, ServiceRequestError | ServiceResponseError)
            if isinstance(error, AzureError) and not network:
                raise DeploymentBroken(message) from None
            raise UpstreamUnreachable(message) from None


def _read_key(remote: RemoteCard) -> str:
    if not remote.key_setting:
        return ""
    key = os.environ.get(remote.key_setting, "").strip()
    if not key:
        raise CardError(f"{CARD_FILE}: remote.key_setting: the setting {remote.key_setting} is empty")
    if not (key.isascii() and key.isprintable()):
        raise CardError(
            f"{CARD_FILE}: remote.key_setting: the setting {remote.key_setting} must be printable ASCII, "
            "because it is sent as a header"
        )
    return key


def _key_headers(key: str, remote_api: RemoteApi) -> Mapping[str, str]:
    """Return the headers in which the SDKs of an API send a key."""
    if remote_api is RemoteApi.AZURE_OPENAI:
        return {"api-key": key}
    bearer = {"Authorization": f"Bearer {key}"}
    return bearer if remote_api is RemoteApi.OPENAI else {**bearer, "api-key": key}

"""By which right an endpoint is asked: the headers of a key, or of the app's own identity."""

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
from inference.errors import DeploymentBroken

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken

log = logging.getLogger(__name__)

EARLY = 300
"""Seconds before its end that a token is renewed."""


class Identity(Protocol):
    """Who gives tokens."""

    async def get_token(self, *scopes: str) -> AccessToken: ...


class Credential:
    """Gives the headers of a request. Its repr tells nothing."""

    def __init__(self, remote: RemoteCard, name: str, identity: Identity | None = None) -> None:
        """Raises `CardError` when the setting that holds the key is empty."""
        self._name = name
        self._scope = remote.identity_scope
        self._key = _key_of(remote)
        self._headers = _of_key(self._key, remote.dialect) if self._key else {}
        self._identity = identity
        self._token: AccessToken | None = None
        self._asking: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()

    async def headers(self) -> Mapping[str, str]:
        """Raises `DeploymentBroken` when the identity gets no token."""
        if not self._scope:
            return self._headers
        async with self._asking.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            if self._token is None or self._token.expires_on - EARLY < time.time():
                self._token = await self._ask()
        return {"Authorization": f"Bearer {self._token.token}"}

    def forget(self) -> None:
        """After a 401: the next request asks for a new token."""
        self._token = None

    def redact(self, text: str) -> str:
        """The text without the secret, should an endpoint repeat it."""
        for secret in (self._key, self._token.token if self._token else ""):
            text = text.replace(secret, "***") if secret else text
        return text

    async def _ask(self) -> AccessToken:
        from azure.core.exceptions import AzureError

        if self._identity is None:
            from inference.auth.entra import AppIdentity

            self._identity = AppIdentity()
        try:
            return await self._identity.get_token(self._scope)
        except AzureError as error:
            log.error("No token for %s of %s: %s", self._scope, self._name, type(error).__name__)
            raise DeploymentBroken(f"The deployment {self._name} gets no token for its endpoint.") from None


def _key_of(remote: RemoteCard) -> str:
    if not remote.key_setting:
        return ""
    key = os.environ.get(remote.key_setting, "").strip()
    if not key:
        raise CardError(f"{CARD_FILE}: remote.key_setting: the setting {remote.key_setting} is empty")
    if not (key.isascii() and key.isprintable()):
        raise CardError(f"{CARD_FILE}: remote.key_setting: {remote.key_setting} holds no header's text")
    return key


def _of_key(key: str, dialect: RemoteApi) -> Mapping[str, str]:
    """As the endpoint's own SDK sends it."""
    if dialect is RemoteApi.AZURE_OPENAI:
        return {"api-key": key}
    bearer = {"Authorization": f"Bearer {key}"}
    return bearer if dialect is RemoteApi.OPENAI else {**bearer, "api-key": key}

"""The app's identity as an asynchronous credential: azure-identity is imported with the first token."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken, TokenCredential


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

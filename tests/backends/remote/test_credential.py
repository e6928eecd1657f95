"""Keys from settings, tokens from the app's identity."""

from __future__ import annotations

import asyncio
import time

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError

from inference.backends.remote.credential import EARLY, Credential
from inference.cards.card import CardError
from inference.cards.remote import RemoteCard
from inference.errors import DeploymentBroken
from tests.backends.remote.remotes import card_of

SCOPE = "https://cognitiveservices.azure.com/.default"


class Identity:
    """Gives numbered tokens, or none."""

    def __init__(self, *, lasts: float = 3600, fails: bool = False) -> None:
        self.asked: list[str] = []
        self._lasts = lasts
        self._fails = fails

    async def get_token(self, *scopes: str) -> AccessToken:
        self.asked += scopes
        await asyncio.sleep(0)
        if self._fails:
            raise ClientAuthenticationError("no identity: secret details")
        return AccessToken(f"token-{len(self.asked)}", int(time.time() + self._lasts))


def remote_of(**where: str) -> RemoteCard:
    remote = card_of(**where).remote
    assert remote is not None
    return remote


async def test_a_token_is_asked_for_once_by_all() -> None:
    identity = Identity()
    credential = Credential(remote_of(identity_scope=SCOPE), "far", identity)
    found = await asyncio.gather(*(credential.headers() for _ in range(5)))
    assert found == [{"Authorization": "Bearer token-1"}] * 5
    assert identity.asked == [SCOPE]
    assert credential.redact("it was token-1") == "it was ***"


async def test_an_old_token_is_renewed() -> None:
    identity = Identity(lasts=EARLY - 1)
    credential = Credential(remote_of(identity_scope=SCOPE), "far", identity)
    await credential.headers()
    assert await credential.headers() == {"Authorization": "Bearer token-2"}


async def test_a_refused_token_is_forgotten() -> None:
    credential = Credential(remote_of(identity_scope=SCOPE), "far", Identity())
    await credential.headers()
    credential.forget()
    assert await credential.headers() == {"Authorization": "Bearer token-2"}


async def test_no_token_is_a_broken_deployment(caplog: pytest.LogCaptureFixture) -> None:
    credential = Credential(remote_of(identity_scope=SCOPE), "far", Identity(fails=True))
    with pytest.raises(DeploymentBroken):
        await credential.headers()
    assert "secret details" not in caplog.text


@pytest.mark.parametrize("key", [None, "", "  ", "two\nlines", "umläut"])
def test_a_setting_without_a_usable_key(key: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if key is not None:
        monkeypatch.setenv("FAR_KEY", key)
    with pytest.raises(CardError, match=r"remote\.key_setting.*FAR_KEY") as caught:
        Credential(remote_of(key_setting="FAR_KEY"), "far")
    assert not key or not key.strip() or key not in str(caught.value)


async def test_without_a_right_nothing_is_shown() -> None:
    assert await Credential(remote_of(), "far").headers() == {}

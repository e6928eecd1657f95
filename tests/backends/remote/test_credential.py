"""Keys from settings and tokens of the app's identity."""

from __future__ import annotations

import asyncio
import time
from ssl import SSLError

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError

from inference.backends.remote.credential import REFRESH_MARGIN, Credential
from inference.cards.card import CardError
from inference.cards.remote import RemoteCard
from inference.errors import DeploymentBroken, UpstreamUnreachable
from tests.backends.remote.remotes import card_of

SCOPE = "https://cognitiveservices.azure.com/.default"


class Identity:
    """An identity of numbered tokens, or of none."""

    def __init__(self, *, lasts: float = 3600, fails: bool = False) -> None:
        self.scopes: list[str] = []
        self._lasts = lasts
        self._fails = fails

    async def get_token(self, *requested: str) -> AccessToken:
        self.scopes += requested
        await asyncio.sleep(0)
        if self._fails:
            raise ClientAuthenticationError("no identity: secret details")
        return AccessToken(f"token-{len(self.scopes)}", int(time.time() + self._lasts))


def remote_of(**options: str) -> RemoteCard:
    remote = card_of(**options).remote
    assert remote is not None
    return remote


async def test_concurrent_requests_share_one_token() -> None:
    identity = Identity()
    credential = Credential(remote_of(identity_scope=SCOPE), "far", identity)
    found = await asyncio.gather(*(credential.headers() for _ in range(5)))
    assert found == [{"Authorization": "Bearer token-1"}] * 5
    assert identity.scopes == [SCOPE]
    assert credential.redact("it was token-1") == "it was ***"


async def test_a_token_near_its_expiry_is_renewed() -> None:
    identity = Identity(lasts=REFRESH_MARGIN - 1)
    credential = Credential(remote_of(identity_scope=SCOPE), "far", identity)
    await credential.headers()
    assert await credential.headers() == {"Authorization": "Bearer token-2"}


async def test_a_discarded_token_is_replaced() -> None:
    credential = Credential(remote_of(identity_scope=SCOPE), "far", Identity())
    await credential.headers()
    credential.discard_token()
    assert await credential.headers() == {"Authorization": "Bearer token-2"}


async def test_a_failing_identity_is_a_broken_deployment(caplog: pytest.LogCaptureFixture) -> None:
    credential = Credential(remote_of(identity_scope=SCOPE), "far", Identity(fails=True))
    with pytest.raises(DeploymentBroken):
        await credential.headers()
    assert "secret details" not in caplog.text


@pytest.mark.parametrize("error", [ServiceRequestError("secret details"), SSLError("secret details")])
async def test_an_issuer_that_cannot_be_reached_is_worth_another_request(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    class Unreachable(Identity):
        async def get_token(self, *_: str) -> AccessToken:
            raise error

    credential = Credential(remote_of(identity_scope=SCOPE), "far", Unreachable())
    with pytest.raises(UpstreamUnreachable) as caught:
        await credential.headers()
    assert caught.value.headers == {"Retry-After": "2"}
    assert "secret details" not in caplog.text


@pytest.mark.parametrize("key", [None, "", "  ", "two\nlines", "umläut"])
def test_a_setting_without_a_usable_key_is_refused(key: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if key is not None:
        monkeypatch.setenv("FAR_KEY", key)
    with pytest.raises(CardError, match=r"remote\.key_setting.*FAR_KEY") as caught:
        Credential(remote_of(key_setting="FAR_KEY"), "far")
    assert not key or not key.strip() or key not in str(caught.value)


async def test_without_key_or_scope_there_are_no_headers() -> None:
    assert await Credential(remote_of(), "far").headers() == {}

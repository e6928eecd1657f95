"""Authentication by API keys, by tokens, and by both."""

from collections.abc import Iterator

import pytest

from inference.auth.authority import Authenticator
from inference.errors import Unauthorized
from inference.settings import Settings
from tests.support.issuers import TENANT, Issuer, issuing

KEYS = Settings(api_keys=("first", "second"))


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with issuing() as made:
        yield made


async def refusal(settings: Settings, headers: dict[str, str], *, loopback: bool = False) -> str:
    """Return the message of a refused request; empty if it is accepted."""
    try:
        await Authenticator.from_settings(settings, loopback=loopback).authenticate(headers)
    except Unauthorized as error:
        return error.message
    return ""


@pytest.mark.parametrize(
    ("headers", "accepted"),
    [
        ({"api-key": "first"}, True),
        ({"api-key": "second"}, True),
        ({"authorization": "Bearer first"}, True),
        ({"authorization": "bearer first"}, True),
        ({"api-key": "wrong", "authorization": "Bearer second"}, True),
        ({"api-key": "first", "authorization": "Bearer wrong"}, True),
        ({}, False),
        ({"api-key": "First"}, False),
        ({"api-key": ""}, False),
        ({"authorization": "first"}, False),
        ({"authorization": "Basic first"}, False),
        ({"authorization": "Bearer "}, False),
        ({"api-key": "schlüssel"}, False),
        ({"authorization": "Bearer eyJ.eyJ."}, False),
    ],
)
@pytest.mark.parametrize("loopback", [True, False])
async def test_one_valid_key_in_either_header_is_accepted(
    headers: dict[str, str], accepted: bool, loopback: bool
) -> None:
    assert (await refusal(KEYS, headers, loopback=loopback) == "") is accepted


@pytest.mark.parametrize(
    ("anonymous", "loopback", "accepted"), [(False, True, True), (True, False, True), (False, False, False)]
)
async def test_without_keys_only_this_machine_is_served_unless_anonymous_is_set(
    anonymous: bool, loopback: bool, accepted: bool
) -> None:
    assert (await refusal(Settings(anonymous=anonymous), {}, loopback=loopback) == "") is accepted


async def test_a_tenant_requires_tokens_on_this_machine_too() -> None:
    assert await refusal(Settings(entra_tenant=TENANT), {}, loopback=True)
    assert not await refusal(Settings(entra_tenant=TENANT, anonymous=True), {})


@pytest.mark.parametrize("credential", ["wrong", "eyJ.eyJ."])
async def test_a_refusal_has_the_message_and_the_header_that_clients_expect(credential: str) -> None:
    authority = Authenticator.from_settings(Settings(entra_tenant=TENANT), loopback=False)
    with pytest.raises(Unauthorized, match="Auth token validation failed") as refused:
        await authority.authenticate({"authorization": f"Bearer {credential}"})
    assert refused.value.headers == {"WWW-Authenticate": "Bearer"}


async def test_the_refusal_of_an_endpoint_without_keys_names_the_settings() -> None:
    sentence = await refusal(Settings(), {"api-key": "any"})
    assert "INFERENCE_API_KEYS" in sentence
    assert "INFERENCE_ENTRA_TENANT" in sentence


def test_keys_are_not_printed() -> None:
    assert "first" not in repr(Authenticator.from_settings(KEYS, loopback=False))


async def test_a_valid_key_or_a_valid_token_is_accepted(issuer: Issuer) -> None:
    settings = Settings(api_keys=("first",), entra_tenant=TENANT, entra_authority=issuer.url)
    token, stale = issuer.token(), issuer.token(exp=1)

    assert not await refusal(settings, {"authorization": f"Bearer {token}"})
    assert not await refusal(settings, {"authorization": f"bearer  {token}"})
    assert not await refusal(settings, {"authorization": f"Bearer {token}", "api-key": "wrong"})
    assert not await refusal(settings, {"authorization": f"Bearer {stale}", "api-key": "first"})
    assert "has expired" in await refusal(settings, {"authorization": f"Bearer {stale}", "api-key": "wrong"})


async def test_a_token_in_the_api_key_header_is_refused(issuer: Issuer) -> None:
    settings = Settings(entra_tenant=TENANT, entra_authority=issuer.url)
    assert "missing" in await refusal(settings, {"api-key": issuer.token()})


async def test_a_bearer_without_the_form_of_a_token_is_compared_with_the_keys_only(issuer: Issuer) -> None:
    settings = Settings(api_keys=("a.b.c",), entra_tenant=TENANT, entra_authority=issuer.url)
    assert not await refusal(settings, {"authorization": "Bearer a.b.c"})
    assert "missing" in await refusal(settings, {"authorization": "Bearer a.b.d"})
    assert issuer.asked == []


async def test_a_key_with_the_form_of_a_token_is_accepted(issuer: Issuer) -> None:
    settings = Settings(api_keys=("eyJ.b.c",), entra_tenant=TENANT, entra_authority=issuer.url)
    assert not await refusal(settings, {"authorization": "Bearer eyJ.b.c"})
    assert issuer.asked == []


async def test_the_message_of_a_refused_token_has_nothing_of_it(issuer: Issuer) -> None:
    settings = Settings(entra_tenant=TENANT, entra_authority=issuer.url)
    for token in (issuer.token(exp=1), issuer.token(aud="secret"), "eyJzZWNyZXQ.secret.secret"):
        sentence = await refusal(settings, {"authorization": f"Bearer {token}"})
        assert not any(part in sentence for part in (*token.split("."), "secret") if part)

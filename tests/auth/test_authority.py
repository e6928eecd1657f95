"""Keys, and tokens beside them."""

from collections.abc import Iterator

import pytest

from inference.auth.authority import Authority
from inference.errors import Unauthorized
from inference.settings import Settings
from tests.support.issuers import TENANT, Issuer, issuing

KEYS = Settings(api_keys=("first", "second"))


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with issuing() as made:
        yield made


async def refusal(settings: Settings, headers: dict[str, str], *, loopback: bool = False) -> str:
    """Why a request is refused, or nothing."""
    try:
        await Authority.from_settings(settings, loopback=loopback).admit(headers)
    except Unauthorized as error:
        return error.message
    return ""


@pytest.mark.parametrize(
    ("headers", "fine"),
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
async def test_one_right_key_in_either_header_will_do(
    headers: dict[str, str], fine: bool, loopback: bool
) -> None:
    assert (await refusal(KEYS, headers, loopback=loopback) == "") is fine


@pytest.mark.parametrize(
    ("anonymous", "loopback", "fine"), [(False, True, True), (True, False, True), (False, False, False)]
)
async def test_without_keys_this_machine_or_everyone_by_choice(
    anonymous: bool, loopback: bool, fine: bool
) -> None:
    assert (await refusal(Settings(anonymous=anonymous), {}, loopback=loopback) == "") is fine


async def test_a_tenant_locks_this_machine_out_as_a_key_does() -> None:
    assert await refusal(Settings(entra_tenant=TENANT), {}, loopback=True)
    assert not await refusal(Settings(entra_tenant=TENANT, anonymous=True), {})


@pytest.mark.parametrize("credential", ["wrong", "eyJ.eyJ."])
async def test_the_refusal_says_what_clients_look_for(credential: str) -> None:
    authority = Authority.from_settings(Settings(entra_tenant=TENANT), loopback=False)
    with pytest.raises(Unauthorized, match="Auth token validation failed") as refused:
        await authority.admit({"authorization": f"Bearer {credential}"})
    assert refused.value.headers == {"WWW-Authenticate": "Bearer"}


async def test_the_refusal_of_an_endpoint_without_keys_says_what_to_set() -> None:
    sentence = await refusal(Settings(), {"api-key": "any"})
    assert "INFERENCE_API_KEYS" in sentence
    assert "INFERENCE_ENTRA_TENANT" in sentence


def test_keys_are_not_printed() -> None:
    assert "first" not in repr(Authority.from_settings(KEYS, loopback=False))


async def test_keys_and_tokens_side_by_side(issuer: Issuer) -> None:
    settings = Settings(api_keys=("first",), entra_tenant=TENANT, entra_authority=issuer.url)
    token, stale = issuer.token(), issuer.token(exp=1)

    assert not await refusal(settings, {"authorization": f"Bearer {token}"})
    assert not await refusal(settings, {"authorization": f"bearer  {token}"})
    assert not await refusal(settings, {"authorization": f"Bearer {token}", "api-key": "wrong"})
    assert not await refusal(settings, {"authorization": f"Bearer {stale}", "api-key": "first"})
    assert "has expired" in await refusal(settings, {"authorization": f"Bearer {stale}", "api-key": "wrong"})


async def test_a_token_is_looked_for_in_one_header_only(issuer: Issuer) -> None:
    settings = Settings(entra_tenant=TENANT, entra_authority=issuer.url)
    assert "missing" in await refusal(settings, {"api-key": issuer.token()})


async def test_a_bearer_that_is_no_token_is_only_compared_with_the_keys(issuer: Issuer) -> None:
    settings = Settings(api_keys=("a.b.c",), entra_tenant=TENANT, entra_authority=issuer.url)
    assert not await refusal(settings, {"authorization": "Bearer a.b.c"})
    assert "missing" in await refusal(settings, {"authorization": "Bearer a.b.d"})
    assert issuer.asked == []


async def test_a_key_may_look_like_a_token(issuer: Issuer) -> None:
    settings = Settings(api_keys=("eyJ.b.c",), entra_tenant=TENANT, entra_authority=issuer.url)
    assert not await refusal(settings, {"authorization": "Bearer eyJ.b.c"})
    assert issuer.asked == []


async def test_a_refused_token_is_not_repeated(issuer: Issuer) -> None:
    settings = Settings(entra_tenant=TENANT, entra_authority=issuer.url)
    for token in (issuer.token(exp=1), issuer.token(aud="secret"), "eyJzZWNyZXQ.secret.secret"):
        sentence = await refusal(settings, {"authorization": f"Bearer {token}"})
        assert not any(part in sentence for part in (*token.split("."), "secret") if part)

"""Verification of tokens: those that are accepted, and the messages of those that are not."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import jwt
import pytest

from inference.auth.entra import LEEWAY, MAX_CHARACTERS, InvalidToken, TokenVerifier, looks_like_token
from inference.auth.jwks import SigningKeys, fetch_keys
from inference.settings import PROJECT, InvalidSetting, Settings
from tests.support.issuers import (
    AUDIENCE,
    OTHER_TENANT,
    TENANT,
    Issuer,
    claims_of,
    forge,
    issuing,
    private_key,
    public_pem,
    sign,
    sign_bytes,
)


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with issuing() as made:
        yield made


async def refusal(issuer: Issuer, token: str, **changes: Any) -> str:
    """Return the message of a refused token; empty if it is accepted."""
    settings = Settings(**{"entra_tenant": TENANT, "entra_authority": issuer.url, **changes})
    keys = SigningKeys(partial(fetch_keys, settings.entra_authority, settings.entra_tenant))
    try:
        await TokenVerifier.from_settings(settings, keys.find).verify(token)
    except InvalidToken as reason:
        return str(reason)
    return ""


async def test_tokens_of_both_versions_are_accepted(issuer: Issuer) -> None:
    assert await refusal(issuer, sign(claims_of(issuer.v1, ver="1.0"))) == ""
    assert await refusal(issuer, sign(claims_of(issuer.v2, ver="2.0"))) == ""


@pytest.mark.parametrize("end", ["", "/"])
@pytest.mark.parametrize(
    "audience", ["https://ml.azure.com", "https://cognitiveservices.azure.com", "https://ai.azure.com"]
)
async def test_audiences_that_clients_request_by_default_are_accepted(
    issuer: Issuer, audience: str, end: str
) -> None:
    assert await refusal(issuer, issuer.token(aud=audience + end)) == ""


async def test_audiences_in_the_settings_replace_the_default_ones(issuer: Issuer) -> None:
    mine = ("api://mine/", "22222222-3333-4444-5555-666666666666")
    for audience in ("api://mine", "api://mine/", mine[1], ["another", mine[1]]):
        assert await refusal(issuer, issuer.token(aud=audience), entra_audiences=mine) == ""
    assert "api://mine, 2222" in await refusal(issuer, issuer.token(), entra_audiences=mine)


@pytest.mark.parametrize(
    ("claim", "seconds", "reason"),
    [
        ("exp", 60 - LEEWAY, None),
        ("nbf", LEEWAY - 60, None),
        ("iat", LEEWAY - 60, None),
        ("exp", -LEEWAY - 60, "has expired"),
        ("nbf", LEEWAY + 60, "not valid yet"),
        ("iat", LEEWAY + 60, "not valid yet"),
    ],
)
async def test_clocks_may_differ_by_five_minutes(
    issuer: Issuer, claim: str, seconds: int, reason: str | None
) -> None:
    message = await refusal(issuer, issuer.token(**{claim: int(time.time()) + seconds}))
    assert reason in message if reason else not message


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"exp": 0}, "has expired"),
        ({"exp": "soon"}, "cannot be read"),
        ({"aud": "https://graph.microsoft.com"}, f"audience is incorrect, expected one of .*{AUDIENCE}"),
        ({"aud": AUDIENCE + "/deeper"}, "audience is incorrect"),
        ({"aud": AUDIENCE.upper()}, "audience is incorrect"),
        ({"aud": []}, "audience is incorrect|no claim 'aud'"),
        ({"aud": 5}, "audience is incorrect"),
        ({"iss": "https://sts.windows.net/" + TENANT}, "issuer is incorrect, expected one of https://sts"),
        ({"iss": f"https://sts.windows.net/{OTHER_TENANT}/"}, "issuer is incorrect"),
        ({"iss": f"https://login.microsoftonline.com/{TENANT}/v2.0"}, "issuer is incorrect"),
        ({"iss": ["https://sts.windows.net/"]}, "issuer is incorrect"),
        ({"tid": OTHER_TENANT}, f"another tenant, expected {TENANT}"),
        ({"tid": [TENANT]}, "another tenant"),
        *(({name: None}, f"has no claim '{name}'") for name in ("exp", "iat", "nbf", "iss", "aud", "tid")),
    ],
)
async def test_a_wrong_claim_is_refused_with_its_reason(
    issuer: Issuer, changes: dict[str, Any], reason: str
) -> None:
    assert re.search(reason, await refusal(issuer, issuer.token(**changes)))


async def test_a_token_without_a_required_role_is_refused(issuer: Issuer) -> None:
    required = {"entra_roles": ("reader", "writer")}
    assert await refusal(issuer, issuer.token(roles=["writer", "other"]), **required) == ""
    for roles in (["other"], [], "reader", None, [["reader"]]):
        message = await refusal(issuer, issuer.token(roles=roles), **required)
        assert "none of the roles reader, writer" in message


async def test_a_wrong_signature_is_refused(issuer: Issuer) -> None:
    claims = claims_of(issuer.v2)
    assert "signature is wrong" in await refusal(issuer, sign(claims, "another", named="one"))
    head, _, tail = issuer.token().split(".")
    other = issuer.token(sub="someone else").split(".")[1]
    assert "signature is wrong" in await refusal(issuer, f"{head}.{other}.{tail}")
    assert "signature is wrong" in await refusal(issuer, f"{head}.{other}.")


async def test_a_signing_key_that_the_issuer_does_not_publish_is_refused(issuer: Issuer) -> None:
    assert "does not publish" in await refusal(issuer, issuer.token("another"))


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", None, ["RS256"]])
async def test_a_token_without_a_signature_is_refused(issuer: Issuer, algorithm: Any) -> None:
    token = forge(claims_of(issuer.v2), {"alg": algorithm, "kid": "one", "typ": "JWT"})
    assert await refusal(issuer, token)


async def test_the_public_key_used_as_a_secret_is_refused(issuer: Issuer) -> None:
    header = {"alg": "HS256", "kid": "one", "typ": "JWT"}
    token = forge(claims_of(issuer.v2), header, secret=public_pem("one"))
    assert "not signed with RS256" in await refusal(issuer, token)


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256"])
async def test_another_algorithm_with_the_right_key_is_refused(issuer: Issuer, algorithm: str) -> None:
    token = jwt.encode(claims_of(issuer.v2), private_key("one"), algorithm=algorithm, headers={"kid": "one"})
    assert "not signed with RS256" in await refusal(issuer, token)


@pytest.mark.parametrize("kid", [None, "", 5])
async def test_a_token_that_names_no_key_is_refused(issuer: Issuer, kid: Any) -> None:
    assert await refusal(issuer, forge(claims_of(issuer.v2), {"alg": "RS256", "kid": kid}))


async def test_a_key_in_the_token_itself_is_not_used(issuer: Issuer) -> None:
    own = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(private_key("another").public_key()))
    token = jwt.encode(
        claims_of(issuer.v2),
        private_key("another"),
        algorithm="RS256",
        headers={"kid": "one", "jwk": own, "jku": "https://example.org/keys"},
    )
    assert "signature is wrong" in await refusal(issuer, token)


@pytest.mark.parametrize(
    "token",
    [
        "eyJ..",
        "eyJ.eyJ.eyJ",
        "eyJhbGciOiJSUzI1NiJ9",
        "eyJhbGciOiJSUzI1NiJ9.e30.AA",
        "eyJhbGciOiJSUzI1NiJ9.!.AA",
        "eyJhIjpbW" + "1tb" * 4000 + ".e30.AA",
        "W" + "1tb" * 4000 + ".e30.AA",
    ],
)
async def test_a_malformed_token_is_refused_without_a_fetch(issuer: Issuer, token: str) -> None:
    before = issuer.fetches
    assert await refusal(issuer, token)
    assert issuer.fetches == before


async def test_claims_that_are_not_a_json_object_are_refused(issuer: Issuer) -> None:
    for payload in (b"[]", b"5", b"{", b"\xff", b"[" * 5000):
        assert "cannot be read" in await refusal(issuer, sign_bytes(payload, "one"))


async def test_a_huge_token_is_refused(issuer: Issuer) -> None:
    token = issuer.token(padding="x" * MAX_CHARACTERS)
    assert f"longer than {MAX_CHARACTERS} characters" in await refusal(issuer, token)
    assert await refusal(issuer, issuer.token(groups=[TENANT] * 200)) == ""


@pytest.mark.parametrize(
    ("text", "like"),
    [
        ("eyJhbGciOiJub25lIn0.e30.", True),
        ("eyJhbGciOiJub25lIn0.e30.AA", True),
        ("eyJhbGciOiJub25lIn0.e30", False),
        ("a.b.c", False),
        ("eyJ.e30.AA.AA.AA", False),
        ("eyJ.é.AA", False),
        ("eyJ.a b.AA", False),
        ("", False),
    ],
)
def test_three_base64_parts_look_like_a_token(text: str, like: bool) -> None:
    assert looks_like_token(text) is like


@pytest.mark.parametrize(
    ("authority", "sts"),
    [
        ("https://login.microsoftonline.com", "https://sts.windows.net"),
        ("https://login.microsoftonline.us", "https://sts.windows.net"),
        ("https://login.partner.microsoftonline.cn", "https://sts.chinacloudapi.cn"),
    ],
)
def test_sovereign_clouds_have_their_own_issuers(authority: str, sts: str) -> None:
    keys = SigningKeys(dict)
    tokens = TokenVerifier.from_settings(Settings(entra_tenant=TENANT, entra_authority=authority), keys.find)
    assert tokens.issuers == (f"{sts}/{TENANT}/", f"{authority}/{TENANT}/v2.0")


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("INFERENCE_ENTRA_TENANT", "common"),
        ("INFERENCE_ENTRA_TENANT", "contoso.onmicrosoft.com"),
        ("INFERENCE_ENTRA_AUTHORITY", "login.microsoftonline.com"),
        ("INFERENCE_ENTRA_AUTHORITY", "http://login.microsoftonline.com"),
        ("INFERENCE_ENTRA_AUTHORITY", "http://127.0.0.1.example.org"),
        ("INFERENCE_ENTRA_AUTHORITY", "http://localhost@example.org"),
        ("INFERENCE_ENTRA_AUTHORITY", "https://"),
        ("INFERENCE_ENTRA_AUTHORITY", "https://[host"),
        ("INFERENCE_ENTRA_AUTHORITY", "https://host?query"),
        ("INFERENCE_ENTRA_AUTHORITY", "ftp://host"),
    ],
)
def test_an_invalid_setting_is_refused_with_its_name(variable: str, text: str) -> None:
    with pytest.raises(InvalidSetting, match=variable):
        Settings.from_environment({variable: text})


def test_settings_are_normalized() -> None:
    settings = Settings.from_environment(
        {
            "INFERENCE_ENTRA_TENANT": TENANT.upper() + " ",
            "INFERENCE_ENTRA_AUTHORITY": "http://[::1]:8080/",
            "INFERENCE_ENTRA_AUDIENCES": "api://mine, other",
        }
    )
    assert settings.entra_tenant == TENANT
    assert settings.entra_authority == "http://[::1]:8080"
    assert settings.entra_audiences == ("api://mine", "other")


def test_libraries_are_imported_with_the_first_token() -> None:
    code = (
        "import asyncio, sys\n"
        "from inference.auth.authority import Authenticator\n"
        "from inference.errors import Unauthorized\n"
        "from inference.settings import Settings\n"
        f"authority = Authenticator.from_settings(Settings(entra_tenant={TENANT!r}), loopback=False)\n"
        "try:\n"
        "    asyncio.run(authority.authenticate({'authorization': 'Bearer key'}))\n"
        "except Unauthorized:\n"
        "    assert not {'jwt', 'cryptography', 'httpx'} & set(sys.modules)\n"
        "    print('refused')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("refused\n", "")

"""Entra tokens, issued by this machine to an endpoint that also has a key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from azure.ai.inference import ChatCompletionsClient
from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError

from tests.http.refusals import openai_refusal, refusal
from tests.http.servers import MESSAGES, Server, end, running, spawn, url_of
from tests.support.decoders import write_decoder
from tests.support.issuers import TENANT, Issuer, issuing, sign

KEY = "the-key"
SAY: Any = [{"role": "user", "content": "Say something."}]
BODY = {"messages": MESSAGES, "max_tokens": 1}


def entra(issuer: Issuer, **settings: str) -> dict[str, str]:
    return {"INFERENCE_ENTRA_TENANT": TENANT, "INFERENCE_ENTRA_AUTHORITY": issuer.url, **settings}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with issuing() as made:
        yield made


@pytest.fixture(scope="module")
def models(workplace: Path) -> Path:
    write_decoder(workplace / "entra")
    return workplace / "entra"


@pytest.fixture(scope="module")
def guarded(models: Path, workplace: Path, issuer: Issuer) -> Iterator[Server]:
    """An endpoint that takes a key or a token."""
    with running(models, workplace / "entra.log", **entra(issuer, INFERENCE_API_KEYS=KEY)) as server:
        yield server


def test_tokens_and_keys_side_by_side(guarded: Server, issuer: Issuer) -> None:
    for headers in (
        bearer(issuer.token()),
        bearer(issuer.token(iss=issuer.v1)),
        bearer(KEY),
        {"api-key": KEY},
    ):
        assert guarded.post("/chat/completions", BODY, headers=headers).status_code == 200
        assert guarded.get("/info", headers=headers).status_code == 200
        assert guarded.get("/openai/v1/models", headers=headers).status_code == 200
    assert issuer.fetches == 1


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "missing"),
        (bearer("wrong"), "missing"),
        (bearer("eyJ.eyJ.eyJ"), "cannot be read"),
    ],
)
@pytest.mark.parametrize("base", ["", "/openai/v1"])
def test_neither(guarded: Server, headers: Mapping[str, str], reason: str, base: str) -> None:
    answer = guarded.post(f"{base}/chat/completions", BODY, headers=headers)

    body = openai_refusal(answer, 401, "invalid_api_key") if base else refusal(answer, 401, "Unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "Auth token validation failed" in body["message"]
    assert reason in body["message"]


def test_refused_tokens_say_why_and_nothing_of_themselves(guarded: Server, issuer: Issuer) -> None:
    reasons = {
        issuer.token(exp=1): "has expired",
        issuer.token(aud="https://graph.microsoft.com"): "https://cognitiveservices.azure.com",
        issuer.token(tid="secret"): TENANT,
        sign({"secret": "secret"}, "two", named="one"): "signature is wrong",
        sign({"secret": "secret"}): "has no claim 'exp'",
    }
    for token, reason in reasons.items():
        message = refusal(guarded.get("/info", headers=bearer(token)), 401, "Unauthorized")["message"]
        assert reason in message
        assert "Auth token validation failed" in message
        assert "secret" not in message
        assert token.split(".")[1] not in guarded.log.read_text()


def test_a_token_of_64_kilobytes(guarded: Server, issuer: Issuer) -> None:
    answer = guarded.get("/info", headers=bearer(issuer.token(padding="x" * 40_000)))
    assert "longer than" in refusal(answer, 401, "Unauthorized")["message"]


def test_the_openai_package_with_a_token_provider(guarded: Server, issuer: Issuer) -> None:
    tokens = iter([issuer.token(), issuer.token(exp=1)])
    with openai.AzureOpenAI(
        azure_endpoint=guarded.url,
        api_version="2024-10-21",
        azure_ad_token_provider=lambda: next(tokens),
        max_retries=0,
    ) as client:
        ask = partial(client.chat.completions.create, model="tiny-chat", messages=SAY, max_tokens=1)
        assert ask().choices
        with pytest.raises(openai.AuthenticationError, match="has expired"):
            ask()


def test_the_openai_package_with_a_token_as_its_key(guarded: Server, issuer: Issuer) -> None:
    with openai.OpenAI(base_url=guarded.url + "/v1", api_key=issuer.token(), max_retries=0) as client:
        assert client.models.list().data


class Credential:
    """What azure-identity's credentials do, without Azure."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.scopes: tuple[str, ...] = ()

    def get_token(self, *scopes: str, **options: object) -> AccessToken:
        self.scopes = scopes
        return AccessToken(self.token, 2**40)


def test_azure_ai_inference_with_a_credential(guarded: Server, issuer: Issuer) -> None:
    credential = Credential(issuer.token(aud="https://ml.azure.com"))
    # enforce_https: the package refuses to send tokens over plain http unless it is told so.
    with ChatCompletionsClient(guarded.url, credential) as client:
        answer = client.complete(
            messages=[{"role": "user", "content": "Hello"}], max_tokens=1, enforce_https=False
        )
        assert answer.choices
        assert credential.scopes == ("https://ml.azure.com/.default",)
        credential.token = issuer.token(aud="https://elsewhere.example")
    with ChatCompletionsClient(guarded.url, credential) as client:
        with pytest.raises(HttpResponseError, match="audience is incorrect") as refused:
            client.get_model_info(enforce_https=False)
        assert refused.value.status_code == 401


def test_an_issuer_that_is_down_at_first(models: Path, tmp_path: Path) -> None:
    with issuing() as issuer:
        issuer.up = False
        with running(models, tmp_path / "log", **entra(issuer, INFERENCE_API_KEYS=KEY)) as server:
            headers = bearer(issuer.token())
            for _ in range(3):
                answer = server.get("/info", headers=headers)
                refusal(answer, 503, "issuer_unreachable")
                assert 1 <= int(answer.headers["retry-after"]) <= 5
            assert issuer.fetches == 1
            assert server.get("/info", headers={"api-key": KEY}).status_code == 200
            assert "could not be fetched" in server.log.read_text()


def test_roles(models: Path, tmp_path: Path, issuer: Issuer) -> None:
    with running(models, tmp_path / "log", **entra(issuer, INFERENCE_ENTRA_ROLES="reader")) as server:
        assert server.get("/info", headers=bearer(issuer.token(roles=["reader"]))).status_code == 200
        answer = server.get("/info", headers=bearer(issuer.token()))
        assert "roles reader" in refusal(answer, 401, "Unauthorized")["message"]


def test_a_tenant_is_enough_to_serve_other_machines(models: Path, tmp_path: Path, issuer: Issuer) -> None:
    settings = {"INFERENCE_MODELS": str(models), "INFERENCE_THREADS": "1", **entra(issuer)}
    process = spawn(settings, tmp_path / "log", "--host=0.0.0.0", "--port=0")
    try:
        url = url_of(process, tmp_path / "log").replace("0.0.0.0", "127.0.0.1")
        with httpx.Client(base_url=url, trust_env=False) as client:
            assert client.get("/info").status_code == 401
            assert client.get("/info", headers=bearer(issuer.token())).status_code == 200
    finally:
        process.terminate()
        end(process)


@pytest.mark.parametrize(
    ("settings", "sentences"),
    [
        (
            {},
            [
                "Refusing to serve 0.0.0.0",
                "INFERENCE_API_KEYS",
                "INFERENCE_ENTRA_TENANT",
                "INFERENCE_ANONYMOUS",
            ],
        ),
        (
            {"INFERENCE_ENTRA_AUTHORITY": "https://login.microsoftonline.com"},
            ["Refusing to serve 0.0.0.0"],
        ),
        (
            {"INFERENCE_ENTRA_TENANT": "common"},
            ["INFERENCE_ENTRA_TENANT is 'common'", "expected a tenant id"],
        ),
        (
            {"INFERENCE_ENTRA_TENANT": TENANT, "INFERENCE_ENTRA_AUTHORITY": "http://login.example"},
            ["INFERENCE_ENTRA_AUTHORITY is 'http://login.example'", "https://"],
        ),
    ],
)
def test_refusals_to_start(tmp_path: Path, settings: Mapping[str, str], sentences: list[str]) -> None:
    process = spawn(settings, tmp_path / "log", "--host=0.0.0.0", "--port=0")
    assert end(process) == 1
    said = (tmp_path / "log").read_text()
    assert len(said.splitlines()) == 1
    assert all(sentence in said for sentence in sentences)

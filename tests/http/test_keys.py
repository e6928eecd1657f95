"""Who may call."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.conftest import KEYS
from tests.http.refusals import openai_refusal, refusal
from tests.http.servers import MESSAGES, Server

ONE, TWO = KEYS
BODY = {"messages": MESSAGES, "max_tokens": 1}


@pytest.mark.parametrize(
    "headers",
    [
        {"api-key": ONE},
        {"API-KEY": TWO},
        {"Authorization": f"Bearer {ONE}"},
        {"authorization": f"bearer {TWO}"},
        {"Authorization": f"BEARER   {ONE}"},
        {"api-key": ONE, "Authorization": "Bearer wrong"},
        {"api-key": "wrong", "Authorization": f"Bearer {TWO}"},
        {"api-key": ONE, "Authorization": f"Bearer {TWO}"},
    ],
)
def test_right_keys(locked: Server, headers: Mapping[str, str]) -> None:
    assert locked.post("/chat/completions", BODY, headers=headers).status_code == 200
    assert locked.get("/info", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"api-key": ""},
        {"api-key": "wrong"},
        {"api-key": ONE.upper()},
        {"api-key": f"{ONE},{TWO}"},
        {"api-key": ONE[:-1]},
        {"api-key": f"Bearer {ONE}"},
        {"Authorization": ONE},
        {"Authorization": f"Basic {ONE}"},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer wrong", "api-key": "wrong"},
        {"x-functions-key": ONE},
    ],
)
@pytest.mark.parametrize("base", ["", "/openai/v1"])
def test_no_right_key(locked: Server, headers: Mapping[str, str], base: str) -> None:
    answer = locked.post(f"{base}/chat/completions", BODY, headers=headers)

    if base:
        body = openai_refusal(answer, 401, "invalid_api_key")
        assert body["type"] == "authentication_error"
    else:
        body = refusal(answer, 401, "Unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "auth token validation failed" in body["message"].lower()
    assert "missing" in body["message"]


@pytest.mark.parametrize("path", ["/info", "/models", "/deployments/tiny-chat/info"])
def test_what_describes_deployments_is_locked_too(locked: Server, path: str) -> None:
    refusal(locked.get(path), 401, "Unauthorized")


def test_the_models_of_the_openai_paths_are_locked_too(locked: Server) -> None:
    openai_refusal(locked.get("/openai/v1/models"), 401, "invalid_api_key")


def test_nothing_is_told_before_the_key_is_right(locked: Server) -> None:
    """Neither which deployments there are, nor what is wrong with the body."""
    refusal(locked.post("/deployments/nobody/chat/completions", BODY), 401, "Unauthorized")
    refusal(locked.post("/chat/completions", content=b"{"), 401, "Unauthorized")


def test_health_is_open(locked: Server) -> None:
    assert locked.get("/health").json()["status"] == "ok"


def test_an_endpoint_without_keys_takes_any(endpoint: Server) -> None:
    assert endpoint.get("/models", headers={"api-key": "any"}).status_code == 200
    assert endpoint.get("/models").status_code == 200

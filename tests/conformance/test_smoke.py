"""The smoke test passes on a sound endpoint, and names every fault of a broken one."""

from __future__ import annotations

import io
import json
from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest
from PIL import Image

from inference.__main__ import main
from inference.conformance.smoke import RETRIED, SmokeCheck, SmokeTarget, red_square, smoke, table
from tests.conftest import KEYS
from tests.http.servers import Server

Handler = Callable[[httpx.Request], httpx.Response]

MODEL = {
    "id": "one",
    "routes": ["/chat/completions"],
    "capabilities": {"seed": {"supported": False}, "max_tokens": {"supported": False}},
}
GOOD: Mapping[str, Any] = {
    "/health": {"deployments": {"one": "open"}, "version": "1"},
    "/models": {"data": [MODEL]},
    "/deployments/one/info": {"model_type": "chat-completions"},
}
CHAT = "/deployments/one/chat/completions"
STREAM = 'data: {"choices": [{"finish_reason": "stop"}], "usage": {"total_tokens": 2}}\n\ndata: [DONE]\n\n'


def refuse(status: int) -> httpx.Response:
    return httpx.Response(status, json={"error": {"code": f"code{status}"}})


def sound(request: httpx.Request) -> httpx.Response:
    """An endpoint with one chat deployment, and the key `right`."""
    if request.url.path != "/health" and request.headers.get("api-key") != "right":
        return refuse(401)
    if request.method == "GET":
        found = GOOD.get(request.url.path)
        return refuse(404) if found is None else httpx.Response(200, json=found)
    body = json.loads(request.content)
    if "smoke_extra" in body:
        return refuse(400)
    if "seed" in body:
        return refuse(422)
    if body.get("stream"):
        return httpx.Response(200, text=STREAM)
    choice = {"message": {"content": "Hi"}, "finish_reason": "stop"}
    return httpx.Response(200, json={"choices": [choice], "usage": {"completion_tokens": 1}})


def replaced(method: str, path: str, answer: httpx.Response, *, streamed: bool = False) -> Handler:
    """Return a sound endpoint but for one response."""

    def handler(request: httpx.Request) -> httpx.Response:
        matches = request.method == method and request.url.path == path
        plain = not {"smoke_extra", "seed"} & set(json.loads(request.content or b"{}"))
        return (
            answer if matches and plain and (b'"stream"' in request.content) is streamed else sound(request)
        )

    return handler


def run(handler: Handler, **credentials: str) -> list[SmokeCheck]:
    client = httpx.Client(base_url="http://endpoint", transport=httpx.MockTransport(handler))
    with client:
        return smoke(SmokeTarget(client, credentials or {"api-key": "right"}, patience=0))


def failed(checks: list[SmokeCheck]) -> dict[str, str]:
    return {check.name: check.detail for check in checks if not check.passed}


def test_every_route_of_a_running_endpoint_is_checked(lone: Server) -> None:
    checks = smoke(SmokeTarget(lone.http, {}))

    assert failed(checks) == {}
    names = " ".join(check.name for check in checks)
    for route in ("chat/completions", "completions", "embeddings", "images/embeddings"):
        assert f"/{route}" in names
    assert "streamed" in names
    assert names.count("422 for") >= 4
    assert "401" not in names


def test_the_command_needs_the_key_of_a_locked_endpoint(
    locked: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("INFERENCE_API_KEYS", raising=False)
    assert main(["smoke", locked.url, "--key", KEYS[0]]) == 0
    output = capsys.readouterr().out
    assert "401 with a wrong key" in output
    assert "checks passed" in output
    assert main(["smoke", locked.url]) == 1
    assert "401 instead of 200" in capsys.readouterr().out
    monkeypatch.setenv("INFERENCE_API_KEYS", ",".join(KEYS))
    assert main(["smoke", locked.url]) == 0


def test_a_broken_deployment_is_named(troubled: Server) -> None:
    assert "strange-task" in failed(smoke(SmokeTarget(troubled.http, {})))["GET /health"]


def test_a_sound_endpoint_passes() -> None:
    assert failed(run(sound)) == {}


@pytest.mark.parametrize(
    ("handler", "name", "detail"),
    [
        (replaced("GET", "/models", httpx.Response(200, json={"data": []})), "GET /models", "no deployments"),
        (replaced("GET", "/models", httpx.Response(200, text="<html>")), "GET /models", "JSONDecodeError"),
        (replaced("GET", "/no/such/route", httpx.Response(200)), "404 for an unknown route", "200 instead"),
        (replaced("POST", CHAT, refuse(500)), f"POST {CHAT}", "500 instead of 200"),
        (replaced("POST", CHAT, httpx.Response(200, json={})), f"POST {CHAT}", "KeyError"),
        (replaced("POST", CHAT, refuse(500), streamed=True), f"POST {CHAT}, streamed", "500"),
        (
            replaced("POST", CHAT, httpx.Response(200, text="data: {}\n\n"), streamed=True),
            f"POST {CHAT}, streamed",
            "not with [DONE]",
        ),
        (
            replaced("POST", CHAT, httpx.Response(200, text="data: {}\n\ndata: [DONE]\n\n"), streamed=True),
            f"POST {CHAT}, streamed",
            "KeyError: 'choices'",
        ),
    ],
)
def test_a_fault_is_named(handler: Handler, name: str, detail: str) -> None:
    assert detail in failed(run(handler))[name]


def test_an_endpoint_that_takes_any_key_fails() -> None:
    def trusting(request: httpx.Request) -> httpx.Response:
        request.headers["api-key"] = "right"
        return sound(request)

    assert set(failed(run(trusting))) == {"401 without a key", "401 with a wrong key"}


def test_an_accepted_extra_parameter_fails() -> None:
    def lax(request: httpx.Request) -> httpx.Response:
        body = {
            k: v for k, v in json.loads(request.content or b"{}").items() if k not in ("smoke_extra", "seed")
        }
        return sound(httpx.Request(request.method, request.url, headers=request.headers, json=body))

    assert {name.split()[0] for name in failed(run(lax))} == {"400", "422"}


def test_an_unreachable_endpoint_fails_the_first_check_alone() -> None:
    def unreachable(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    assert failed(run(unreachable)) == {"GET /health": "ConnectError: refused"}


@pytest.mark.parametrize("status", RETRIED)
def test_a_busy_endpoint_is_retried_after_its_retry_after(status: int) -> None:
    waited: list[float] = []
    answers = iter([httpx.Response(status, headers={"retry-after": "7"}), httpx.Response(200)])
    transport = httpx.MockTransport(lambda _: next(answers))
    with httpx.Client(base_url="http://endpoint", transport=transport) as client:
        assert SmokeTarget(client, {}, sleep=waited.append).request("GET", "/health").status_code == 200
    assert waited == [7]


def test_the_table_ends_with_the_totals() -> None:
    lines = table([SmokeCheck("a", True, 1, "fine"), SmokeCheck("bb", False, 0.5, "no")]).splitlines()
    assert lines == [
        "ok      a     1.00 s  fine",
        "FAILED  bb    0.50 s  no",
        "",
        "1 of 2 checks failed in 1.5 s",
    ]


def test_the_red_square_is_a_valid_png() -> None:
    image = Image.open(io.BytesIO(b64decode(red_square(edge=3).partition(",")[2])))
    assert (image.format, image.size, image.getpixel((1, 1))) == ("PNG", (3, 3), (255, 0, 0))

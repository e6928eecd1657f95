"""The local host: routing, settings files, addresses."""

import json
import os
import socket
from pathlib import Path

import azure.functions as func
import pytest
from azurefunctions.extensions.http.fastapi import Request, Response
from starlette.testclient import TestClient

from inference.hosts.functions import ENVIRONMENT
from inference.hosts.local import HostError, LocalHost, Trigger, is_loopback, listen, prepare, triggers


def app() -> func.FunctionApp:
    """Return an app whose functions answer with their own name and the parameters of the path."""
    result = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

    def add(name: str, route: str, methods: list[str] | None) -> None:
        async def answer(req: Request) -> Response:
            return Response(f"{name} {sorted(req.path_params.items())}".encode())

        result.function_name(name)(result.route(route=route, methods=methods)(answer))

    add("literal", "a/b", ["GET"])
    add("named", "a/{x}", ["GET"])
    add("number", "n/{x:int}", ["GET"])
    add("any", "any", None)
    add("rest", "{*path}", ["GET", "PUT"])
    return result


@pytest.fixture(scope="module")
def client() -> TestClient:
    return TestClient(LocalHost(triggers(app(), ""), lambda: None))


@pytest.mark.parametrize(
    ("method", "path", "answer"),
    [
        ("GET", "/a/b", "literal []"),
        ("GET", "/A/B/", "literal []"),
        ("GET", "/a/c", "named [('x', 'c')]"),
        ("GET", "/n/12", "number [('x', '12')]"),
        ("GET", "/n/x", "rest [('path', 'n/x')]"),
        ("PUT", "/a/b", "rest [('path', 'a/b')]"),
        ("DELETE", "/any", "any []"),
        ("GET", "/", "rest [('path', '')]"),
        ("GET", "/x%0Ay", r"rest [('path', 'x\ny')]"),
    ],
)
def test_a_path_is_routed_as_the_functions_host_does(
    client: TestClient, method: str, path: str, answer: str
) -> None:
    assert client.request(method, path).text == answer


def test_a_wrong_method_is_404_as_in_the_functions_host(client: TestClient) -> None:
    assert client.request("POST", "/a/b").status_code == 404


def test_routes_start_with_the_prefix_of_host_json() -> None:
    client = TestClient(LocalHost(triggers(app(), "api"), lambda: None))
    assert client.get("/api/a/b").text == "literal []"
    assert client.get("/a/b").status_code == 404


def test_a_function_that_fails_is_a_500_without_details(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(req: Request) -> Response:
        raise ValueError("secret")

    pattern = triggers(app(), "")[0].pattern
    host = LocalHost([Trigger("fail", "a/b", frozenset(), "req", fail, pattern)], lambda: None)
    answer = TestClient(host).get("/a/b")
    assert (answer.status_code, answer.text) == (500, "Internal Server Error")
    assert "The function fail failed" in caplog.text


def test_a_shutdown_calls_on_stop() -> None:
    stopped: list[bool] = []
    with TestClient(LocalHost([], lambda: stopped.append(True))):
        assert not stopped
    assert stopped == [True]


def test_a_port_in_use_is_refused_with_another_one() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(HostError, match=rf"127\.0\.0\.1:{port}.*PORT={port + 1}"):
            listen("127.0.0.1", port)


def test_an_address_of_another_machine_is_refused_with_one_of_this() -> None:
    with pytest.raises(HostError, match=r"192\.0\.2\.1:7071.*Choose an address of this machine"):
        listen("192.0.2.1", 7071)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("example.org", False)],
)
def test_only_loopback_addresses_are_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_local_settings_do_not_replace_variables_that_are_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Set and removed, so that what `prepare` sets is undone after the test.
    for name in ("INFERENCE_SLOTS", ENVIRONMENT):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("INFERENCE_THREADS", "1")
    values = {"INFERENCE_SLOTS": "2", "INFERENCE_THREADS": "9"}
    (tmp_path / "local.settings.json").write_text(json.dumps({"Values": values}))
    prepare(tmp_path, "127.0.0.1")
    assert os.environ["INFERENCE_SLOTS"] == "2"
    assert os.environ["INFERENCE_THREADS"] == "1"
    assert os.environ[ENVIRONMENT] == "Development"


def test_local_settings_that_are_not_json_are_refused(tmp_path: Path) -> None:
    (tmp_path / "local.settings.json").write_text("{")
    with pytest.raises(HostError, match=r"local\.settings\.json is not JSON"):
        prepare(tmp_path, "0.0.0.0")

"""`@azure-rest/ai-inference`, the JavaScript client, over every route; its scripts: tests/clients/js."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import KEYS
from tests.http.refusals import check_shape
from tests.http.servers import Server
from tests.http.zoo import GREETING, SHORTER
from tests.support.encoders import DIMENSIONS, PATCHES

SCRIPTS = Path(__file__).parents[1] / "clients" / "js"
INSTALL_SECONDS = 240
RUN_SECONDS = 60

Cases = Mapping[str, Any]


@pytest.fixture(scope="session")
def node() -> str:
    """Node, its packages installed once; they stay in a folder that git ignores."""
    found, npm = shutil.which("node"), shutil.which("npm")
    if found is None or npm is None:
        pytest.skip("the JavaScript client needs node and npm, which are not on this machine")
    installed, wanted = SCRIPTS / "node_modules" / ".package-lock.json", SCRIPTS / "package-lock.json"
    if not installed.is_file() or installed.stat().st_mtime < wanted.stat().st_mtime:
        _run([npm, "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"], INSTALL_SECONDS)
        installed.touch()
    return found


def _run(command: Sequence[str], seconds: int) -> str:
    ran = subprocess.run(command, cwd=SCRIPTS, timeout=seconds, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def _cases(node: str, script: str, server: Server, *arguments: str) -> Cases:
    cases: Cases = json.loads(_run([node, script, server.url, *arguments], RUN_SECONDS))
    return cases


@pytest.fixture(scope="module")
def chat(node: str, endpoint: Server) -> Cases:
    return _cases(node, "chat.mjs", endpoint)


@pytest.fixture(scope="module")
def routes(node: str, endpoint: Server) -> Cases:
    return _cases(node, "routes.mjs", endpoint)


@pytest.fixture(scope="module")
def refusals(node: str, endpoint: Server) -> Cases:
    return _cases(node, "refusals.mjs", endpoint)


@pytest.fixture(scope="module")
def keys(node: str, locked: Server) -> Cases:
    return _cases(node, "keys.mjs", locked, KEYS[0])


def body_of(case: Cases) -> Any:
    """The body of an answer that the package takes for a good one."""
    assert (case.get("status"), case.get("unexpected")) == ("200", False), case
    return case["body"]


def texts(case: Cases) -> Sequence[str]:
    return [choice["message"]["content"] for choice in body_of(case)["choices"]]


def deltas(case: Cases) -> Sequence[Any]:
    return [choice["delta"] for chunk in case["chunks"] for choice in chunk["choices"]]


def said(case: Cases) -> str:
    return "".join(delta.get("content") or "" for delta in deltas(case))


def vectors(case: Cases) -> Sequence[Any]:
    body = body_of(case)
    assert body["object"] == "list"
    assert body["id"]
    return [item["embedding"] for item in body["data"]]


@pytest.mark.parametrize(
    "case", ["whole", "parts", "developer", "foundryBase", "azureOpenAIBase", "oldVersion", "newVersion"]
)
def test_whole_chat(chat: Cases, case: str) -> None:
    body = body_of(chat[case])

    assert texts(chat[case]) == [GREETING]
    assert body["object"] == "chat.completion"
    assert body["id"].startswith("chatcmpl-") == (case == "azureOpenAIBase")
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["usage"]["total_tokens"] == body["usage"]["prompt_tokens"] + 10


@pytest.mark.parametrize("case", ["streamed", "deploymentBase"])
def test_streamed_chat(chat: Cases, case: str) -> None:
    stream = chat[case]
    first, *_, last = stream["chunks"]

    assert stream["status"] == "200"
    assert stream["type"].startswith("text/event-stream")
    assert stream["done"]
    assert said(stream) == GREETING
    assert first["choices"][0]["delta"]["role"] == "assistant"
    assert last["choices"][0]["finish_reason"] == "stop"
    assert last["usage"]["completion_tokens"] == 10
    assert {chunk["id"] for chunk in stream["chunks"]} == {first["id"]}


def test_usage_in_a_chunk_of_its_own(chat: Cases) -> None:
    stream = chat["usageApart"]

    assert stream["chunks"][-1]["choices"] == []
    assert stream["chunks"][-1]["usage"]["completion_tokens"] == 10
    assert said(stream) == GREETING


def test_tool_call_and_the_answer_to_it(chat: Cases) -> None:
    conversation = chat["conversationWithTool"]

    (choice,) = body_of(conversation["asked"])["choices"]
    assert choice["finish_reason"] == "tool_calls"
    (call,) = choice["message"]["tool_calls"]
    assert call["function"]["name"] == "get_weather"
    assert json.loads(call["function"]["arguments"]) == {"city": "Paris"}
    assert texts(conversation["answered"]) == [GREETING]


def test_streamed_tool_call(chat: Cases) -> None:
    stream = chat["streamedToolCall"]
    pieces = [call for delta in deltas(stream) for call in delta.get("tool_calls") or ()]

    assert {piece["index"] for piece in pieces} == {0}
    assert pieces[0]["id"]
    assert pieces[0]["function"]["name"] == "get_weather"
    assert json.loads("".join(piece["function"]["arguments"] for piece in pieces)) == {"city": "Paris"}


@pytest.mark.parametrize("case", ["passThrough", "allow"])
def test_extras_that_the_model_takes(chat: Cases, case: str) -> None:
    assert texts(chat[case]) == [GREETING, GREETING]


def test_extras_left_out(chat: Cases) -> None:
    assert texts(chat["drop"]) == [GREETING]
    dropped = chat["drop"]["headers"]["x-ms-dropped-parameters"]
    assert {name.strip() for name in dropped.split(",")} == {"n", "wisdom"}


def test_stream_that_fails_is_thrown(chat: Cases) -> None:
    stream = chat["brokenOff"]

    assert said(stream) == "So far so good"
    assert stream["chunks"][-1]["error"]["code"] == "model_failed"
    assert not stream["done"]
    assert stream["thrown"]["message"] == "aborted"


def test_info(routes: Cases) -> None:
    types = {
        "info": "chat-completions",
        "infoByQuery": "chat-completions",
        "infoOfEmbeddings": "embeddings",
        "infoOfImages": "image-embeddings",
    }
    assert {case: body_of(routes[case])["model_type"] for case in types} == types
    assert body_of(routes["infoByQuery"])["model_name"] == "greeter"


def test_embeddings(routes: Cases) -> None:
    one, two = vectors(routes["embeddings"])
    (encoded,) = vectors(routes["embeddingsInBase64"])
    (small,) = vectors(routes["embeddingsInBytes"])
    (short,) = vectors(routes["embeddingsShortened"])

    assert len(one) == len(two) == DIMENSIONS
    np.testing.assert_allclose(np.frombuffer(base64.b64decode(encoded), "<f4"), one, atol=1e-6)
    np.testing.assert_allclose(np.array(small) / 127, one, atol=1 / 127)
    assert len(short) == SHORTER


def test_embeddings_of_pictures(routes: Cases) -> None:
    one, two = vectors(routes["pictures"])

    assert len(one) == DIMENSIONS
    assert one == two
    assert body_of(routes["pictures"])["usage"]["prompt_tokens"] == 2 * PATCHES


def test_completions(routes: Cases) -> None:
    """The package has no such route, and no opinion on what a good status is."""
    whole, stream = routes["completions"], routes["streamedCompletions"]

    assert whole["status"] == stream["status"] == "200"
    assert whole["body"]["choices"][0]["text"] == GREETING
    assert "".join(chunk["choices"][0]["text"] for chunk in stream["chunks"]) == GREETING
    assert stream["done"]


REFUSED = {
    "unknownParameter": ("400", "extra_parameters_not_allowed"),
    "unknownParameterPassedThrough": ("422", "parameter_not_supported"),
    "strangeHeader": ("400", "invalid_extra_parameters_header"),
    "unsupportedFormat": ("422", "parameter_not_supported"),
    "wrongValue": ("422", "Invalid input"),
    "noMessages": ("422", "Invalid input"),
    "picture": ("422", "parameter_not_supported"),
    "unknownModel": ("404", "unknown_model"),
    "noModel": ("400", "no_model_name"),
    "otherRoute": ("404", "not_found"),
    "embeddingsOfNothing": ("422", "Invalid input"),
    "embeddingsTooShort": ("422", "parameter_not_supported"),
    "picturesThatAreNone": ("422", "Invalid input"),
    "infoOfNobody": ("404", "unknown_model"),
    "strangeVersion": ("400", "UnsupportedApiVersionValue"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(refusals: Cases, case: str) -> None:
    refused = refusals[case]

    assert refused["unexpected"]
    assert (refused["status"], refused["body"]["error"]["code"]) == REFUSED[case]
    assert refused["headers"]["x-ms-error-code"] == REFUSED[case][1]
    check_shape(refused["body"], int(refused["status"]))


def test_every_unknown_parameter_is_named(refusals: Cases) -> None:
    assert "['wisdom', 'luck']" in refusals["unknownParameter"]["body"]["error"]["message"]


def test_stream_that_is_refused(refusals: Cases) -> None:
    refused = refusals["unsupportedFormatStreamed"]

    assert (refused["status"], refused["body"]["error"]["code"]) == REFUSED["unsupportedFormat"]
    assert refused["body"]["detail"] == {"loc": ["body", "response_format"], "input": "json_object"}


def test_plain_http_wants_the_client_option(refusals: Cases) -> None:
    assert "allowInsecureConnection" in refusals["plainHttp"]["thrown"]["message"]


def test_right_key(keys: Cases) -> None:
    assert body_of(keys["key"])["model"] == "tiny-chat"


def test_token_credentials_want_tls_of_the_client(keys: Cases) -> None:
    """`allowInsecureConnection` is not enough for them; the request is never sent."""
    assert "non-TLS" in keys["token"]["thrown"]["message"]


@pytest.mark.parametrize("case", ["wrongKey", "wrongKeyForInfo"])
def test_wrong_key(keys: Cases, case: str) -> None:
    refused = keys[case]

    assert (refused["status"], refused["unexpected"]) == ("401", True)
    assert refused["body"]["error"]["code"] == "Unauthorized"
    assert "Auth token validation failed" in refused["body"]["error"]["message"]

"""HTTP beside the API: HEAD, OPTIONS, CORS, compressed bodies, byte order marks, doubled slashes, headers."""

from __future__ import annotations

import gzip
import json
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from openai import OpenAI

from tests.http.refusals import openai_refusal, refusal
from tests.http.servers import MESSAGES, PATIENCE, Server, running
from tests.http.zoo import GREETING, write_several

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CHAT = "/chat/completions"
BODY = json.dumps({"model": "greeter", "messages": MESSAGES}).encode()
APP = "https://app.example.com"
PREFLIGHT = {
    "Origin": APP,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type,x-stainless-os",
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An endpoint whose answers the scripts of one origin may read, with a key."""
    folder = tmp_path_factory.mktemp("shared")
    settings = {"INFERENCE_CORS_ORIGINS": f"{APP},http://localhost:3000", "INFERENCE_API_KEYS": "k"}
    with running(write_several(folder / "models"), folder / "log", **settings) as server:
        yield server


def cors(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


@pytest.mark.parametrize("path", ["/health", "/info?model=greeter", "/models", "/v1/models", "/openapi.json"])
def test_head_is_get_without_the_body(endpoint: Server, path: str) -> None:
    head, whole = endpoint.http.head(path), endpoint.get(path)

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(whole.content))
    assert head.headers["content-type"] == "application/json"


def test_head_of_a_route_that_takes_post_is_refused(endpoint: Server) -> None:
    answer = endpoint.http.head(CHAT)

    assert (answer.status_code, answer.content, answer.headers["allow"]) == (405, b"", "POST, OPTIONS")


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/health", "GET, HEAD, OPTIONS"),
        ("/models", "GET, HEAD, OPTIONS"),
        ("/models/greeter", "GET, HEAD, OPTIONS"),
        (CHAT, "POST, OPTIONS"),
        ("/openai/v1/embeddings", "POST, OPTIONS"),
        ("/api/projects/mine/openai/v1/chat/completions", "POST, OPTIONS"),
    ],
)
def test_options_names_the_methods_of_a_route(endpoint: Server, path: str, methods: str) -> None:
    answer = endpoint.http.options(path)

    assert (answer.status_code, answer.content, answer.headers["allow"]) == (204, b"", methods)
    assert "content-type" not in answer.headers


@pytest.mark.parametrize("path", ["/nowhere", "/openai/v1/info", "/"])
def test_options_of_no_route_is_404(endpoint: Server, path: str) -> None:
    assert endpoint.http.options(path).status_code == 404


def test_options_needs_no_key(locked: Server) -> None:
    assert locked.http.options(CHAT).status_code == 204


def test_no_route_names_those_that_there_are(endpoint: Server) -> None:
    native = refusal(endpoint.get("/nowhere"), 404, "not_found")["message"]
    openai = openai_refusal(endpoint.get("/openai/v1/nowhere"), 404, "not_found")["message"]

    assert native == (
        "Not Found: there is no /nowhere. There are GET /info, GET /models, GET /health, GET /openapi.json, "
        "POST /chat/completions, POST /completions, POST /embeddings, POST /images/embeddings, "
        "POST /rerank, POST /classify, POST /embed_sparse."
    )
    assert openai == (
        "Not Found: there is no /openai/v1/nowhere. There are GET /openai/v1/models, "
        "GET /openai/v1/openapi.json, POST /openai/v1/chat/completions, POST /openai/v1/responses, "
        "POST /openai/v1/responses/input_tokens, POST /openai/v1/completions, POST /openai/v1/embeddings, "
        "POST /openai/v1/rerank, POST /openai/v1/classify, POST /openai/v1/embed_sparse."
    )


@pytest.mark.parametrize("method", ["TRACE", "PROPFIND"])
def test_a_method_that_no_function_takes_is_a_refusal_in_json(endpoint: Server, method: str) -> None:
    message = refusal(endpoint.http.request(method, "/health"), 404, "not_found")["message"]

    assert message == f"Not Found: nothing takes {method} /health."


@pytest.mark.parametrize("path", ["/x%0Ay", "/health%0A", "/%0A", "/chat/completions%0D%0A", "/%00"])
def test_a_path_with_line_breaks_is_a_404_in_json(endpoint: Server, path: str) -> None:
    refusal(endpoint.get(path), 404, "not_found")


@pytest.mark.parametrize(
    "path", ["//health", "/health//", "//models", "/openai//v1//models", "/deployments//greeter///info"]
)
def test_doubled_slashes_count_for_one(endpoint: Server, path: str) -> None:
    answer = endpoint.http.send(endpoint.http.build_request("GET", f"{endpoint.url}{path}"))

    assert answer.status_code == 200


def test_the_client_of_a_foundry_project_is_served_under_its_path(endpoint: Server) -> None:
    base = f"{endpoint.url}/api/projects/my-project/openai/v1"
    with OpenAI(api_key="k", base_url=base, max_retries=0) as client:
        answer = client.chat.completions.create(
            model="greeter", messages=[{"role": "user", "content": "Say something."}]
        )

    assert answer.choices[0].message.content == GREETING


@pytest.mark.parametrize(
    ("coding", "encode"),
    [
        ("gzip", gzip.compress),
        ("GZip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("zstd", zstd.compress),
        ("identity", bytes),
        ("", bytes),
    ],
)
def test_a_compressed_body_is_decoded(
    endpoint: Server, coding: str, encode: Callable[[bytes], bytes]
) -> None:
    answer = endpoint.post(CHAT, content=encode(BODY), headers={"Content-Encoding": coding})

    assert answer.json()["choices"][0]["message"]["content"] == GREETING


def test_a_compressed_body_that_decodes_to_too_much_is_refused(small: Server) -> None:
    body = gzip.compress(b" " * 4097)
    answer = small.post(f"{CHAT}?api-version=2025-04-01", content=body, headers={"Content-Encoding": "gzip"})

    message = "The decoded body is larger than 4096 bytes, the limit of this endpoint."
    assert refusal(answer, 413, "request_too_large")["message"] == message


@pytest.mark.parametrize("coding", ["br", "compress", "gzip, gzip", "gzip, br", "zip"])
def test_another_encoding_is_refused_with_those_that_are_decoded(endpoint: Server, coding: str) -> None:
    answer = endpoint.post(CHAT, content=BODY, headers={"Content-Encoding": coding})

    message = f"Content-Encoding may be one of gzip, deflate, zstd, not '{coding}'."
    assert refusal(answer, 415, "unsupported_media_type")["message"] == message
    assert answer.headers["accept-encoding"] == "gzip, deflate, zstd"


def test_a_body_that_is_not_in_its_encoding_is_refused(endpoint: Server) -> None:
    for coding in ("gzip", "deflate", "zstd"):
        refusal(
            endpoint.post(CHAT, content=b"not so", headers={"Content-Encoding": coding}), 400, "invalid_json"
        )


def test_a_byte_order_mark_is_passed_over(endpoint: Server) -> None:
    assert endpoint.post(CHAT, content=b"\xef\xbb\xbf" + BODY).status_code == 200


def test_without_the_setting_no_origin_is_allowed(endpoint: Server) -> None:
    answers = (
        endpoint.http.options(CHAT, headers=PREFLIGHT),
        endpoint.get("/health", headers={"Origin": APP}),
    )

    assert [(cors(answer), answer.headers.get("vary")) for answer in answers] == [({}, None)] * 2


def test_a_preflight_of_an_allowed_origin_is_answered_without_a_key(shared: Server) -> None:
    answer = shared.http.options("/openai/v1/chat/completions", headers=PREFLIGHT)

    assert answer.status_code == 204
    assert answer.headers["vary"] == "Origin"
    assert cors(answer) == {
        "access-control-allow-origin": APP,
        "access-control-allow-methods": "POST, OPTIONS",
        "access-control-allow-headers": "authorization,content-type,x-stainless-os",
        "access-control-max-age": "7200",
        "access-control-expose-headers": "allow, apim-request-id, openai-processing-ms, "
        "x-content-type-options, x-ms-request-id, x-request-id",
    }


def test_a_preflight_of_another_origin_allows_nothing(shared: Server) -> None:
    answer = shared.http.options(CHAT, headers={**PREFLIGHT, "Origin": "https://evil.example.com"})

    assert (answer.status_code, cors(answer), answer.headers["vary"]) == (204, {}, "Origin")


def test_scripts_of_an_allowed_origin_may_read_every_answer_and_its_headers(shared: Server) -> None:
    headers = {"Origin": APP, "api-key": "k"}
    answers = {
        "whole": shared.post(CHAT, json.loads(BODY), headers=headers),
        "stream": shared.post(CHAT, {**json.loads(BODY), "stream": True}, headers=headers),
        "refusal": shared.post(CHAT, json.loads(BODY), headers={"Origin": APP}),
    }

    for answer in answers.values():
        assert answer.headers["access-control-allow-origin"] == APP
        exposed = set(answer.headers["access-control-expose-headers"].split(", "))
        framing = {"date", "content-length", "content-type", "transfer-encoding", "vary"}
        assert set(answer.headers) - framing - set(cors(answer)) == exposed
    assert answers["refusal"].status_code == 401
    assert "x-ms-served-model" in answers["stream"].headers["access-control-expose-headers"]


@pytest.mark.parametrize("path", ["/health", "/nowhere", "/models"])
def test_answers_are_neither_stored_nor_taken_for_pages(endpoint: Server, path: str) -> None:
    answer = endpoint.get(path)

    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"


def test_streams_and_refusals_are_not_stored_and_an_empty_answer_says_nothing_of_it(endpoint: Server) -> None:
    stream = endpoint.chat("greeter", stream=True)
    refused = endpoint.chat("greeter", temperature="hot")
    empty = endpoint.http.options(CHAT)

    assert stream.headers["cache-control"] == refused.headers["cache-control"] == "no-store"
    assert "cache-control" not in empty.headers
    assert stream.headers["x-content-type-options"] == empty.headers["x-content-type-options"] == "nosniff"


def test_every_page_may_read_where_the_setting_is_a_star(tmp_path: Path) -> None:
    with running(write_several(tmp_path / "models"), tmp_path / "log", INFERENCE_CORS_ORIGINS="*") as server:
        answer = httpx.get(
            f"{server.url}/health", headers={"Origin": "null"}, trust_env=False, timeout=PATIENCE
        )

    assert answer.headers["access-control-allow-origin"] == "*"
    assert "vary" not in answer.headers

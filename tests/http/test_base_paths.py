"""The same routes under every base path, and which deployment answers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.http.pictures import data_url
from tests.http.refusals import openai_refusal, refusal
from tests.http.servers import MESSAGES, Server
from tests.http.zoo import GREETING

NATIVE = ("", "/models", "/deployments/greeter")
OPENAI = (
    "/openai/deployments/greeter",
    "/openai/v1",
    "/v1",
    "/deployments/greeter/v1",
    "/api/projects/mine/openai/v1",
)
NAMED = [base for base in (*NATIVE, *OPENAI) if "greeter" in base]
CHAT = {"model": "greeter", "messages": MESSAGES}
BODIES: dict[str, dict[str, Any]] = {
    "chat/completions": {"messages": MESSAGES},
    "completions": {"prompt": "Once"},
    "embeddings": {"input": "one"},
}


def said(answer: Any) -> Any:
    return answer.json()["choices"][0]["message"]["content"]


@pytest.mark.parametrize("base", NATIVE + OPENAI)
def test_chat_under_every_base(endpoint: Server, base: str) -> None:
    answer = endpoint.post(f"{base}/chat/completions", CHAT)

    assert said(answer) == GREETING
    assert answer.json()["id"].startswith("chatcmpl-") == (base in OPENAI)


@pytest.mark.parametrize("base", NATIVE + OPENAI)
def test_completions_under_every_base(endpoint: Server, base: str) -> None:
    answer = endpoint.post(f"{base}/completions", {"model": "greeter", "prompt": "Once"})

    assert answer.json()["choices"][0]["text"] == GREETING


@pytest.mark.parametrize("base", [base.replace("greeter", "tiny-embed") for base in NATIVE + OPENAI])
def test_embeddings_under_every_base(endpoint: Server, base: str) -> None:
    assert endpoint.post(f"{base}/embeddings", {"model": "tiny-embed", "input": "one"}).status_code == 200


@pytest.mark.parametrize("base", ["", "/models", "/deployments/tiny-images"])
def test_image_embeddings_under_the_native_bases(endpoint: Server, base: str) -> None:
    body = {"model": "tiny-images", "input": [{"image": data_url()}]}

    assert endpoint.post(f"{base}/images/embeddings", body).status_code == 200


def test_words_of_the_path_are_read_without_case(endpoint: Server) -> None:
    assert said(endpoint.post("/Deployments/Greeter/Chat/Completions/", CHAT)) == GREETING


@pytest.mark.parametrize("header", ["azureml-model-deployment", "X-MS-Model-Mesh-Model-Name"])
def test_deployment_named_by_a_header(endpoint: Server, header: str) -> None:
    named = {header: "greeter"}

    assert said(endpoint.post("/chat/completions", {"messages": MESSAGES}, headers=named)) == GREETING
    assert endpoint.get("/info", headers=named).json()["model_name"] == "greeter"
    refusal(endpoint.post("/chat/completions", CHAT, headers={header: "nobody"}), 404, "unknown_model")


def test_the_path_goes_before_the_header_and_the_header_before_the_body(endpoint: Server) -> None:
    header = {"azureml-model-deployment": "caller"}
    body = {**CHAT, "model": "tiny-chat", "max_tokens": 1}

    by_path = endpoint.post("/deployments/greeter/chat/completions", body, headers=header)
    by_header = endpoint.post("/chat/completions", body, headers=header)
    assert (by_path.json()["model"], by_header.json()["model"]) == ("greeter", "caller")
    assert by_path.headers["x-ms-served-model"] == "greeter"


@pytest.mark.parametrize("base", ["", "/models", "/openai/v1", "/v1"])
def test_several_deployments_and_no_name(endpoint: Server, base: str) -> None:
    answer = endpoint.post(f"{base}/chat/completions", {"messages": MESSAGES})
    if base in OPENAI:
        body = openai_refusal(answer, 400, "missing_required_parameter")
    else:
        body = refusal(answer, 400, "no_model_name")

    assert "greeter" in body["message"]
    assert "tiny-embed" not in body["message"]


@pytest.mark.parametrize("base", ["", "/models", "/openai/v1", "/v1"])
@pytest.mark.parametrize("route", ["chat/completions", "completions", "embeddings"])
def test_an_unknown_name_is_refused_with_the_list_even_by_a_lone_deployment(
    lone: Server, base: str, route: str
) -> None:
    answer = lone.post(f"{base}/{route}", {**BODIES[route], "model": "gpt-4o"})

    assert answer.status_code == 404
    name = "tiny-embed, tiny-images" if route == "embeddings" else "tiny-chat"
    assert answer.json()["error"]["message"] == (
        f"Unknown model: gpt-4o. The deployments of {route} are: {name}."
    )


@pytest.mark.parametrize(
    "base", ["/deployments/gpt-4o", "/deployments/gpt-4o/v1", "/openai/deployments/gpt-4o"]
)
def test_an_unknown_name_in_the_path_is_refused_with_the_list(lone: Server, base: str) -> None:
    answer = lone.post(f"{base}/chat/completions", {"messages": MESSAGES})

    assert answer.status_code == 404
    assert "Unknown model: gpt-4o. The deployments of chat/completions are: tiny-chat." in answer.text


@pytest.mark.parametrize(
    "base", [*("", "/models", "/openai/v1", "/v1"), *(base.replace("greeter", "GPT-4o") for base in NAMED)]
)
@pytest.mark.parametrize(
    ("name", "served"), [("gpt-4o", "tiny-chat"), ("Tiny", "tiny-chat"), ("anything", "tiny-chat")]
)
def test_an_alias_answers_on_every_base_path_as_the_deployment_that_serves(
    aliased: Server, base: str, name: str, served: str
) -> None:
    answer = aliased.post(f"{base}/chat/completions", {"messages": MESSAGES, "max_tokens": 1, "model": name})

    assert answer.status_code == 200, answer.text
    assert answer.json()["model"] == answer.headers["x-ms-served-model"] == served


def test_any_name_is_answered_by_the_deployment_of_the_route(aliased: Server) -> None:
    answer = aliased.post("/v1/embeddings", {"input": "one", "model": "text-embedding-3-small"})

    assert answer.json()["model"] == "tiny-embed"


def test_models_lists_aliases(aliased: Server) -> None:
    listed = {entry["id"]: entry for entry in aliased.get("/v1/models").json()["data"]}

    assert list(listed) == ["tiny-chat", "gpt-4o", "tiny", "tiny-embed", "tiny-images"]
    assert listed["gpt-4o"]["model_name"] == "tiny-chat"
    assert listed["tiny-chat"]["aliases"] == ["gpt-4o", "*", "tiny"]
    assert aliased.get("/v1/models/GPT-4o").json()["id"] == "gpt-4o"
    assert aliased.get("/info?model=gpt-4o").json()["model_name"] == "tiny-chat"


def test_one_deployment_answers_without_a_name(lone: Server) -> None:
    for name in ({}, {"model": ""}, {"model": None}):
        answer = lone.post("/chat/completions", {"messages": MESSAGES, "max_tokens": 1, **name})
        assert answer.json()["model"] == "tiny-chat"
    assert lone.post("/embeddings", {"input": "one"}).json()["model"] == "tiny-embed"
    assert lone.post("/images/embeddings", {"input": [{"image": data_url()}]}).status_code == 200


def test_info_of_one_deployment(lone: Server) -> None:
    assert lone.get("/info").json()["model_name"] == "tiny-chat"
    assert lone.get("/info?model=tiny-embed").json()["model_name"] == "tiny-embed"
    assert lone.get("/models/info").json()["model_name"] == "tiny-chat"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/deployments/tiny-embed/chat/completions", {"messages": MESSAGES}),
        ("/deployments/greeter/embeddings", {"input": "one"}),
        ("/deployments/tiny-text/chat/completions", {"messages": MESSAGES}),
        ("/deployments/tiny-embed/images/embeddings", {"input": [{"image": data_url()}]}),
        ("/openai/v1/embeddings", {"input": "one", "model": "greeter"}),
        ("/nowhere", {}),
        ("/deployments/greeter", {}),
        ("/deployments/greeter/nowhere", {}),
        ("/api/chat/completions", {"messages": MESSAGES}),
        ("/images/generations", {"prompt": "a house"}),
        ("/", {}),
    ],
)
def test_no_such_route_or_modality(endpoint: Server, path: str, body: dict[str, Any]) -> None:
    refused = openai_refusal if path.startswith("/openai") else refusal
    assert "not found" in refused(endpoint.post(path, body), 404, "not_found")["message"].lower()


@pytest.mark.parametrize("base", OPENAI)
def test_azure_openai_has_no_info(endpoint: Server, base: str) -> None:
    error = openai_refusal(endpoint.get(f"{base}/info"), 404, "404")

    assert error["message"] == (
        "Resource not found. There are GET /openai/v1/models, GET /openai/v1/openapi.json, "
        "POST /openai/v1/chat/completions, POST /openai/v1/responses, "
        "POST /openai/v1/responses/input_tokens, POST /openai/v1/completions, POST /openai/v1/embeddings, "
        "POST /openai/v1/rerank, POST /openai/v1/classify, POST /openai/v1/embed_sparse."
    )
    assert error["type"] == "not_found_error"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/chat/completions", "POST, OPTIONS"),
        ("PUT", "/deployments/greeter/chat/completions", "POST, OPTIONS"),
        ("DELETE", "/openai/v1/embeddings", "POST, OPTIONS"),
        ("POST", "/info", "GET, HEAD, OPTIONS"),
        ("POST", "/openai/v1/models", "GET, HEAD, OPTIONS"),
        ("PATCH", "/health", "GET, HEAD, OPTIONS"),
    ],
)
def test_wrong_method(endpoint: Server, method: str, path: str, allowed: str) -> None:
    answer = endpoint.http.request(method, path)

    read = openai_refusal if path.startswith("/openai") else refusal
    *others, last = allowed.split(", ")
    assert read(answer, 405, "MethodNotAllowed")["message"] == (
        f"{path} takes {', '.join(others)} and {last}, not {method}."
    )
    assert answer.headers["allow"] == allowed


def test_api_versions(endpoint: Server, small: Server) -> None:
    path = "/chat/completions"
    body = {**CHAT, "max_tokens": 1}
    for version in ("2024-04-01-preview", "2025-04-01", "2025-08-28", "2030-01-01-preview"):
        assert endpoint.post(f"{path}?api-version={version}", body).status_code == 200
    wrong = refusal(endpoint.post(f"{path}?api-version=latest", body), 400, "UnsupportedApiVersionValue")
    assert wrong["detail"] == {"loc": ["query", "api-version"], "input": "latest"}
    refusal(small.post(path, body), 400, "MissingApiVersionParameter")
    assert small.post("/v1" + path, {**body, "model": "endless"}).status_code == 200


def test_models_lists_every_deployment_with_what_it_can_do(endpoint: Server) -> None:
    native, openai = endpoint.get("/models").json(), endpoint.get("/v1/models").json()

    assert native == openai
    names = {entry["id"]: entry for entry in native["data"]}
    assert {"tiny-chat", "tiny-text", "tiny-embed", "tiny-images"} <= set(names)
    assert names["tiny-chat"]["capabilities"]["n"]["supported"] is True
    assert endpoint.get("/models/greeter").json()["id"] == "greeter"


def test_request_ids(endpoint: Server) -> None:
    mine = endpoint.get("/health", headers={"x-ms-client-request-id": "mine-1"})
    strange = endpoint.get("/health", headers={"x-ms-client-request-id": "a b\tc"})

    assert mine.headers["x-ms-request-id"] == mine.headers["apim-request-id"] == "mine-1"
    assert strange.headers["x-ms-request-id"] != "a b\tc"


def test_every_answer_has_its_id(endpoint: Server) -> None:
    body = {"messages": MESSAGES, "max_tokens": 1}
    whole = endpoint.chat("greeter", max_tokens=1)
    stream = endpoint.chat("greeter", max_tokens=1, stream=True)
    wrong = endpoint.chat("greeter", temperature=5)
    unknown = endpoint.post("/v1/chat/completions", {**body, "model": "absent"})
    nowhere, method = endpoint.get("/v1/nowhere"), endpoint.http.put("/v1/chat/completions")

    for answer in (whole, stream, wrong, unknown, nowhere, method):
        assert answer.headers["x-request-id"] == answer.headers["x-ms-request-id"]
    for answer in (unknown, nowhere, method):
        assert answer.headers["openai-processing-ms"].isdecimal()
    assert "openai-processing-ms" not in whole.headers

"""The header `extra-parameters`, on every route, under every api-version."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pytest

from tests.http.refusals import offender, openai_refusal, refusal
from tests.http.servers import MESSAGES, Server

VERSIONS = ("2024-04-01-preview", "2024-05-01-preview", "2025-04-01", "2025-08-28")
SHORT: dict[str, Any] = {"max_tokens": 2}


@pytest.mark.parametrize("header", [None, "", "error", "ERROR"])
def test_extras_are_refused_unless_the_header_says_otherwise(endpoint: Server, header: str | None) -> None:
    answer = endpoint.chat("tiny-chat", extra=header, n=2, user="me", **SHORT)

    body = refusal(answer, 400, "extra_parameters_not_allowed")
    assert body["message"] == (
        "Extra parameters ['n', 'user'] are not allowed when extra-parameters is not set or set to be "
        "'error'. Set extra-parameters to 'pass-through' to pass to the model."
    )
    assert body["detail"] == {"loc": ["body", "n"], "input": 2}
    assert [entry["target"] for entry in body["error"]["details"]] == ["n", "user"]


@pytest.mark.parametrize("header", ["drop", "ignore", "Drop", "IGNORE"])
def test_drop_leaves_extras_out_and_names_them(endpoint: Server, header: str) -> None:
    answer = endpoint.chat("tiny-chat", extra=header, n=2, user="me", **SHORT)

    assert answer.status_code == 200
    assert len(answer.json()["choices"]) == 1
    assert answer.headers["x-ms-dropped-parameters"] == "n, user"


def test_drop_leaves_out_what_the_deployment_cannot_honour(endpoint: Server) -> None:
    answer = endpoint.chat("bare-chat", extra="drop", seed=1, max_tokens=2, wisdom=1, top_p=0.5)

    assert answer.status_code == 200
    assert answer.headers["x-ms-dropped-parameters"] == "wisdom, top_p, max_tokens, seed"


def test_drop_leaves_out_a_value_that_the_deployment_cannot_honour(endpoint: Server) -> None:
    answer = endpoint.chat("tiny-chat", extra="drop", response_format={"type": "json_object"}, **SHORT)

    assert answer.status_code == 200
    assert answer.headers["x-ms-dropped-parameters"] == "response_format"


def test_drop_does_not_excuse_a_wrong_value(endpoint: Server) -> None:
    answer = endpoint.chat("tiny-chat", extra="drop", temperature="warm")

    assert offender(answer, 422, "Invalid input") == (["body", "temperature"], "warm")


@pytest.mark.parametrize("stream", [False, True])
def test_names_that_no_header_may_hold(endpoint: Server, stream: bool) -> None:
    names = {"漢": 1, "a\r\nSet-Cookie: b": 1, "c, d": 1, "\x00": 1}
    answer = endpoint.chat("tiny-chat", extra="drop", stream=stream, **SHORT, **names)

    assert answer.status_code == 200
    dropped = answer.headers["x-ms-dropped-parameters"].split(", ")
    assert [unquote(name) for name in dropped] == list(names)


def test_a_long_list_of_names_is_cut(endpoint: Server) -> None:
    answer = endpoint.chat("tiny-chat", extra="drop", **SHORT, **{f"key{n}": 1 for n in range(2000)})

    listed = answer.headers["x-ms-dropped-parameters"].split(", ")
    assert listed[0] == "key0"
    assert listed[-1] == "..."
    assert 100 < len(listed) < 2000


def test_nothing_dropped_is_not_mentioned(endpoint: Server) -> None:
    assert "x-ms-dropped-parameters" not in endpoint.chat("tiny-chat", extra="drop", **SHORT).headers


def test_streams_name_what_was_dropped(endpoint: Server) -> None:
    answer = endpoint.chat("tiny-chat", extra="drop", stream=True, wisdom=1, **SHORT)

    assert answer.headers["x-ms-dropped-parameters"] == "wisdom"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("header", ["pass-through", "allow", "Pass-Through", "ALLOW"])
def test_pass_through_hands_over_what_the_model_takes(endpoint: Server, header: str, version: str) -> None:
    answer = endpoint.post(
        f"/deployments/tiny-chat/chat/completions?api-version={version}",
        {"messages": MESSAGES, "n": 2, **SHORT},
        headers={"Extra-Parameters": header},
    )

    assert len(answer.json()["choices"]) == 2


def test_pass_through_of_what_the_model_does_not_take(endpoint: Server) -> None:
    answer = endpoint.chat("tiny-chat", extra="pass-through", wisdom={"deep": True}, n=2, candour=1)

    body = refusal(answer, 422, "parameter_not_supported")
    assert body["detail"] == {"loc": ["body", "wisdom"], "input": {"deep": True}}
    assert [entry["target"] for entry in body["error"]["details"]] == ["wisdom", "candour"]


def test_pass_through_of_a_known_extra_that_this_deployment_does_not_declare(endpoint: Server) -> None:
    answer = endpoint.chat("bare-chat", extra="pass-through", top_k=3)

    assert offender(answer, 422, "parameter_not_supported") == (["body", "top_k"], 3)


def test_pass_through_of_a_wrong_value(endpoint: Server) -> None:
    answer = endpoint.chat("tiny-chat", extra="pass-through", n=0)

    assert offender(answer, 422, "Invalid input") == (["body", "n"], 0)


@pytest.mark.parametrize("version", VERSIONS)
def test_any_other_word(endpoint: Server, version: str) -> None:
    answer = endpoint.post(
        f"/deployments/tiny-chat/chat/completions?api-version={version}",
        {"messages": MESSAGES},
        headers={"extra-parameters": "perhaps"},
    )

    body = refusal(answer, 400, "invalid_extra_parameters_header")
    assert body["message"] == (
        "Unexpected EXTRA_PARAMETERS option perhaps, expected options are "
        "['error', 'drop', 'pass-through', 'allow', 'ignore']"
    )
    assert body["detail"] == {"loc": ["header", "extra-parameters"], "input": "perhaps"}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/deployments/tiny-text/completions", {"prompt": "Once", "max_tokens": 2}),
        ("/deployments/tiny-embed/embeddings", {"input": ["one"]}),
    ],
)
def test_the_other_routes(endpoint: Server, path: str, body: dict[str, Any]) -> None:
    extra = {**body, "wisdom": 1}
    refusal(endpoint.post(path, extra), 400, "extra_parameters_not_allowed")
    passed = endpoint.post(path, extra, headers={"extra-parameters": "allow"})
    assert offender(passed, 422, "parameter_not_supported") == (["body", "wisdom"], 1)
    dropped = endpoint.post(path, extra, headers={"extra-parameters": "ignore"})
    assert dropped.headers["x-ms-dropped-parameters"] == "wisdom"


def test_chat_parameters_are_extras_of_completions(endpoint: Server) -> None:
    answer = endpoint.post(
        "/deployments/tiny-chat/completions", {"prompt": "Once", "response_format": {"type": "text"}}
    )

    refusal(answer, 400, "extra_parameters_not_allowed")


def test_null_is_absent(endpoint: Server) -> None:
    assert endpoint.chat("tiny-chat", n=None, user=None, wisdom=None, **SHORT).status_code == 200


UNKNOWN_INSIDE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("messages[0].mood", {"messages": [{"role": "user", "content": "Hi", "name": "me", "mood": "good"}]}),
    (
        "messages[0].content[0].mood",
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi", "mood": "good"}]}]},
    ),
    ("response_format.mood", {"response_format": {"type": "text", "mood": "good"}}),
    ("stream_options.mood", {"stream": True, "stream_options": {"include_usage": True, "mood": "good"}}),
    ("tools[0].function.mood", {"tools": [{"type": "function", "function": {"name": "f", "mood": "good"}}]}),
)


@pytest.mark.parametrize(("path", "body"), UNKNOWN_INSIDE)
def test_unknown_keys_inside_follow_the_policy(endpoint: Server, path: str, body: dict[str, Any]) -> None:
    passed = endpoint.chat("caller", extra="pass-through", **body)
    found = refusal(passed, 422, "parameter_not_supported")
    assert found["error"]["details"][0]["target"] == path
    assert found["detail"]["input"] == "good"
    dropped = endpoint.chat("caller", extra="drop", **{"stream_options": {}, **body})
    assert dropped.status_code == 200, dropped.text
    # Natively `stream_options` is an extra itself, and dropped whole.
    named = "stream_options" if path.startswith("stream_options") else path
    assert named in dropped.headers["x-ms-dropped-parameters"].split(", ")
    for base in ("/openai/v1", "/v1"):
        refused = endpoint.post(f"{base}/chat/completions", {"model": "caller", "messages": MESSAGES, **body})
        assert refused.status_code == 400
        assert refused.json()["error"]["param"] == path
        assert path in refused.json()["error"]["message"]


def test_unknown_keys_inside_are_refused_with_their_place_without_the_header(endpoint: Server) -> None:
    messages = [{"role": "user", "content": "Hi", "name": "me", "mood": "good"}]
    body = refusal(
        endpoint.chat("tiny-chat", messages=messages, **SHORT), 400, "extra_parameters_not_allowed"
    )

    assert body["detail"] == {"loc": ["body", "messages", 0, "mood"], "input": "good"}
    assert "['messages[0].mood']" in body["message"]


def test_null_is_absent_inside_too(endpoint: Server) -> None:
    messages = [{"role": "user", "content": "Hi", "name": None, "mood": None}]

    assert endpoint.chat("tiny-chat", messages=messages, **SHORT).status_code == 200


@pytest.mark.parametrize(
    "base", ["/openai/v1", "/v1", "/openai/deployments/tiny-chat", "/deployments/tiny-chat/v1"]
)
@pytest.mark.parametrize("header", ["error", "drop", "nonsense"])
def test_the_openai_paths_ignore_the_header(endpoint: Server, base: str, header: str) -> None:
    body = {"model": "tiny-chat", "messages": MESSAGES, "n": 2, **SHORT}
    answer = endpoint.post(f"{base}/chat/completions", body, headers={"extra-parameters": header})

    assert len(answer.json()["choices"]) == 2
    unknown = endpoint.post(
        f"{base}/chat/completions", {**body, "wisdom": 1}, headers={"extra-parameters": header}
    )
    assert openai_refusal(unknown, 400, "unknown_parameter")["param"] == "wisdom"

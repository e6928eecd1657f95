"""Valid JSON with wrong values: 422 that names the place and the value."""

from __future__ import annotations

from typing import Any

import pytest

from tests.http.refusals import offender, refusal
from tests.http.servers import MESSAGES, Server

CHAT, TEXT = "/deployments/tiny-chat/chat/completions", "/deployments/tiny-text/completions"
VECTORS, IMAGES = "/deployments/tiny-embed/embeddings", "/deployments/tiny-images/images/embeddings"

Place = list[str | int]


def message(**fields: Any) -> dict[str, Any]:
    return {"messages": [fields]}


def call(**fields: Any) -> dict[str, Any]:
    return message(role="assistant", tool_calls=[{"function": fields}])


IN_MESSAGES: list[tuple[dict[str, Any], Place, Any]] = [
    ({}, ["messages"], {}),
    ({"messages": None}, ["messages"], {}),
    ({"messages": []}, ["messages"], []),
    ({"messages": "hi"}, ["messages"], "hi"),
    ({"messages": {}}, ["messages"], {}),
    ({"messages": ["hi"]}, ["messages", 0], "hi"),
    ({"messages": [None]}, ["messages", 0], None),
    (message(), ["messages", 0, "role"], {}),
    (message(content="x"), ["messages", 0, "role"], {"content": "x"}),
    (message(role="king", content="x"), ["messages", 0, "role"], "king"),
    (message(role=7, content="x"), ["messages", 0, "role"], 7),
    (message(role="user"), ["messages", 0, "content"], {"role": "user"}),
    (message(role="system"), ["messages", 0, "content"], {"role": "system"}),
    (message(role="user", content=7), ["messages", 0, "content"], 7),
    (message(role="user", content=None), ["messages", 0, "content"], None),
    (message(role="user", content={"text": "x"}), ["messages", 0, "content"], {"text": "x"}),
    (message(role="user", content=["x"]), ["messages", 0, "content", 0], "x"),
    (
        message(role="user", content=[{"type": "text"}]),
        ["messages", 0, "content", 0, "text"],
        {"type": "text"},
    ),
    (
        message(role="user", content=[{"type": "dance"}]),
        ["messages", 0, "content", 0, "type"],
        "dance",
    ),
    (message(role="assistant", tool_calls={}), ["messages", 0, "tool_calls"], {}),
    (call(), ["messages", 0, "tool_calls", 0, "function", "name"], {}),
    (
        call(name="f", arguments=7),
        ["messages", 0, "tool_calls", 0, "function", "arguments"],
        7,
    ),
    (message(role="tool", content="x", tool_call_id=5), ["messages", 0, "tool_call_id"], 5),
    ({"messages": [*MESSAGES, {"role": "user"}]}, ["messages", 1, "content"], {"role": "user"}),
]
IN_PARAMETERS: list[tuple[str, Any, Place, Any]] = [
    ("temperature", "1", [], "1"),
    ("temperature", True, [], True),
    ("temperature", -0.1, [], -0.1),
    ("temperature", 2.1, [], 2.1),
    ("temperature", [1], [], [1]),
    ("top_p", 1.1, [], 1.1),
    ("max_tokens", -1, [], -1),
    ("max_tokens", 2**31, [], 2**31),
    ("max_tokens", 1.5, [], 1.5),
    ("max_tokens", "5", [], "5"),
    ("stop", 5, [], 5),
    ("stop", [5], [0], 5),
    ("stop", ["a", None], [1], None),
    ("stop", {"texts": ["a"]}, [], {"texts": ["a"]}),
    ("seed", 1.5, [], 1.5),
    ("seed", True, [], True),
    ("stream", "yes", [], "yes"),
    ("stream", 1, [], 1),
    ("model", 5, [], 5),
    ("frequency_penalty", 3, [], 3),
    ("presence_penalty", -2.5, [], -2.5),
    ("response_format", 5, [], 5),
    ("response_format", "xml", [], "xml"),
    ("response_format", {"type": "xml"}, ["type"], "xml"),
    ("response_format", {}, ["type"], {}),
    ("response_format", {"type": "json_schema"}, ["json_schema"], {"type": "json_schema"}),
    ("tools", {}, [], {}),
    ("tools", [{"type": "function"}], [0, "function"], {"type": "function"}),
    ("tools", [{"type": "function", "function": {"name": "a b"}}], [0, "function", "name"], "a b"),
    ("tools", [{"type": "other", "function": {"name": "ab"}}], [0, "type"], "other"),
    ("tool_choice", "maybe", [], "maybe"),
    ("tool_choice", {"type": "function"}, ["function"], {"type": "function"}),
    ("modalities", ["smell"], [0], "smell"),
    ("n", 0, [], 0),
    ("n", "2", [], "2"),
    ("top_k", -2, [], -2),
    ("min_p", 2, [], 2),
    ("repetition_penalty", 0, [], 0),
    ("logit_bias", {"a": 1}, ["a"], 1),
    ("logit_bias", {"1": 101}, ["1"], 101),
    ("logit_bias", {"259": 1}, ["259"], 1),
    ("logit_bias", {"-1": 1}, ["-1"], 1),
    ("logit_bias", {"9" * 5000: 1}, ["9" * 5000], 1),
    ("logit_bias", [], [], []),
    ("guided_regex", "", [], ""),
    ("guided_regex", ["a"], [], ["a"]),
    ("guided_choice", "a", [], "a"),
    ("guided_choice", [], [], []),
    ("guided_choice", ["a", 1], [1], 1),
    ("guided_choice", ["a", ""], [1], ""),
    ("guided_grammar", "", [], ""),
    ("guided_grammar", {}, [], {}),
    ("stream_options", {"include_usage": "x"}, ["include_usage"], "x"),
    ("safe_prompt", "yes", [], "yes"),
]
IN_OTHERS: list[tuple[str, dict[str, Any], Place, Any]] = [
    (TEXT, {"prompt": []}, ["prompt"], []),
    (TEXT, {"prompt": 5}, ["prompt"], 5),
    (TEXT, {"prompt": {"text": "a"}}, ["prompt"], {"text": "a"}),
    (TEXT, {"prompt": [[]]}, ["prompt", 0], []),
    (TEXT, {"prompt": ["a", 1]}, ["prompt", 1], 1),
    (TEXT, {"prompt": [1, "a"]}, ["prompt", 1], "a"),
    (TEXT, {"prompt": [[1], "a"]}, ["prompt", 1], "a"),
    (TEXT, {"prompt": [-1]}, ["prompt", 0], -1),
    (TEXT, {"prompt": [1.5]}, ["prompt", 0], 1.5),
    (TEXT, {"prompt": [True]}, ["prompt", 0], True),
    (TEXT, {"prompt": [259]}, ["prompt", 0], 259),
    (TEXT, {"prompt": [[1], [2, 300]]}, ["prompt", 1, 1], 300),
    (VECTORS, {}, ["input"], {}),
    (VECTORS, {"input": ""}, ["input"], ""),
    (VECTORS, {"input": []}, ["input"], []),
    (VECTORS, {"input": ["a", ""]}, ["input", 1], ""),
    (VECTORS, {"input": [[]]}, ["input", 0], []),
    (VECTORS, {"input": [None]}, ["input", 0], None),
    (VECTORS, {"input": 5}, ["input"], 5),
    (VECTORS, {"input": [999]}, ["input", 0], 999),
    (VECTORS, {"input": [[1], [999]]}, ["input", 1, 0], 999),
    (VECTORS, {"input": "a", "dimensions": 0}, ["dimensions"], 0),
    (VECTORS, {"input": "a", "dimensions": "8"}, ["dimensions"], "8"),
    (VECTORS, {"input": "a", "encoding_format": "x"}, ["encoding_format"], "x"),
    (VECTORS, {"input": "a", "encoding_format": 5}, ["encoding_format"], 5),
    (VECTORS, {"input": "a", "input_type": "x"}, ["input_type"], "x"),
    (IMAGES, {}, ["input"], {}),
    (IMAGES, {"input": []}, ["input"], []),
    (IMAGES, {"input": ["x"]}, ["input", 0], "x"),
    (IMAGES, {"input": [{}]}, ["input", 0, "image"], {}),
    (IMAGES, {"input": [{"image": 5}]}, ["input", 0, "image"], 5),
    (IMAGES, {"input": [{"image": "x"}]}, ["input", 0, "image"], "x"),
]


def short(value: Any) -> str:
    return str(value)[:60]


@pytest.mark.parametrize(("body", "place", "shown"), IN_MESSAGES, ids=short)
def test_messages(endpoint: Server, body: dict[str, Any], place: Place, shown: Any) -> None:
    assert offender(endpoint.post(CHAT, body), 422, "Invalid input") == (["body", *place], shown)


@pytest.mark.parametrize(("name", "value", "place", "shown"), IN_PARAMETERS, ids=short)
def test_parameters(endpoint: Server, name: str, value: Any, place: Place, shown: Any) -> None:
    answer = endpoint.chat("tiny-chat", extra="pass-through", **{"max_tokens": 1, name: value})

    loc, seen = offender(answer, 422, "Invalid input")
    assert (loc, seen) == (["body", name, *place], shown)
    assert type(seen) is type(shown) or isinstance(seen, float)


@pytest.mark.parametrize(("path", "body", "place", "shown"), IN_OTHERS, ids=short)
def test_other_routes(endpoint: Server, path: str, body: dict[str, Any], place: Place, shown: Any) -> None:
    assert offender(endpoint.post(path, body), 422, "Invalid input") == (["body", *place], shown)


def test_every_offender_is_named(endpoint: Server) -> None:
    body = {"messages": [{"role": "user"}], "temperature": "hot", "top_p": 7}
    answer = refusal(endpoint.post(CHAT, body), 422, "Invalid input")

    targets = {entry["target"] for entry in answer["error"]["details"]}
    assert targets == {"messages[0].content", "temperature", "top_p"}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (TEXT, {"prompt": ["a", *([1] * 20_000)]}),
        (VECTORS, {"input": [1, *(["a"] * 20_000)]}),
        (CHAT, {"messages": [1] * 20_000}),
        (CHAT, {"messages": MESSAGES, **{f"key{n}": 1 for n in range(5000)}}),
    ],
    ids=["prompt", "input", "messages", "extras"],
)
def test_many_offences_are_answered_in_short(endpoint: Server, path: str, body: dict[str, Any]) -> None:
    answer = endpoint.post(path, body)

    assert answer.status_code in (400, 413, 422)
    assert len(answer.json()["error"]["details"]) <= 100


def test_everything_that_cannot_be_honoured_is_named(endpoint: Server) -> None:
    answer = endpoint.chat("bare-chat", temperature=1, top_p=0.5, response_format={"type": "json_object"})

    details = refusal(answer, 422, "parameter_not_supported")["error"]["details"]
    assert [entry["target"] for entry in details] == ["temperature", "top_p", "response_format"]


def test_long_values_are_cut_in_the_answer(endpoint: Server) -> None:
    answer = endpoint.chat("tiny-chat", temperature="x" * 100_000)

    _, shown = offender(answer, 422, "Invalid input")
    assert shown == "x" * 2000 + "..."


def test_two_lengths_that_disagree(endpoint: Server) -> None:
    answer = endpoint.chat("tiny-chat", extra="allow", max_tokens=6, max_completion_tokens=5)

    assert offender(answer, 422, "Invalid input") == (["body", "max_completion_tokens"], 5)


def test_empty_values_as_prompt_flow_sends_them(endpoint: Server) -> None:
    body: dict[str, Any] = {
        "logit_bias": {},
        "stop": [],
        "user": None,
        "response_format": None,
        "max_tokens": 1,
    }
    answer = endpoint.post(
        "/deployments/tiny-chat/v1/chat/completions", {"messages": MESSAGES, "model": "x", **body}
    )

    assert answer.status_code == 200


def test_lenient_messages(endpoint: Server) -> None:
    """What clients send and the API tolerates."""
    conversation = [
        {"role": "developer", "content": "Be short."},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": {"a": 1}}}]},
        {"role": "tool", "content": None},
        {"role": "assistant", "content": None, "tool_calls": None},
        {"role": "user", "content": ""},
        {"role": "user", "content": []},
    ]

    assert endpoint.chat("tiny-chat", messages=conversation, max_tokens=1).status_code == 200

"""What `/info` says a deployment can do, and what it then does or refuses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from inference.api.parameters import ROWS, Parameter, ParameterPlace
from inference.contracts import Route, Task
from tests.http.pictures import data_url
from tests.http.refusals import offender
from tests.http.servers import MESSAGES, Server
from tests.http.zoo import TOOL
from tests.support.encoders import DIMENSIONS

BODIES: Mapping[Route, Mapping[str, Any]] = {
    Route.CHAT: {"messages": MESSAGES},
    Route.COMPLETIONS: {"prompt": "Once"},
    Route.EMBEDDINGS: {"input": ["one"]},
    Route.IMAGE_EMBEDDINGS: {"input": [{"image": data_url()}]},
    Route.RERANK: {"query": "fog", "documents": ["rain"]},
    Route.CLASSIFY: {"inputs": ["fog"]},
    Route.EMBED_SPARSE: {"inputs": ["fog"]},
}
DEPLOYMENTS: Mapping[str, tuple[Route, ...]] = {
    "tiny-chat": (Route.CHAT, Route.COMPLETIONS),
    "caller": (Route.CHAT, Route.COMPLETIONS),
    "babbler": (Route.CHAT, Route.COMPLETIONS),
    "bare-chat": (Route.CHAT, Route.COMPLETIONS),
    "tiny-text": (Route.COMPLETIONS,),
    "tiny-embed": (Route.EMBEDDINGS,),
    "tiny-images": (Route.EMBEDDINGS, Route.IMAGE_EMBEDDINGS),
    "ranker": (Route.RERANK,),
    "labeller": (Route.CLASSIFY,),
    "weigher": (Route.EMBED_SPARSE,),
}
VALUES: Mapping[str, tuple[Any, ...]] = {
    "temperature": (0, 0.5, 2),
    "top_p": (0, 0.5),
    "max_tokens": (0, 2),
    "stop": ("x", ["x", "y"]),
    "seed": (1, -(2**63)),
    "frequency_penalty": (-2, 0.5),
    "presence_penalty": (2,),
    "response_format": ({"type": "json_object"}, "json_object"),
    "tools": ([TOOL],),
    "tool_choice": ("required", {"type": "function", "function": {"name": "get_weather"}}),
    "modalities": (["text", "audio"],),
    "dimensions": (DIMENSIONS, 7),
    "encoding_format": ("base64", "binary", "int8", "ubinary", "uint8"),
    "n": (2,),
    "top_k": (1, 5),
    "min_p": (0.5,),
    "repetition_penalty": (1.3,),
    "logit_bias": ({"65": 5},),
    "guided_regex": ("a+",),
    "guided_choice": (["yes", "no"],),
    "guided_grammar": ('start: "a"',),
    "max_completion_tokens": (2,),
    "stream_options": ({"include_usage": True},),
    "truncate": ("START", "END"),
    "task": ("classification",),
    "prompt_name": ("query",),
    "max_chunks_per_doc": (2,),
    "rank_fields": (["title"],),
    "safe_prompt": (True,),
    "logprobs": (True,),
    "top_logprobs": (3,),
    "parallel_tool_calls": (False,),
    "reasoning_effort": ("low",),
    "verbosity": ("high",),
    "audio": ({"voice": "any", "format": "wav"},),
    "prediction": ({"type": "content", "content": "x"},),
    "web_search_options": ({},),
    "moderation": ({"model": "any"},),
    "functions": ([{"name": "f"}],),
    "function_call": ("auto",),
    "store": (True,),
    "service_tier": ("flex",),
    "best_of": (2,),
    "echo": (True,),
    "suffix": ("the end",),
    "user": ("me",),
    "safety_identifier": ("me",),
    "prompt_cache_key": ("mine",),
    "prompt_cache_retention": ("24h",),
    "prompt_cache_options": ({"mode": "explicit"},),
    "metadata": ({"a": "b"},),
}
"""Per row values that ask for something; none is the row's neutral one."""


def cases() -> Iterator[tuple[Parameter, str, Route]]:
    for row in ROWS:
        for deployment, routes in DEPLOYMENTS.items():
            for route in routes:
                if row.place is not ParameterPlace.ENVELOPE and route in row.routes:
                    yield row, deployment, route


def name_of(value: Parameter | Route | str) -> str:
    return value.name if isinstance(value, Parameter) else str(value)


def test_every_row_has_values() -> None:
    others = (ParameterPlace.ENVELOPE, ParameterPlace.DERIVED)
    assert set(VALUES) == {row.name for row in ROWS if row.place not in others}


@pytest.fixture(scope="module")
def capabilities(endpoint: Server) -> Mapping[str, Mapping[str, Any]]:
    """What every deployment declares, by name."""
    return {name: endpoint.get(f"/deployments/{name}/info").json()["capabilities"] for name in DEPLOYMENTS}


@pytest.mark.parametrize(("row", "deployment", "route"), list(cases()), ids=name_of)
def test_info_agrees_with_what_is_refused(
    endpoint: Server,
    capabilities: Mapping[str, Mapping[str, Any]],
    row: Parameter,
    deployment: str,
    route: Route,
) -> None:
    declared = capabilities[deployment][row.name]
    limited = capabilities[deployment].get("max_tokens", {}).get("supported", False)
    short: dict[str, Any] = {"max_tokens": 2} if limited and row.name != "max_completion_tokens" else {}
    if row.name == "top_logprobs" and declared["supported"]:
        short["logprobs"] = True
    if row.name == "tool_choice" and declared["supported"]:
        short["tools"] = [TOOL]
    for value in values_of(row.name, route):
        body = {**BODIES[route], **short, row.name: value}
        answer = endpoint.post(
            f"/deployments/{deployment}/{route}", body, headers={"extra-parameters": "pass-through"}
        )
        if honours(declared, value):
            assert answer.status_code == 200, answer.text
        else:
            loc, shown = offender(answer, 422, "parameter_not_supported")
            assert loc == ["body", row.name]
            assert shown == word(row.name, value)


def values_of(name: str, route: Route) -> tuple[Any, ...]:
    """`logprobs` is a number on the route that has no `top_logprobs`."""
    return (3,) if (name, route) == ("logprobs", Route.COMPLETIONS) else VALUES[name]


def honours(declared: Mapping[str, Any], value: Any) -> bool:
    if not declared["supported"]:
        return False
    chosen = word("", value)
    if "values" in declared and isinstance(chosen, int | str):
        return chosen in declared["values"]
    return True


def word(name: str, value: Any) -> Any:
    """What stands for a value in `values` and in a refusal: of a typed object its type."""
    typed = isinstance(value, dict) and "type" in value and name in ("", "response_format", "tool_choice")
    return value["type"] if typed else value


def test_neutral_values_are_taken_by_everyone(endpoint: Server) -> None:
    """A client that spells out the defaults asks for nothing."""
    neutral: dict[str, Any] = {
        "top_p": 1,
        "stop": [],
        "frequency_penalty": 0,
        "presence_penalty": 0.0,
        "response_format": {"type": "text"},
        "modalities": ["text"],
        "seed": None,
        "tools": None,
    }
    later: dict[str, Any] = {
        "tools": [],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "n": 1,
        "top_k": -1,
        "min_p": 0,
        "repetition_penalty": 1.0,
        "logit_bias": {},
        "stop": "",
        "modalities": [],
        "stream_options": {"include_usage": None, "include_obfuscation": False},
        "logprobs": False,
        "top_logprobs": 0,
        "reasoning_effort": "none",
        "verbosity": "medium",
        "functions": [],
        "function_call": "none",
        "store": False,
        "service_tier": "default",
        "safe_prompt": False,
        "user": "",
        "metadata": {},
        "prompt_cache_options": {},
        "prompt_cache_retention": "in_memory",
    }

    assert endpoint.chat("bare-chat", **neutral).status_code == 200
    for base in ("", "/openai"):
        for values in (later, {"top_k": 0, "service_tier": "auto", "stop": [""], "stream_options": {}}):
            answer = endpoint.post(
                f"{base}/deployments/bare-chat/chat/completions", {"messages": MESSAGES, **values}
            )
            assert answer.status_code == 200, answer.text
            assert "x-ms-dropped-parameters" not in answer.headers
    text = {"prompt": "Once", "n": 1, "best_of": 1, "echo": False, "suffix": "", "top_k": 0, "stop": []}
    assert endpoint.post("/deployments/bare-chat/completions", text).status_code == 200
    truncated = {"input": ["one"], "truncate": "NONE", "user": ""}
    assert endpoint.post("/deployments/tiny-embed/embeddings", truncated).status_code == 200
    body = {"input": ["one"], "encoding_format": "float", "input_type": "text"}
    assert endpoint.post("/deployments/tiny-embed/embeddings", body).status_code == 200


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_info(endpoint: Server, deployment: str) -> None:
    info = endpoint.get(f"/deployments/{deployment}/info").json()

    assert info["model_name"] == deployment
    assert info["model_provider_name"] == "tests"
    forms = (Route.RESPONSES,) if Route.CHAT in DEPLOYMENTS[deployment] else ()
    assert info["routes"] == sorted(f"/{route}" for route in (*DEPLOYMENTS[deployment], *forms))
    assert info["model_type"] in {task.value for task in Task}


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": data_url()}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "audio_url", "audio_url": {"url": "https://example.com/a.mp3"}},
    ],
)
def test_a_model_that_reads_text_refuses_pictures_and_sound(endpoint: Server, part: dict[str, Any]) -> None:
    content = [{"type": "text", "text": "What is this?"}, part]
    answer = endpoint.chat("tiny-chat", messages=[{"role": "user", "content": content}])

    loc, shown = offender(answer, 422, "parameter_not_supported")
    assert loc == ["body", "messages", 0, "content", 1]
    assert shown == part

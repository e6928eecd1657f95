"""What a deployment can honour: the refusal and the description agree."""

from pathlib import Path
from typing import Any

import pytest

from inference.api.chat import ChatRequest
from inference.api.embeddings import EmbeddingsRequest
from inference.api.validation import validate
from inference.contracts import Route
from inference.errors import ParameterNotSupported
from inference.pipeline.capabilities import check, describe, unsupported
from tests.support.cards import CHAT, EMBEDDINGS, deployment

MESSAGES = [{"role": "user", "content": "hi"}]
TOOL = {"type": "function", "function": {"name": "look"}}

TOOLS = [{"type": "function", "function": {"name": "look"}}]
REQUIRED = {"mode": "required", "tools": TOOLS}
ALLOWED = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": TOOLS}}


def refused(root: Path, **body: Any) -> list[tuple[tuple[str | int, ...], Any]]:
    body = {"messages": MESSAGES, **body}
    card = deployment(root, CHAT).card
    try:
        check(validate(ChatRequest, body), body, card)
    except ParameterNotSupported as refusal:
        return [(offender.loc, offender.input) for offender in refusal.offenders]
    return []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"temperature": 1.5, "max_tokens": 32, "stop": ["a", "b"], "seed": -5},
        {"tools": [TOOL], "tool_choice": "auto"},
        {"top_k": 3, "safe_prompt": True},
        {"top_p": 1, "frequency_penalty": 0, "n": 1, "min_p": 0.0, "logit_bias": {}},
        {"response_format": {"type": "text"}},
        {"response_format": "text"},
        {"modalities": ["text"]},
        {"tools": [], "tool_choice": "auto", "parallel_tool_calls": True, "functions": []},
        {"top_k": 0, "reasoning_effort": "none", "service_tier": "default", "store": False, "stop": ""},
        {"stream_options": {"include_usage": False, "include_obfuscation": None}, "modalities": []},
        {"tools": [TOOL], "tool_choice": ALLOWED},
    ],
)
def test_what_is_declared_or_asks_for_nothing_passes(tmp_path: Path, body: dict[str, Any]) -> None:
    assert refused(tmp_path, **body) == []


@pytest.mark.parametrize(
    ("body", "loc", "value"),
    [
        ({"top_p": 0.5}, ("body", "top_p"), 0.5),
        ({"temperature": 1.6}, ("body", "temperature"), 1.6),
        ({"max_tokens": 33}, ("body", "max_tokens"), 33),
        ({"stop": ["a", "b", "c"]}, ("body", "stop"), ("a", "b", "c")),
        ({"response_format": {"type": "json_object"}}, ("body", "response_format"), "json_object"),
        ({"response_format": "json_object"}, ("body", "response_format"), "json_object"),
        ({"tools": [TOOL], "tool_choice": "required"}, ("body", "tool_choice"), "required"),
        (
            {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "look"}}},
            ("body", "tool_choice"),
            "function",
        ),
        (
            {"tools": [TOOL], "tool_choice": {**ALLOWED, "allowed_tools": REQUIRED}},
            ("body", "tool_choice"),
            "required",
        ),
        (
            {"response_format": {"type": "json_object", "schema": {"type": "object"}}},
            ("body", "response_format"),
            "json_schema",
        ),
        ({"modalities": ["text", "audio"]}, ("body", "modalities"), ("text", "audio")),
        ({"n": 2}, ("body", "n"), 2),
    ],
)
def test_what_is_not_declared_is_refused_at_its_place(
    tmp_path: Path, body: dict[str, Any], loc: tuple[str, ...], value: Any
) -> None:
    assert refused(tmp_path, **body) == [(loc, value)]


def test_every_offender_is_named(tmp_path: Path) -> None:
    assert [loc[1] for loc, _ in refused(tmp_path, n=2, top_p=0.5, seed=1)] == ["top_p", "n"]


def test_a_picture_for_a_text_model_is_refused_down_to_the_part(tmp_path: Path) -> None:
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    content = [{"type": "text", "text": "what is this?"}, part]
    offenders = refused(tmp_path, messages=[*MESSAGES, {"role": "user", "content": content}])
    assert offenders == [(("body", "messages", 1, "content", 1), part)]


def test_drop_is_told_what_cannot_be_honoured(tmp_path: Path) -> None:
    card = deployment(tmp_path, CHAT).card
    assert unsupported({"messages": MESSAGES, "seed": 1, "top_p": 0.2}, card, Route.CHAT) == (
        ("body", "top_p"),
    )


@pytest.mark.parametrize(("size", "fine"), [(16, True), (8, True), (4, False), (32, False)])
def test_dimensions_are_the_native_size_or_one_the_model_was_trained_for(
    tmp_path: Path, size: int, fine: bool
) -> None:
    card = deployment(tmp_path, EMBEDDINGS).card
    body = {"input": "a", "dimensions": size}
    request = validate(EmbeddingsRequest, body)
    if fine:
        check(request, body, card)
        return
    with pytest.raises(ParameterNotSupported) as refusal:
        check(request, body, card)
    assert "which gives 8, 16" in refusal.value.offenders[0].message


def test_the_description_says_what_the_check_does(tmp_path: Path) -> None:
    described = describe(deployment(tmp_path, CHAT).card)
    assert described["temperature"] == {"supported": True, "min": 0, "max": 1.5, "default": 0.7}
    assert described["tool_choice"] == {"supported": True, "values": ["none", "auto"]}
    assert described["top_p"] == {"supported": False}
    assert described["top_k"]["extra"] is True
    assert "messages" not in described


SIDES = ["NONE", "START", "END"]


@pytest.mark.parametrize(
    ("usual", "extras", "values", "supported", "default"),
    [
        (None, {}, ["NONE"], False, "NONE"),
        (None, {"truncate": {}}, SIDES, True, "NONE"),
        (None, {"truncate": {"values": ["END"]}}, ["NONE", "END"], True, "NONE"),
        ("START", {}, ["NONE", "START"], True, "START"),
        ("END", {"truncate": {"values": ["START"]}}, ["NONE", "END", "START"], True, "END"),
    ],
)
def test_what_is_said_of_truncation_is_what_is_done(
    tmp_path: Path,
    usual: str | None,
    extras: dict[str, Any],
    values: list[str],
    supported: bool,
    default: str,
) -> None:
    embedding = {**EMBEDDINGS["embedding"], "truncate": usual}
    card = deployment(tmp_path, EMBEDDINGS, embedding=embedding, extras=extras).card
    said = describe(card)["truncate"]
    assert said == {"supported": supported, "values": values, "default": default, "extra": True}
    for side in SIDES:
        body = {"input": "hi", "truncate": side}
        if side in values:
            check(validate(EmbeddingsRequest, body), body, card)
        else:
            with pytest.raises(ParameterNotSupported):
                check(validate(EmbeddingsRequest, body), body, card)


def test_padding_of_chunks_is_refused_at_its_place_and_dropped_alone(tmp_path: Path) -> None:
    card = deployment(tmp_path, CHAT, extras={"stream_options": {}}).card
    body = {"messages": MESSAGES, "stream_options": {"include_usage": True, "include_obfuscation": True}}
    place = ("body", "stream_options", "include_obfuscation")
    with pytest.raises(ParameterNotSupported) as refusal:
        check(validate(ChatRequest, body), body, card)
    assert [(one.loc, one.input) for one in refusal.value.offenders] == [(place, True)]
    assert unsupported(body, card, Route.CHAT) == (place,)


def test_a_document_is_refused_and_a_refusal_is_text(tmp_path: Path) -> None:
    part = {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA=="}}
    answer = {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}
    messages = [{"role": "user", "content": [part]}, answer]
    assert refused(tmp_path, messages=messages) == [(("body", "messages", 0, "content", 0), part)]

"""The defaults that a card sets: refused where a request with them would be, applied where it has none."""

import json
from pathlib import Path
from typing import Any

import pytest

from inference.cards.card import CARD_FILE, Card, CardError, load, parse, schema
from inference.contracts import Route
from inference.pipeline.capabilities import describe
from tests.support.cards import CHAT

DECLARED = {
    "parameters": {
        "temperature": {"default": 0},
        "max_tokens": {"max": 64, "default": 32},
        "stop": {"default": ["END", "\n\n"]},
        "top_p": {},
    },
    "extras": {
        "top_k": {"default": 40},
        "max_completion_tokens": {},
        "parallel_tool_calls": {"default": False},
    },
}


def card(changes: dict[str, Any]) -> Card:
    return parse(json.dumps({**CHAT, **changes}).encode())


@pytest.mark.parametrize(
    ("section", "declared", "sentence"),
    [
        ("parameters", {"temperature": {"default": 3}}, "default is 3, the values accepted are 0 to 2"),
        ("parameters", {"temperature": {"default": -0.5}}, "default is -0.5, the values accepted are 0 to 2"),
        (
            "parameters",
            {"temperature": {"max": 0.5, "default": 0.7}},
            "default is 0.7, the values accepted are 0 to 0.5",
        ),
        (
            "parameters",
            {"temperature": {"min": 0.5, "default": 0}},
            "default is 0, the values accepted are 0.5 to 2",
        ),
        (
            "parameters",
            {"max_tokens": {"max": 64, "default": 65}},
            "default is 65, the values accepted are 0 to 64",
        ),
        (
            "parameters",
            {"temperature": {"default": "low"}},
            'default is "low", the parameter\'s type is number',
        ),
        ("parameters", {"temperature": {"default": True}}, "default is true, the parameter's type is number"),
        ("parameters", {"max_tokens": {"default": 1.5}}, "default is 1.5, the parameter's type is integer"),
        ("parameters", {"stop": {"default": 3}}, "default is 3, the parameter's type is string or array of"),
        (
            "parameters",
            {"stop": {"max_items": 1, "default": ["a", "b"]}},
            'default is ["a", "b"], max_items is 1',
        ),
        ("extras", {"parallel_tool_calls": {"default": 1}}, "default is 1, the parameter's type is boolean"),
        (
            "extras",
            {"reasoning_effort": {"template": {"low": {}}, "default": "high"}},
            'default is "high", the values accepted are low',
        ),
        ("extras", {"n": {"default": 2}}, "default is 2, but n has no default that a card can set"),
        ("parameters", {"response_format": {"default": "json_object"}}, "but response_format has no default"),
        ("parameters", {"temperature": {"max_calls": 2}}, "max_calls is set, but the parameter is not tools"),
    ],
)
def test_a_default_that_a_request_could_not_send_is_refused(
    tmp_path: Path, section: str, declared: dict[str, Any], sentence: str
) -> None:
    (tmp_path / CARD_FILE).write_text(json.dumps({**CHAT, section: declared}), encoding="utf-8")
    with pytest.raises(CardError) as refused:
        load(tmp_path)
    (name,) = declared
    place, _, rest = sentence.partition(" ")
    assert f"{section}.{name}." in str(refused.value)
    assert rest in str(refused.value)
    assert place in str(refused.value)


@pytest.mark.parametrize(
    ("body", "filled"),
    [
        ({}, {"temperature": 0, "max_tokens": 32, "stop": ["END", "\n\n"], "top_k": 40}),
        ({"temperature": 1}, {"temperature": 1, "max_tokens": 32, "stop": ["END", "\n\n"], "top_k": 40}),
        ({"max_tokens": 5, "stop": "x", "top_k": 1, "temperature": 0.1}, {}),
        ({"max_completion_tokens": 9, "stop": [], "top_k": 0}, {"temperature": 0}),
    ],
)
def test_a_default_fills_what_a_request_leaves_out(body: dict[str, Any], filled: dict[str, Any]) -> None:
    found = card(DECLARED).with_defaults(body, Route.CHAT)
    assert found == {**filled, **body, "parallel_tool_calls": False}


def test_a_default_belongs_to_the_routes_of_its_parameter() -> None:
    assert "parallel_tool_calls" not in card(DECLARED).with_defaults({}, Route.COMPLETIONS)
    assert card(DECLARED).with_defaults({}, Route.COMPLETIONS)["max_tokens"] == 32


def test_the_capabilities_show_the_default_and_the_most_calls() -> None:
    tools = {"tools": {"dialect": "hermes", "max_calls": 4}, "tool_choice": {}}
    described = describe(card({"parameters": {**DECLARED["parameters"], **tools}}))
    assert described["temperature"] == {"supported": True, "min": 0, "max": 2, "default": 0}
    assert described["max_tokens"]["default"] == 32
    assert described["stop"]["default"] == ("END", "\n\n")
    assert described["top_p"]["default"] == 1.0
    assert described["tools"]["max_calls"] == 4


def test_a_remote_endpoint_ends_its_calls_itself() -> None:
    remote = {
        "backend": "remote",
        "remote": {"url": "https://models.example.com", "dialect": "openai", "model": "m"},
        "files": {},
        "parameters": {"tools": {"max_calls": 2}, "tool_choice": {}},
    }
    with pytest.raises(CardError, match=r"parameters\.tools\.max_calls must be absent"):
        card(remote)


def test_the_schema_bounds_a_default() -> None:
    sections = schema()["properties"]
    assert sections["parameters"]["properties"]["temperature"]["properties"]["default"] == {
        "minimum": 0,
        "maximum": 2,
    }
    assert sections["parameters"]["properties"]["response_format"]["properties"]["default"] == {
        "type": "null"
    }

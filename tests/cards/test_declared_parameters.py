"""The parameters that cards declare, and their limits."""

import json
from pathlib import Path
from typing import Any

import pytest

from inference.cards.card import CARD_FILE, CardError, load, schema
from tests.support.cards import CHAT


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"parameters": {"warmth": {}}}, "parameters.warmth is not a parameter that parameters can declare"),
        ({"parameters": {"top_k": {}}}, "parameters.top_k is not a parameter that parameters can declare"),
        ({"parameters": {"messages": {}}}, "parameters.messages is not a parameter"),
        ({"extras": {"seed": {}}}, "extras.seed is not a parameter that extras can declare"),
        ({"parameters": {"dimensions": {}}}, "parameters.dimensions does not belong to chat-completions"),
        (
            {"parameters": {"temperature": {"max": 3}}},
            "parameters.temperature.max is 3.0, the API's own maximum is 2",
        ),
        ({"parameters": {"top_p": {"min": -1}}}, "parameters.top_p.min is -1.0, the API's own minimum is 0"),
        ({"parameters": {"stop": {"max": 3}}}, "parameters.stop.max is 3.0, the API's own maximum is none"),
        (
            {"parameters": {"seed": {"max_items": 3}}},
            "parameters.seed.max_items is set, but the parameter is not a list",
        ),
        (
            {"parameters": {"response_format": {"values": ["xml"]}}},
            "parameters.response_format.values has 'xml', the API's own are text, json_object",
        ),
        ({"extras": {"reasoning_effort": {}}}, "extras.reasoning_effort needs template.none"),
        (
            {"extras": {"reasoning_effort": {"values": ["low"], "template": {"high": {}}}}},
            "extras.reasoning_effort needs template.low",
        ),
        (
            {"extras": {"reasoning_effort": {"values": ["low"], "template": {"low": {"messages": []}}}}},
            "extras.reasoning_effort.template sets messages, which every request sets itself",
        ),
    ],
)
def test_a_declaration_beyond_the_api_is_refused(
    tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    (tmp_path / CARD_FILE).write_text(json.dumps({**CHAT, **changes}), encoding="utf-8")
    with pytest.raises(CardError) as refused:
        load(tmp_path)
    assert f"{CARD_FILE}: {sentence}" in str(refused.value)


def test_the_schema_of_a_section_has_its_parameters_with_the_limits_of_the_api() -> None:
    sections = schema()["properties"]
    temperature = sections["parameters"]["properties"]["temperature"]["properties"]
    assert temperature["max"] == {"minimum": 0, "maximum": 2}
    assert "top_k" not in sections["parameters"]["properties"]
    declared, any_word = sections["extras"]["anyOf"]
    assert "top_k" in declared["properties"]
    assert any_word == {"const": "any"}

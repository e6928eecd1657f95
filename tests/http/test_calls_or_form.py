"""Tools beside a form, odd schemas, functions without parameters, cut calls: asked for by OpenAI's client.

The weights of the deployment are random: whether an answer is calls or the form is a matter of its seed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal

import jsonschema
import openai
import pytest
from openai import OpenAI, pydantic_function_tool
from openai.types.chat import ChatCompletion
from pydantic import BaseModel, ConfigDict, Field

from tests.http.servers import Server

NAME = "babbler"
SAY: Any = [{"role": "user", "content": "Say something."}]
AFTER_A_RESULT: Any = [
    *SAY,
    {
        "role": "assistant",
        "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "Look", "arguments": "{}"}}],
    },
    {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
]
SEEDS = range(6)


class Weather(BaseModel):
    model_config = ConfigDict(extra="forbid")
    sky: Literal["clear", "rain"]
    degrees: int = Field(ge=-60, le=60)


class Look(BaseModel):
    model_config = ConfigDict(extra="forbid")
    hour: int = Field(ge=0, le=23)


class Cat(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["cat"] = "cat"
    lives: int = Field(ge=0, le=9)


class Dog(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["dog"] = "dog"
    lives: int = Field(ge=0, le=9)


TOOLS: Any = [pydantic_function_tool(Look)]
FORM: Any = {
    "type": "json_schema",
    "json_schema": {"name": "weather", "strict": True, "schema": Weather.model_json_schema()},
}


@pytest.fixture
def client(endpoint: Server) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{endpoint.url}/openai/v1", api_key="any", max_retries=0) as made:
        yield made


def schema_format(schema: dict[str, Any], *, strict: bool | None = True) -> Any:
    return {"type": "json_schema", "json_schema": {"name": "it", "schema": schema, "strict": strict}}


def function(name: str, **more: Any) -> Any:
    return {"type": "function", "function": {"name": name, **more}}


def kind_of(answer: ChatCompletion) -> str:
    """Check that an answer is valid calls or the form, and return its kind."""
    (choice,) = answer.choices
    if calls := choice.message.tool_calls:
        assert not choice.message.content
        for call in calls:
            assert call.type == "function"
            assert call.function.name == "Look"
            Look.model_validate_json(call.function.arguments)
        assert choice.finish_reason == "tool_calls"
        return "calls"
    Weather.model_validate_json(choice.message.content or "")
    assert choice.finish_reason == "stop"
    return "form"


@pytest.mark.parametrize("messages", [SAY, AFTER_A_RESULT], ids=["first", "after-a-result"])
@pytest.mark.parametrize("parallel", [False, True])
def test_tools_beside_a_form_give_calls_or_the_form(client: OpenAI, messages: Any, parallel: bool) -> None:
    kinds = set()
    for seed in SEEDS:
        answer = client.chat.completions.create(
            model=NAME,
            messages=messages,
            tools=TOOLS,
            response_format=FORM,
            parallel_tool_calls=parallel,
            seed=seed,
            max_tokens=4000,
        )
        kinds.add(kind_of(answer))
        assert parallel or len(answer.choices[0].message.tool_calls or ()) <= 1
    assert kinds == {"calls", "form"}


def test_streamed_answers_are_calls_or_the_form(client: OpenAI) -> None:
    kinds = set()
    for seed in SEEDS:
        with client.chat.completions.stream(
            model=NAME, messages=SAY, tools=TOOLS, response_format=Weather, seed=seed, max_tokens=4000
        ) as stream:
            (choice,) = stream.get_final_completion().choices
        parsed = [call.function.parsed_arguments for call in choice.message.tool_calls or ()]
        kinds.add("calls" if parsed else "form")
        assert all(isinstance(one, Look) for one in parsed)
        assert bool(parsed) is not isinstance(choice.message.parsed, Weather)
    assert kinds == {"calls", "form"}


def test_tools_beside_json_mode_give_calls_or_an_object(client: OpenAI) -> None:
    kinds = set()
    for seed in SEEDS:
        answer = client.chat.completions.create(
            model=NAME,
            messages=SAY,
            tools=TOOLS,
            response_format={"type": "json_object"},
            parallel_tool_calls=False,
            seed=seed,
            max_tokens=400,
        )
        (choice,) = answer.choices
        if calls := choice.message.tool_calls:
            assert calls[0].type == "function"
            Look.model_validate_json(calls[0].function.arguments)
        else:
            assert (choice.message.content or "").startswith("{")
        kinds.add("calls" if calls else "form")
    assert kinds == {"calls", "form"}


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "Look"}}])
def test_a_call_that_must_come_leaves_the_form_aside(client: OpenAI, choice: Any) -> None:
    for seed in SEEDS:
        answer = client.chat.completions.create(
            model=NAME, messages=SAY, tools=TOOLS, response_format=FORM, tool_choice=choice, seed=seed
        )
        assert kind_of(answer) == "calls"


@pytest.mark.parametrize(
    "parameters", [{}, {"parameters": {}}, {"parameters": {"type": "object", "properties": {}}}]
)
def test_a_function_without_parameters_is_called_without_arguments(client: OpenAI, parameters: Any) -> None:
    answer = client.chat.completions.create(
        model=NAME, messages=SAY, tools=[function("now", **parameters)], tool_choice="required", seed=1
    )
    calls = answer.choices[0].message.tool_calls or []
    assert {call.function.arguments for call in calls if call.type == "function"} == {"{}"}


ONE_OF: dict[str, Any] = {
    "oneOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}],
    "discriminator": {"propertyName": "kind"},
    "$defs": {"Cat": Cat.model_json_schema(), "Dog": Dog.model_json_schema()},
}
RECORD = {
    "type": "object",
    "properties": {
        "m": {
            "type": "object",
            "propertyNames": {"type": "string"},
            "additionalProperties": {"type": "integer"},
            "maxProperties": 1,
        }
    },
    "required": ["m"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("schema", [ONE_OF, RECORD], ids=["tagged-union", "record"])
def test_what_clients_write_for_unions_and_records_is_strict(client: OpenAI, schema: dict[str, Any]) -> None:
    for seed in SEEDS:
        answer = client.chat.completions.create(
            model=NAME, messages=SAY, response_format=schema_format(schema), seed=seed, max_tokens=4000
        )
        jsonschema.validate(json.loads(answer.choices[0].message.content or ""), schema)


ODD = {"type": "object", "properties": {"x": {"type": "string", "maxLength": 3, "pattern": "^(?=a)b"}}}


def test_what_a_tool_that_is_not_strict_cannot_be_held_to_is_named(client: OpenAI) -> None:
    tools = [*TOOLS, function("odd", parameters=ODD)]
    raw = client.chat.completions.with_raw_response.create(
        model=NAME, messages=SAY, tools=tools, tool_choice="required", parallel_tool_calls=False
    )
    assert raw.headers["x-ms-dropped-parameters"] == "tools[1].function.parameters.properties.x.pattern"
    assert raw.parse().choices[0].finish_reason == "tool_calls"


def test_a_strict_tool_that_cannot_be_held_is_refused_unless_another_is_named(client: OpenAI) -> None:
    tools = [*TOOLS, function("odd", parameters=ODD, strict=True)]
    with pytest.raises(openai.APIStatusError) as refused:
        client.chat.completions.create(model=NAME, messages=SAY, tools=tools, tool_choice="required")
    assert refused.value.param == "tools[1].function.parameters.properties.x.pattern"
    named: Any = {"type": "function", "function": {"name": "Look"}}
    answer = client.chat.completions.create(model=NAME, messages=SAY, tools=tools, tool_choice=named)
    assert kind_of(answer) == "calls"


def test_a_format_that_no_draft_knows_asks_for_nothing(client: OpenAI) -> None:
    parameters = {
        "type": "object",
        "properties": {"p": {"type": "string", "format": "path", "maxLength": 3}},
        "required": ["p"],
    }
    raw = client.chat.completions.with_raw_response.create(
        model=NAME,
        messages=SAY,
        tools=[function("f", parameters=parameters)],
        tool_choice="required",
        parallel_tool_calls=False,
    )
    assert "x-ms-dropped-parameters" not in raw.headers
    assert raw.parse().choices[0].finish_reason == "tool_calls"


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("length", [1, 8, 20, 26, 27, 30, 45])
def test_a_call_that_is_cut_has_no_text(client: OpenAI, length: int, streamed: bool) -> None:
    asked: dict[str, Any] = {"model": NAME, "messages": SAY, "tools": TOOLS, "tool_choice": "required"}
    if streamed:
        chunks = list(client.chat.completions.create(**asked, max_tokens=length, stream=True))
        choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
        assert {choice.delta.content or "" for choice in choices} == {""}
        assert choices[-1].finish_reason == "length"
        names = [
            call.function.name
            for choice in choices
            for call in choice.delta.tool_calls or ()
            if call.function and call.function.name
        ]
    else:
        (choice,) = client.chat.completions.create(**asked, max_tokens=length).choices
        assert not choice.message.content
        assert choice.finish_reason == "length"
        names = [call.function.name for call in choice.message.tool_calls or () if call.type == "function"]
    # '<tool_call>\n{"name": "Look"' has 27 bytes, each a token of this model.
    assert names == (["Look"] if length >= 27 else [])


@pytest.mark.parametrize("streamed", [False, True])
def test_a_form_cut_inside_a_character_ends_before_it(client: OpenAI, streamed: bool) -> None:
    asked: dict[str, Any] = {
        "model": NAME,
        "messages": SAY,
        "response_format": schema_format({"const": "é"}),
        "max_tokens": 2,
    }
    if streamed:
        chunks = list(client.chat.completions.create(**asked, stream=True))
        content = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    else:
        content = client.chat.completions.create(**asked).choices[0].message.content or ""
    assert content == '"'

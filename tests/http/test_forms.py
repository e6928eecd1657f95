"""Answers held to a form, asked for as the clients do: pydantic models, schemas, forced tools.

The deployment's weights are random: nothing but the endpoint keeps its answers in form.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from azure.ai.inference import ChatCompletionsClient
from azure.ai.inference.models import (
    ChatCompletionsNamedToolChoice,
    ChatCompletionsNamedToolChoiceFunction,
    ChatCompletionsToolDefinition,
    FunctionDefinition,
    JsonSchemaFormat,
)
from azure.core.credentials import AzureKeyCredential
from openai import OpenAI, pydantic_function_tool
from pydantic import BaseModel, Field

from tests.http.servers import Server

SAY: Any = [{"role": "user", "content": "Say something."}]
NAME = "babbler"


class Weather(BaseModel):
    city: str = Field(max_length=12)
    sky: Literal["clear", "rain"]
    degrees: int = Field(ge=-60, le=60)


class Hour(BaseModel):
    hour: int = Field(ge=0, le=23)


@pytest.fixture
def openai_client(endpoint: Server) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{endpoint.url}/openai/v1", api_key="any", max_retries=0) as client:
        yield client


@pytest.fixture
def azure_client(endpoint: Server) -> Iterator[ChatCompletionsClient]:
    with ChatCompletionsClient(endpoint.url, AzureKeyCredential("any"), model=NAME) as client:
        yield client


def test_openai_parses_a_pydantic_model(openai_client: OpenAI) -> None:
    answer = openai_client.chat.completions.parse(model=NAME, messages=SAY, response_format=Weather)

    assert isinstance(answer.choices[0].message.parsed, Weather)
    assert answer.choices[0].finish_reason == "stop"


def test_openai_parses_a_stream(openai_client: OpenAI) -> None:
    with openai_client.chat.completions.stream(model=NAME, messages=SAY, response_format=Weather) as stream:
        parsed = stream.get_final_completion().choices[0].message.parsed

    assert isinstance(parsed, Weather)


def test_openai_tells_the_tokens_of_a_form(openai_client: OpenAI) -> None:
    answer = openai_client.chat.completions.parse(
        model=NAME, messages=SAY, response_format=Weather, logprobs=True, top_logprobs=1
    )

    (choice,) = answer.choices
    assert choice.logprobs is not None
    told = choice.logprobs.content or []
    assert bytes(byte for one in told for byte in one.bytes or ()).decode() == choice.message.content


def test_openai_must_call_one_of_two_tools(openai_client: OpenAI) -> None:
    answer = openai_client.chat.completions.parse(
        model=NAME,
        messages=SAY,
        tools=[pydantic_function_tool(Weather), pydantic_function_tool(Hour)],
        tool_choice="required",
        parallel_tool_calls=False,
    )

    (call,) = answer.choices[0].message.tool_calls or []
    assert isinstance(call.function.parsed_arguments, Weather | Hour)
    assert answer.choices[0].finish_reason == "tool_calls"


@pytest.mark.parametrize("strict", [None, True])
def test_azure_json_schema(azure_client: ChatCompletionsClient, strict: bool | None) -> None:
    wanted = JsonSchemaFormat(name="weather", schema=Weather.model_json_schema(), strict=strict)
    answer = azure_client.complete(messages=SAY, response_format=wanted)

    assert Weather.model_validate_json(answer.choices[0].message.content)


def test_azure_json_object(azure_client: ChatCompletionsClient) -> None:
    """What random weights put in is anybody's guess, and may be cut; it is a beginning of an object."""
    answer = azure_client.complete(messages=SAY, response_format="json_object", max_tokens=60, temperature=0)

    (choice,) = answer.choices
    assert choice.message.content.startswith("{")
    assert choice.finish_reason == "length" or isinstance(json.loads(choice.message.content), dict)


def test_azure_named_tool(azure_client: ChatCompletionsClient) -> None:
    tools = [
        ChatCompletionsToolDefinition(
            function=FunctionDefinition(name=shape.__name__, parameters=shape.model_json_schema())
        )
        for shape in (Weather, Hour)
    ]
    named = ChatCompletionsNamedToolChoice(function=ChatCompletionsNamedToolChoiceFunction(name="Hour"))
    answer = azure_client.complete(messages=SAY, tools=tools, tool_choice=named)

    (call,) = answer.choices[0].message.tool_calls or []
    assert call.function.name == "Hour"
    assert Hour.model_validate_json(call.function.arguments)

"""`/responses` with the `openai` package, against a server of its own process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI
from pydantic import BaseModel

from tests.http.servers import Server
from tests.http.test_openai_client import client_of
from tests.http.zoo import GREETING

FUNCTION: Any = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": False,
}


class Digit(BaseModel):
    n: bool


@pytest.fixture
def client(endpoint: Server) -> Iterator[OpenAI]:
    with client_of(endpoint, "/openai/v1") as made:
        assert isinstance(made, OpenAI)
        yield made


@pytest.mark.parametrize("base", ["azure", "/openai/v1", "/v1", "/api/projects/mine/openai/v1"])
def test_create_is_served_under_every_base(endpoint: Server, base: str) -> None:
    with client_of(endpoint, base) as made:
        response = made.responses.create(model="greeter", input="Say something.")
    assert (response.output_text, response.status, response.model) == (GREETING, "completed", "greeter")
    assert response.usage is not None
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens


def test_a_streamed_create_has_the_events_in_their_sequence(client: OpenAI) -> None:
    events = list(client.responses.create(model="greeter", input="Hi", stream=True))
    assert [event.type for event in events[:2]] == ["response.created", "response.in_progress"]
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == GREETING
    assert events[-1].type == "response.completed"


def test_the_stream_helper_puts_the_response_together(client: OpenAI) -> None:
    with client.responses.stream(model="caller", input="Weather?", tools=[FUNCTION]) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert kinds[-1] == "response.completed"
    assert [item.type for item in final.output] == ["message", "function_call"]


def test_parse_gives_an_object_of_the_schema(client: OpenAI) -> None:
    response = client.responses.parse(model="babbler", input="Hi", text_format=Digit, max_output_tokens=200)
    assert isinstance(response.output_parsed, Digit)


def test_a_tool_loop_goes_on_by_previous_response_id(client: OpenAI) -> None:
    first = client.responses.create(model="caller", input="Weather?", tools=[FUNCTION])
    call = next(item for item in first.output if item.type == "function_call")
    assert json.loads(call.arguments) == {"city": "Paris"}
    output: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "Sunny."}
    by_id = client.responses.create(
        model="caller", input=[output], tools=[FUNCTION], previous_response_id=first.id
    )
    history: Any = [{"role": "user", "content": "Weather?"}, *first.output, output]
    by_items = client.responses.create(model="caller", input=history, tools=[FUNCTION])
    assert by_id.usage is not None
    assert by_items.usage is not None
    assert by_id.usage.input_tokens == by_items.usage.input_tokens


def test_a_kept_response_is_retrieved_listed_and_deleted(client: OpenAI) -> None:
    made = client.responses.create(model="greeter", input="Hi")
    assert client.responses.retrieve(made.id).output_text == GREETING
    items = client.responses.input_items.list(made.id, order="asc").data
    assert [item.type for item in items] == ["message"]
    client.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)


def test_the_tokens_of_an_input_are_counted(client: OpenAI) -> None:
    counted = client.responses.input_tokens.count(model="greeter", input="Hi")
    response = client.responses.create(model="greeter", input="Hi")
    assert response.usage is not None
    assert counted.input_tokens == response.usage.input_tokens


def test_a_failure_in_a_stream_is_an_error_with_code_and_message(client: OpenAI) -> None:
    with pytest.raises(openai.APIError) as caught:
        list(client.responses.create(model="breaker", input="Hi", stream=True))
    assert caught.value.code == "model_failed"


def test_a_refusal_names_its_place(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="greeter", input="Hi", tools=[{"type": "web_search"}])
    assert (caught.value.param, caught.value.code) == ("tools[0].type", "unsupported_value")
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="greeter", input="Hi", previous_response_id="resp_" + "0" * 32)
    assert caught.value.code == "previous_response_not_found"

"""OpenAI's own package, Responses API.

`OpenAI(base_url="http://127.0.0.1:7071/openai/v1", api_key=...).responses`; `AzureOpenAI` with
`base_url="http://127.0.0.1:7071/openai/v1"`, or with `azure_endpoint` and any `api_version`.
"""

import json
from typing import Literal

import openai
from expected import CITY, GREETING, GREETING_TOKENS, RAIN, REASONING, REPORT, SENTENCE
from pydantic import BaseModel, Field

LACKS = ("embeddings",)
ASK = "How is the weather in Paris?"


class Weather(BaseModel):
    city: str = Field(max_length=12)
    sky: Literal["clear", "rain"]
    degrees: int = Field(ge=-60, le=60)


class GetWeather(BaseModel):
    """The weather of a city."""

    city: str


TOOL = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
PARSED_TOOL = {
    **openai.pydantic_function_tool(GetWeather, name="get_weather")["function"],
    "type": "function",
}


def responses(endpoint, key):
    return openai.OpenAI(base_url=f"{endpoint}/openai/v1", api_key=key, max_retries=0).responses


def call_in(response):
    (call,) = [item for item in response.output if item.type == "function_call"]
    assert (call.name, json.loads(call.arguments)) == ("get_weather", CITY)
    return call


def result_of(call):
    return {"type": "function_call_output", "call_id": call.call_id, "output": RAIN}


def case_plain(endpoint, key):
    answer = responses(endpoint, key).create(
        model="greeter", instructions="Be kind.", input=ASK, temperature=0.5, max_output_tokens=20
    )
    assert (answer.output_text, answer.status) == (GREETING, "completed")
    assert answer.usage.output_tokens == GREETING_TOKENS


def case_stream(endpoint, key):
    events = list(responses(endpoint, key).create(model="greeter", input=ASK, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert len(deltas) > 1
    assert "".join(deltas) == events[-1].response.output_text == GREETING
    assert events[-1].type == "response.completed"
    assert events[-1].response.usage.output_tokens == GREETING_TOKENS


def case_stream_helper(endpoint, key):
    with responses(endpoint, key).stream(model="greeter", input=ASK) as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        assert "".join(deltas) == stream.get_final_response().output_text == GREETING


def case_tools(endpoint, key):
    """The history goes as items."""
    made = responses(endpoint, key)
    asked = {"model": "assistant", "tools": [TOOL], "store": False}
    first = made.create(input=ASK, **asked)
    history = [{"role": "user", "content": ASK}, *first.output, result_of(call_in(first))]
    assert made.create(input=history, **asked).output_text == SENTENCE


def case_tools_by_previous_response(endpoint, key):
    made = responses(endpoint, key)
    asked = {"model": "assistant", "tools": [TOOL]}
    first = made.create(input=ASK, **asked)
    second = made.create(input=[result_of(call_in(first))], previous_response_id=first.id, **asked)
    assert second.output_text == SENTENCE
    assert second.previous_response_id == first.id


def case_streamed_tools_by_previous_response(endpoint, key):
    made = responses(endpoint, key)
    asked = {"model": "assistant", "tools": [PARSED_TOOL]}
    with made.stream(input=ASK, **asked) as stream:
        arguments = [e.delta for e in stream if e.type == "response.function_call_arguments.delta"]
        first = stream.get_final_response()
    call = call_in(first)
    assert json.loads("".join(arguments)) == CITY
    assert call.parsed_arguments == CITY
    with made.stream(input=[result_of(call)], previous_response_id=first.id, **asked) as stream:
        assert stream.get_final_response().output_text == SENTENCE


def case_structured_output(endpoint, key):
    made = responses(endpoint, key)
    answer = made.parse(model="former", input=ASK, text_format=Weather)
    assert answer.output_parsed == Weather(**REPORT)
    with made.stream(model="former", input=ASK, text_format=Weather) as stream:
        assert stream.get_final_response().output_parsed == Weather(**REPORT)


def case_tools_with_form(endpoint, key):
    made = responses(endpoint, key)
    asked = {"model": "agent", "tools": [PARSED_TOOL], "text_format": Weather}
    first = made.parse(input=ASK, **asked)
    second = made.parse(input=[result_of(call_in(first))], previous_response_id=first.id, **asked)
    assert second.output_parsed == Weather(**REPORT)


def case_forced_tool(endpoint, key):
    """`babbler` has random weights."""
    choices = ({"type": "function", "name": "get_weather"}, "required")
    for choice in choices:
        answer = responses(endpoint, key).create(
            model="babbler", input=ASK, tools=[PARSED_TOOL], tool_choice=choice, temperature=0
        )
        (call,) = [item for item in answer.output if item.type == "function_call"]
        assert set(json.loads(call.arguments)) == {"city"}


def case_kept(endpoint, key):
    made = responses(endpoint, key)
    first = made.create(model="greeter", input=ASK, metadata={"trip": "1"})
    second = made.create(model="greeter", input="And tomorrow?", previous_response_id=first.id)
    assert made.retrieve(first.id).model_dump() == first.model_dump()
    items = list(made.input_items.list(second.id, order="asc", limit=1))
    assert [item.content[0].text for item in items] == [ASK, GREETING, "And tomorrow?"]
    newest = made.input_items.list(second.id).data[0]
    assert newest.content[0].text == "And tomorrow?"
    made.delete(first.id)
    for gone in (made.retrieve, made.delete, lambda name: list(made.input_items.list(name))):
        try:
            gone(first.id)
        except openai.NotFoundError as refused:
            assert first.id in refused.body["message"]
        else:
            raise AssertionError("a deleted response was there")
    assert made.create(model="greeter", input="?", previous_response_id=second.id).output_text == GREETING


def case_not_kept(endpoint, key):
    made = responses(endpoint, key)
    answer = made.create(model="greeter", input=ASK, store=False)
    try:
        made.create(model="greeter", input="?", previous_response_id=answer.id)
    except openai.BadRequestError as refused:
        assert (refused.code, refused.param) == ("previous_response_not_found", "previous_response_id")
    else:
        raise AssertionError("a response that was not kept went on")


def case_item_reference(endpoint, key):
    made = responses(endpoint, key)
    first = made.create(model="assistant", input=ASK, tools=[TOOL])
    call = call_in(first)
    referred = [{"type": "item_reference", "id": call.id}, result_of(call)]
    history = [{"role": "user", "content": ASK}, *referred]
    assert made.create(model="assistant", input=history, tools=[TOOL]).output_text == SENTENCE


def case_logprobs(endpoint, key):
    asked = {"include": ["message.output_text.logprobs"], "top_logprobs": 2, "temperature": 0}
    answer = responses(endpoint, key).create(model="greeter", input=ASK, **asked)
    logprobs = answer.output[0].content[0].logprobs
    assert bytes(byte for one in logprobs for byte in one.bytes).decode() == GREETING
    assert all(len(one.top_logprobs) == 2 for one in logprobs)


def case_cut_short(endpoint, key):
    answer = responses(endpoint, key).create(model="json-rambler", input=ASK, max_output_tokens=16)
    assert answer.usage.output_tokens == 16
    assert (answer.status, answer.incomplete_details.reason) == ("incomplete", "max_output_tokens")


async def case_async(endpoint, key):
    async with openai.AsyncOpenAI(base_url=f"{endpoint}/openai/v1", api_key=key, max_retries=0) as made:
        stream = await made.responses.create(model="greeter", input=ASK, stream=True)
        deltas = [event.delta async for event in stream if event.type == "response.output_text.delta"]
        assert "".join(deltas) == GREETING
        async with made.responses.stream(model="former", input=ASK, text_format=Weather) as parsed:
            assert (await parsed.get_final_response()).output_parsed == Weather(**REPORT)


def case_azure(endpoint, key):
    v1 = openai.AzureOpenAI(base_url=f"{endpoint}/openai/v1", api_key=key, api_version="preview")
    dated = openai.AzureOpenAI(azure_endpoint=endpoint, api_key=key, api_version="2025-04-01-preview")
    for made in (v1, dated):
        first = made.responses.create(model="greeter", input=ASK)
        assert made.responses.retrieve(first.id).output_text == first.output_text == GREETING


def case_tokens_counted(endpoint, key):
    made = responses(endpoint, key)
    asked = {"model": "assistant", "input": ASK, "tools": [TOOL], "instructions": "Be kind."}
    counted = made.input_tokens.count(**asked)
    assert counted.input_tokens == made.create(**asked).usage.input_tokens


def case_wrong_value(endpoint, key):
    made = responses(endpoint, key)
    wrong = (({"temperature": 5}, "temperature"), ({"tools": [{"type": "web_search"}]}, "tools[0].type"))
    for more, place in wrong:
        try:
            made.create(model="greeter", input=ASK, **more)
        except openai.BadRequestError as refused:
            assert (refused.type, refused.param) == ("invalid_request_error", place)
            assert place in refused.body["message"]
        else:
            raise AssertionError(f"{more} was taken")


def case_reasoning(endpoint, key):
    """The reasoning goes back by an id, as it came, and sealed; without it the model would call again."""
    made = responses(endpoint, key)
    asked = {
        "model": "thinking-assistant",
        "tools": [TOOL],
        "reasoning": {"effort": "low", "summary": "auto"},
    }
    kept = made.create(input=ASK, **asked)
    second = made.create(input=[result_of(call_in(kept))], previous_response_id=kept.id, **asked)
    assert second.output_text == SENTENCE
    asked |= {"store": False, "include": ["reasoning.encrypted_content"]}
    first = made.create(input=ASK, **asked)
    thought, call = first.output
    assert [part.text for part in thought.content] == [REASONING]
    assert first.usage.output_tokens_details.reasoning_tokens == 5
    sealed = {"type": "reasoning", "summary": [], "encrypted_content": thought.encrypted_content}
    for given in (thought, sealed):
        history = [{"role": "user", "content": ASK}, given, call, result_of(call)]
        assert made.create(input=history, **asked).output_text == SENTENCE


def case_streamed_reasoning_with_form(endpoint, key):
    made = responses(endpoint, key)
    asked = {"model": "thinking-agent", "tools": [PARSED_TOOL], "text_format": Weather}
    with made.stream(input=ASK, **asked) as stream:
        deltas = [event.delta for event in stream if event.type == "response.reasoning_text.delta"]
        first = stream.get_final_response()
    assert "".join(deltas) == REASONING
    with made.stream(input=[result_of(call_in(first))], previous_response_id=first.id, **asked) as stream:
        assert stream.get_final_response().output_parsed == Weather(**REPORT)

"""OpenAI's own package.

`OpenAI(base_url="http://127.0.0.1:7071/openai/v1", api_key=...)`, or
`AzureOpenAI(azure_endpoint="http://127.0.0.1:7071", api_key=..., api_version="2024-10-21")`, whose `model`
is the name of a deployment.
"""

from typing import Literal

import openai
from expected import CITY, DIMENSIONS, GREETING, GREETING_TOKENS, RAIN, REPORT, SENTENCE
from pydantic import BaseModel, Field

ASK = [{"role": "user", "content": "How is the weather in Paris?"}]


class Weather(BaseModel):
    city: str = Field(max_length=12)
    sky: Literal["clear", "rain"]
    degrees: int = Field(ge=-60, le=60)


class GetWeather(BaseModel):
    """The weather of a city."""

    city: str


TOOL = openai.pydantic_function_tool(GetWeather, name="get_weather")


def client(endpoint, key):
    return openai.OpenAI(base_url=f"{endpoint}/openai/v1", api_key=key, max_retries=0)


def after_call(message):
    """The messages after a call: the call, and its result."""
    (call,) = message.tool_calls
    assert call.function.parsed_arguments == GetWeather(**CITY)
    result = {"role": "tool", "tool_call_id": call.id, "content": RAIN}
    return [*ASK, message.model_dump(exclude_none=True), result]


def case_plain(endpoint, key):
    answer = client(endpoint, key).chat.completions.create(model="greeter", messages=ASK)
    assert answer.choices[0].message.content == GREETING
    assert answer.usage.completion_tokens == GREETING_TOKENS


def case_stream(endpoint, key):
    chunks = list(
        client(endpoint, key).chat.completions.create(
            model="greeter", messages=ASK, stream=True, stream_options={"include_usage": True}
        )
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == GREETING
    assert chunks[-1].usage.completion_tokens == GREETING_TOKENS


def case_tools(endpoint, key):
    completions = client(endpoint, key).chat.completions
    first = completions.parse(model="assistant", messages=ASK, tools=[TOOL])
    history = after_call(first.choices[0].message)
    second = completions.parse(model="assistant", messages=history, tools=[TOOL])
    assert second.choices[0].message.content == SENTENCE


def case_structured_output(endpoint, key):
    completions = client(endpoint, key).chat.completions
    answer = completions.parse(model="former", messages=ASK, response_format=Weather)
    assert answer.choices[0].message.parsed == Weather(**REPORT)
    with completions.stream(model="former", messages=ASK, response_format=Weather) as stream:
        assert stream.get_final_completion().choices[0].message.parsed == Weather(**REPORT)


def case_tools_with_form(endpoint, key):
    completions = client(endpoint, key).chat.completions
    asked = {"model": "agent", "tools": [TOOL], "response_format": Weather}
    first = completions.parse(messages=ASK, **asked)
    second = completions.parse(messages=after_call(first.choices[0].message), **asked)
    assert second.choices[0].message.parsed == Weather(**REPORT)


def case_streamed_tools_with_form(endpoint, key):
    completions = client(endpoint, key).chat.completions
    asked = {"model": "agent", "tools": [TOOL], "response_format": Weather}
    with completions.stream(messages=ASK, **asked) as stream:
        first = stream.get_final_completion()
    with completions.stream(messages=after_call(first.choices[0].message), **asked) as stream:
        assert stream.get_final_completion().choices[0].message.parsed == Weather(**REPORT)


def case_embeddings(endpoint, key):
    answer = client(endpoint, key).embeddings.create(model="tiny-embed", input=["a cat", "a house"])
    assert [len(item.embedding) for item in answer.data] == [DIMENSIONS, DIMENSIONS]


def case_azure(endpoint, key):
    azure = openai.AzureOpenAI(azure_endpoint=endpoint, api_key=key, api_version="2024-10-21", max_retries=0)
    answer = azure.chat.completions.create(model="greeter", messages=ASK)
    assert answer.choices[0].message.content == GREETING


def case_wrong_value(endpoint, key):
    try:
        client(endpoint, key).chat.completions.create(model="greeter", messages=ASK, temperature=5)
    except openai.BadRequestError as refused:
        assert (refused.type, refused.param) == ("invalid_request_error", "temperature")
        assert "temperature" in refused.body["message"]
    else:
        raise AssertionError("a temperature of 5 was taken")


def case_unknown_model(endpoint, key):
    try:
        client(endpoint, key).chat.completions.create(model="gpt-4o", messages=ASK)
    except openai.NotFoundError as refused:
        assert refused.code == "model_not_found"
        assert "greeter" in refused.body["message"]
    else:
        raise AssertionError("another model answered")

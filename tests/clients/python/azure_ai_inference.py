"""Azure AI Inference SDK.

`ChatCompletionsClient("http://127.0.0.1:7071", AzureKeyCredential(key))`; `EmbeddingsClient` and
`ImageEmbeddingsClient` in the same way.
"""

import json

from azure.ai.inference import ChatCompletionsClient, EmbeddingsClient
from azure.ai.inference.aio import ChatCompletionsClient as AsyncChatCompletionsClient
from azure.ai.inference.models import (
    AssistantMessage,
    ChatCompletionsToolDefinition,
    FunctionDefinition,
    JsonSchemaFormat,
    ToolMessage,
    UserMessage,
)
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import HttpResponseError
from expected import CITY, DIMENSIONS, GREETING, GREETING_TOKENS, RAIN, REPORT, SENTENCE, SHORTER

ASK = [UserMessage(content="How is the weather in Paris?")]
CITY_SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = ChatCompletionsToolDefinition(
    function=FunctionDefinition(
        name="get_weather", description="The weather of a city.", parameters=CITY_SCHEMA
    )
)
WEATHER = JsonSchemaFormat(
    name="weather",
    strict=True,
    schema={
        "type": "object",
        "properties": {
            "city": {"type": "string", "maxLength": 12},
            "sky": {"type": "string", "enum": ["clear", "rain"]},
            "degrees": {"type": "integer", "minimum": -60, "maximum": 60},
        },
        "required": ["city", "sky", "degrees"],
        "additionalProperties": False,
    },
)


def client(endpoint, key):
    return ChatCompletionsClient(endpoint, AzureKeyCredential(key))


def after_call(message):
    (call,) = message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", CITY)
    return [*ASK, AssistantMessage(tool_calls=[call]), ToolMessage(content=RAIN, tool_call_id=call.id)]


def loop(chat, **asked):
    """The answer after one call and its result."""
    first = chat.complete(messages=ASK, tools=[TOOL], **asked)
    second = chat.complete(messages=after_call(first.choices[0].message), tools=[TOOL], **asked)
    return second.choices[0].message.content


def case_plain(endpoint, key):
    answer = client(endpoint, key).complete(model="greeter", messages=ASK)
    assert answer.choices[0].message.content == GREETING
    assert answer.usage.completion_tokens == GREETING_TOKENS


def case_stream(endpoint, key):
    chunks = client(endpoint, key).complete(model="greeter", messages=ASK, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == GREETING


async def case_async(endpoint, key):
    async with AsyncChatCompletionsClient(endpoint, AzureKeyCredential(key)) as chat:
        answer = await chat.complete(model="greeter", messages=ASK)
    assert answer.choices[0].message.content == GREETING


def case_tools(endpoint, key):
    assert loop(client(endpoint, key), model="assistant") == SENTENCE


def case_structured_output(endpoint, key):
    answer = client(endpoint, key).complete(model="former", messages=ASK, response_format=WEATHER)
    assert json.loads(answer.choices[0].message.content) == REPORT


def case_tools_with_form(endpoint, key):
    assert json.loads(loop(client(endpoint, key), model="agent", response_format=WEATHER)) == REPORT


def case_embeddings(endpoint, key):
    embeddings = EmbeddingsClient(endpoint, AzureKeyCredential(key))
    answer = embeddings.embed(model="tiny-embed", input=["a cat", "a house"])
    assert [len(item.embedding) for item in answer.data] == [DIMENSIONS, DIMENSIONS]
    shorter = embeddings.embed(model="tiny-embed", input=["a cat"], dimensions=SHORTER)
    assert len(shorter.data[0].embedding) == SHORTER


def case_wrong_value(endpoint, key):
    try:
        client(endpoint, key).complete(model="greeter", messages=ASK, temperature=5)
    except HttpResponseError as refused:
        assert refused.status_code == 422
        assert "temperature" in refused.message
    else:
        raise AssertionError("a temperature of 5 was taken")

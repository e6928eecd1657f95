"""Microsoft Agent Framework.

`OpenAIChatCompletionClient(model=..., base_url="http://127.0.0.1:7071/openai/v1", api_key=...)` as an
agent's client; `OpenAIEmbeddingClient` in the same way.
"""

from typing import Literal

from agent_framework import Agent
from agent_framework_openai import OpenAIChatCompletionClient, OpenAIEmbeddingClient
from expected import DIMENSIONS, GREETING, RAIN, REPORT, SENTENCE
from pydantic import BaseModel, Field

ASK = "How is the weather in Paris?"


class Weather(BaseModel):
    city: str = Field(max_length=12)
    sky: Literal["clear", "rain"]
    degrees: int = Field(ge=-60, le=60)


def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"Rain in {city}."


def agent(endpoint, key, model, **more):
    client = OpenAIChatCompletionClient(model=model, base_url=f"{endpoint}/openai/v1", api_key=key)
    return Agent(client, "Be kind.", **more)


def results(answer):
    contents = [content for message in answer.messages for content in message.contents]
    return [content.result for content in contents if content.type == "function_result"]


async def case_plain(endpoint, key):
    answer = await agent(endpoint, key, "greeter").run(ASK)
    assert answer.text == GREETING


async def case_stream(endpoint, key):
    updates = [update.text async for update in agent(endpoint, key, "greeter").run(ASK, stream=True)]
    assert len(updates) > 1
    assert "".join(updates) == GREETING


async def case_tools(endpoint, key):
    answer = await agent(endpoint, key, "assistant", tools=[get_weather]).run(ASK)
    assert results(answer) == [RAIN]
    assert answer.text.endswith(SENTENCE)


async def case_structured_output(endpoint, key):
    answer = await agent(endpoint, key, "former").run(ASK, options={"response_format": Weather})
    assert answer.value == Weather(**REPORT)


async def case_tools_with_form(endpoint, key):
    asked = agent(endpoint, key, "agent", tools=[get_weather])
    answer = await asked.run(ASK, options={"response_format": Weather})
    assert results(answer) == [RAIN]
    assert answer.value == Weather(**REPORT)


async def case_streamed_tools_with_form(endpoint, key):
    asked = agent(endpoint, key, "agent", tools=[get_weather])
    stream = asked.run(ASK, stream=True, options={"response_format": Weather})
    answer = await stream.get_final_response()
    assert results(answer) == [RAIN]
    assert answer.value == Weather(**REPORT)


async def case_embeddings(endpoint, key):
    client = OpenAIEmbeddingClient(model="tiny-embed", base_url=f"{endpoint}/openai/v1", api_key=key)
    found = await client.get_embeddings(["a cat", "a house"])
    assert [len(item.vector) for item in found] == [DIMENSIONS, DIMENSIONS]

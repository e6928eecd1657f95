"""Haystack.

`OpenAIChatGenerator(api_key=Secret.from_token(key), api_base_url="http://127.0.0.1:7071/openai/v1",
model=...)`; `OpenAITextEmbedder` and `OpenAIDocumentEmbedder` in the same way. Tools beside a form want
`tools_strict=True`.
"""

import json
from typing import Annotated, Literal

from expected import DIMENSIONS, GREETING, RAIN, REPORT, SENTENCE
from haystack import Document
from haystack.components.agents import Agent
from haystack.components.embedders import OpenAIDocumentEmbedder, OpenAITextEmbedder
from haystack.components.generators.chat import AzureOpenAIChatGenerator, OpenAIChatGenerator
from haystack.dataclasses import ChatMessage
from haystack.tools import tool
from haystack.utils import Secret
from pydantic import BaseModel, Field

ASK = [ChatMessage.from_user("How is the weather in Paris?")]


class Weather(BaseModel):
    city: str = Field(max_length=12)
    sky: Literal["clear", "rain"]
    degrees: int = Field(ge=-60, le=60)


@tool
def get_weather(city: Annotated[str, "Name of the city"]) -> str:
    """The weather of a city."""
    return f"Rain in {city}."


def connection(endpoint, key):
    return {"api_key": Secret.from_token(key), "api_base_url": f"{endpoint}/openai/v1", "max_retries": 0}


def generator(endpoint, key, model, **more):
    return OpenAIChatGenerator(model=model, **connection(endpoint, key), **more)


def results(messages):
    return [message.tool_call_result.result for message in messages if message.tool_call_result]


def case_plain(endpoint, key):
    (reply,) = generator(endpoint, key, "greeter").run(ASK)["replies"]
    assert reply.text == GREETING


def case_stream(endpoint, key):
    chunks = []
    asked = generator(endpoint, key, "greeter", streaming_callback=lambda chunk: chunks.append(chunk.content))
    (reply,) = asked.run(ASK)["replies"]
    assert len(chunks) > 1
    assert "".join(chunks) == reply.text == GREETING


def case_tools(endpoint, key):
    agent = Agent(chat_generator=generator(endpoint, key, "assistant"), tools=[get_weather])
    messages = agent.run(ASK)["messages"]
    assert results(messages) == [RAIN]
    assert messages[-1].text == SENTENCE


def case_structured_output(endpoint, key):
    asked = generator(endpoint, key, "former", generation_kwargs={"response_format": Weather})
    (reply,) = asked.run(ASK)["replies"]
    assert json.loads(reply.text) == REPORT


def case_tools_with_form(endpoint, key):
    """A form of a class goes through the package's `parse`, which wants strict tools beside it."""
    form = {"response_format": Weather}
    asked = generator(endpoint, key, "agent", generation_kwargs=form, tools_strict=True)
    messages = Agent(chat_generator=asked, tools=[get_weather]).run(ASK)["messages"]
    assert results(messages) == [RAIN]
    assert json.loads(messages[-1].text) == REPORT


def case_embeddings(endpoint, key):
    embedder = OpenAITextEmbedder(model="tiny-embed", **connection(endpoint, key))
    assert len(embedder.run("a cat")["embedding"]) == DIMENSIONS


def case_embeddings_of_documents(endpoint, key):
    embedder = OpenAIDocumentEmbedder(model="tiny-embed", progress_bar=False, **connection(endpoint, key))
    documents = embedder.run([Document(content="a cat"), Document(content="a house")])["documents"]
    assert [len(document.embedding) for document in documents] == [DIMENSIONS, DIMENSIONS]


def case_azure(endpoint, key):
    asked = AzureOpenAIChatGenerator(
        azure_endpoint=endpoint,
        api_key=Secret.from_token(key),
        azure_deployment="greeter",
        api_version="2024-10-21",
    )
    (reply,) = asked.run(ASK)["replies"]
    assert reply.text == GREETING

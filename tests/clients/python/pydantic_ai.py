"""Pydantic AI.

`OpenAIChatModel(model, provider=OpenAIProvider(base_url="http://127.0.0.1:7071/openai/v1", api_key=...))`,
and `OpenAIResponsesModel` in the same way.
"""

from typing import Literal

from expected import DIMENSIONS, GREETING, RAIN, REPORT, SENTENCE
from pydantic import BaseModel, Field
from pydantic_ai import Agent, Embedder, NativeOutput, PromptedOutput, ToolOutput
from pydantic_ai.embeddings.openai import OpenAIEmbeddingModel
from pydantic_ai.messages import ToolReturnPart
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel, OpenAIResponsesModelSettings
from pydantic_ai.providers.openai import OpenAIProvider

ASK = "How is the weather in Paris?"


class Weather(BaseModel):
    city: str = Field(max_length=12)
    sky: Literal["clear", "rain"]
    degrees: int = Field(ge=-60, le=60)


def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"Rain in {city}."


def provider(endpoint, key):
    return OpenAIProvider(base_url=f"{endpoint}/openai/v1", api_key=key)


def agent(endpoint, key, model, **more):
    return Agent(OpenAIChatModel(model, provider=provider(endpoint, key)), **more)


def results(run):
    parts = [part for message in run.all_messages() for part in message.parts]
    return [part.content for part in parts if isinstance(part, ToolReturnPart)]


async def case_plain(endpoint, key):
    assert (await agent(endpoint, key, "greeter").run(ASK)).output == GREETING


async def case_stream(endpoint, key):
    async with agent(endpoint, key, "greeter").run_stream(ASK) as run:
        deltas = [delta async for delta in run.stream_text(delta=True, debounce_by=None)]
    assert len(deltas) > 1
    assert "".join(deltas) == GREETING


async def case_tools(endpoint, key):
    run = await agent(endpoint, key, "assistant", tools=[get_weather]).run(ASK)
    assert results(run) == [RAIN]
    assert run.output == SENTENCE


async def case_structured_output(endpoint, key):
    for output in (NativeOutput(Weather), ToolOutput(Weather), PromptedOutput(Weather)):
        run = await agent(endpoint, key, "former", output_type=output).run(ASK)
        assert run.output == Weather(**REPORT)


async def case_tools_with_form(endpoint, key):
    asked = {"tools": [get_weather], "output_type": NativeOutput(Weather)}
    run = await agent(endpoint, key, "agent", **asked).run(ASK)
    assert results(run) == [RAIN]
    assert run.output == Weather(**REPORT)


async def case_streamed_tools_with_form(endpoint, key):
    asked = {"tools": [get_weather], "output_type": NativeOutput(Weather)}
    async with agent(endpoint, key, "agent", **asked).run_stream(ASK) as run:
        output = await run.get_output()
    assert results(run) == [RAIN]
    assert output == Weather(**REPORT)


async def case_one_of_two_forms(endpoint, key):
    class Refusal(BaseModel):
        reason: str = Field(max_length=12)

    run = await agent(endpoint, key, "babbler", output_type=NativeOutput([Weather, Refusal])).run(ASK)
    assert isinstance(run.output, Weather | Refusal)


async def case_embeddings(endpoint, key):
    embedder = Embedder(OpenAIEmbeddingModel("tiny-embed", provider=provider(endpoint, key)))
    found = await embedder.embed_documents(["a cat", "a house"])
    assert [len(vector) for vector in found.embeddings] == [DIMENSIONS, DIMENSIONS]


def responses_agent(endpoint, key, model, **more):
    return Agent(OpenAIResponsesModel(model, provider=provider(endpoint, key)), **more)


async def case_responses(endpoint, key):
    made = responses_agent(endpoint, key, "greeter")
    assert (await made.run(ASK)).output == GREETING
    async with made.run_stream(ASK) as run:
        deltas = [delta async for delta in run.stream_text(delta=True, debounce_by=None)]
    assert len(deltas) > 1
    assert "".join(deltas) == GREETING


async def case_tools_with_form_by_responses(endpoint, key):
    asked = {"tools": [get_weather], "output_type": NativeOutput(Weather)}
    run = await responses_agent(endpoint, key, "agent", **asked).run(ASK)
    assert results(run) == [RAIN]
    assert run.output == Weather(**REPORT)


async def case_reasoning_by_responses(endpoint, key):
    """The second turn has the reasoning of the first; without it the model would call again."""
    for settings in (
        {},
        {"openai_reasoning_effort": "low", "openai_reasoning_summary": "detailed"},
        {"openai_previous_response_id": "auto"},
    ):
        made = responses_agent(endpoint, key, "thinking-assistant", tools=[get_weather])
        run = await made.run(ASK, model_settings=OpenAIResponsesModelSettings(**settings))
        assert results(run) == [RAIN]
        assert run.output == SENTENCE

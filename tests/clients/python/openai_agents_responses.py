"""OpenAI Agents SDK, Responses API.

`set_default_openai_client(AsyncOpenAI(base_url="http://127.0.0.1:7071/openai/v1", api_key=...))`, a
deployment's name as the agent's model, and `set_tracing_disabled(True)`, since traces go to OpenAI.
"""

from typing import Literal

from agents import (
    Agent,
    ModelSettings,
    OpenAIResponsesModel,
    Runner,
    SQLiteSession,
    function_tool,
    set_default_openai_client,
    set_tracing_disabled,
)
from agents.models.multi_provider import MultiProvider
from expected import GREETING, RAIN, REASONING, REPORT, SENTENCE
from openai import AsyncOpenAI
from openai.types.shared import Reasoning
from pydantic import BaseModel, Field

LACKS = ("embeddings",)
ASK = "How is the weather in Paris?"
set_tracing_disabled(True)


class Weather(BaseModel):
    city: str = Field(max_length=12)
    sky: Literal["clear", "rain"]
    degrees: int = Field(ge=-60, le=60)


@function_tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"Rain in {city}."


def agent(endpoint, key, model, **more):
    client = AsyncOpenAI(base_url=f"{endpoint}/openai/v1", api_key=key, max_retries=0)
    set_default_openai_client(client, use_for_tracing=False)
    return Agent(name="Weather", instructions="Be kind.", model=model, **more)


def results(run):
    return [item.output for item in run.new_items if item.type == "tool_call_output_item"]


async def case_plain(endpoint, key):
    asked = agent(endpoint, key, "greeter")
    assert isinstance(MultiProvider().get_model(asked.model), OpenAIResponsesModel)
    run = await Runner.run(asked, ASK)
    assert run.final_output == GREETING
    assert run.last_response_id.startswith("resp_")


async def case_stream(endpoint, key):
    run = Runner.run_streamed(agent(endpoint, key, "greeter"), ASK)
    deltas = [
        event.data.delta
        async for event in run.stream_events()
        if event.type == "raw_response_event" and event.data.type == "response.output_text.delta"
    ]
    assert len(deltas) > 1
    assert "".join(deltas) == run.final_output == GREETING


async def case_tools(endpoint, key):
    run = await Runner.run(agent(endpoint, key, "assistant", tools=[get_weather]), ASK)
    assert results(run) == [RAIN]
    assert run.final_output == SENTENCE


async def case_streamed_tools(endpoint, key):
    run = Runner.run_streamed(agent(endpoint, key, "assistant", tools=[get_weather]), ASK)
    async for _ in run.stream_events():
        pass
    assert results(run) == [RAIN]
    assert run.final_output == SENTENCE


async def case_structured_output(endpoint, key):
    run = await Runner.run(agent(endpoint, key, "former", output_type=Weather), ASK)
    assert run.final_output == Weather(**REPORT)


async def case_tools_with_form(endpoint, key):
    asked = {"tools": [get_weather], "output_type": Weather}
    run = await Runner.run(agent(endpoint, key, "agent", **asked), ASK)
    assert results(run) == [RAIN]
    assert run.final_output == Weather(**REPORT)


async def case_streamed_tools_with_form(endpoint, key):
    asked = {"tools": [get_weather], "output_type": Weather}
    run = Runner.run_streamed(agent(endpoint, key, "agent", **asked), ASK)
    async for _ in run.stream_events():
        pass
    assert results(run) == [RAIN]
    assert run.final_output == Weather(**REPORT)


async def case_required_tool(endpoint, key):
    """The SDK asks for a call in the first turn only."""
    asked = {"tools": [get_weather], "model_settings": ModelSettings(tool_choice="required")}
    run = await Runner.run(agent(endpoint, key, "assistant", **asked), ASK)
    assert results(run) == [RAIN]
    assert run.final_output == SENTENCE


async def case_handoff(endpoint, key):
    """A handoff is a tool without parameters; `babbler`, whose weights are random, is made to call it."""
    greeter = agent(endpoint, key, "greeter")
    greeter.name = "Greeter"
    settings = ModelSettings(tool_choice="transfer_to_greeter")
    first = agent(endpoint, key, "babbler", handoffs=[greeter], model_settings=settings)
    run = await Runner.run(first, ASK)
    assert run.last_agent is greeter
    assert run.final_output == GREETING


async def case_continued(endpoint, key):
    """The SDK sends what is new, with the id of the response before it."""
    asked = agent(endpoint, key, "assistant", tools=[get_weather])
    first = await Runner.run(asked, ASK, auto_previous_response_id=True)
    assert results(first) == [RAIN]
    assert first.final_output == SENTENCE
    greeter = agent(endpoint, key, "greeter")
    second = await Runner.run(greeter, "And now?", previous_response_id=first.last_response_id)
    assert second.final_output == GREETING


async def case_session(endpoint, key):
    session = SQLiteSession("weather")
    asked = agent(endpoint, key, "assistant", tools=[get_weather])
    first = await Runner.run(asked, ASK, session=session)
    assert first.final_output == SENTENCE
    again = await Runner.run(agent(endpoint, key, "greeter"), "And now?", session=session)
    assert again.final_output == GREETING


async def case_settings(endpoint, key):
    """What an agent's settings send beside the model's."""
    settings = ModelSettings(
        temperature=0.5,
        top_p=0.9,
        max_tokens=20,
        store=False,
        metadata={"trip": "1"},
        truncation="auto",
        parallel_tool_calls=True,
        include_usage=True,
        top_logprobs=2,
    )
    run = await Runner.run(agent(endpoint, key, "greeter", model_settings=settings), ASK)
    assert run.final_output == GREETING


async def case_reasoning(endpoint, key):
    """The second turn has the reasoning of the first; without it the model would call again."""
    settings = ModelSettings(
        reasoning=Reasoning(effort="low"),
        store=False,
        response_include=["reasoning.encrypted_content"],
    )
    for more in ({}, {"model_settings": settings}):
        asked = agent(endpoint, key, "thinking-assistant", tools=[get_weather], **more)
        run = await Runner.run(asked, ASK)
        assert results(run) == [RAIN]
        assert run.final_output == SENTENCE
        thoughts = [item.raw_item for item in run.new_items if item.type == "reasoning_item"]
        assert [thought.content[0].text for thought in thoughts] == [REASONING]


async def case_streamed_reasoning_with_form(endpoint, key):
    asked = {"tools": [get_weather], "output_type": Weather}
    run = Runner.run_streamed(agent(endpoint, key, "thinking-agent", **asked), ASK)
    deltas = [
        event.data.delta
        async for event in run.stream_events()
        if event.type == "raw_response_event" and event.data.type == "response.reasoning_text.delta"
    ]
    assert "".join(deltas) == REASONING
    assert results(run) == [RAIN]
    assert run.final_output == Weather(**REPORT)

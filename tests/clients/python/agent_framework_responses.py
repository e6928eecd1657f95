"""Microsoft Agent Framework, Responses API.

`OpenAIChatClient(model=..., base_url="http://127.0.0.1:7071/openai/v1", api_key=...)` as an agent's client.
Its tool loop and its sessions send `previous_response_id`, so responses must be kept. After its pieces a
streamed text comes once more as a whole, with the `merge_mode` `replace`; `get_final_response()` has it once.
"""

from typing import Literal

from agent_framework import Agent
from agent_framework_openai import OpenAIChatClient
from expected import GREETING, RAIN, REASONING, REPORT, SENTENCE
from pydantic import BaseModel, Field

LACKS = ("embeddings",)
ASK = "How is the weather in Paris?"


class Weather(BaseModel):
    city: str = Field(max_length=12)
    sky: Literal["clear", "rain"]
    degrees: int = Field(ge=-60, le=60)


def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"Rain in {city}."


def agent(endpoint, key, model, **more):
    client = OpenAIChatClient(model=model, base_url=f"{endpoint}/openai/v1", api_key=key)
    return Agent(client, "Be kind.", **more)


def results(answer):
    contents = [content for message in answer.messages for content in message.contents]
    return [content.result for content in contents if content.type == "function_result"]


async def case_plain(endpoint, key):
    answer = await agent(endpoint, key, "greeter").run(ASK)
    assert answer.text == GREETING


async def case_stream(endpoint, key):
    stream = agent(endpoint, key, "greeter").run(ASK, stream=True)
    contents = [content async for update in stream for content in update.contents if content.type == "text"]
    pieces = [content.text for content in contents if content.merge_mode == "append" and content.text]
    assert len(pieces) > 1
    assert "".join(pieces) == (await stream.get_final_response()).text == GREETING


async def case_tools(endpoint, key):
    answer = await agent(endpoint, key, "assistant", tools=[get_weather]).run(ASK)
    assert results(answer) == [RAIN]
    assert answer.text.endswith(SENTENCE)


async def case_streamed_tools(endpoint, key):
    stream = agent(endpoint, key, "assistant", tools=[get_weather]).run(ASK, stream=True)
    answer = await stream.get_final_response()
    assert results(answer) == [RAIN]
    assert answer.text.endswith(SENTENCE)


async def case_tools_without_store(endpoint, key):
    """The history goes as items then."""
    asked = agent(endpoint, key, "assistant", tools=[get_weather])
    answer = await asked.run(ASK, options={"store": False})
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


async def case_session(endpoint, key):
    """The second turn sends the id of the first and what is new."""
    asked = agent(endpoint, key, "assistant", tools=[get_weather])
    session = asked.create_session()
    assert results(await asked.run(ASK, session=session)) == [RAIN]
    assert session.service_session_id.startswith("resp_")
    assert results(await asked.run(ASK, session=session)) == [RAIN]


async def case_azure(endpoint, key):
    client = OpenAIChatClient(model="greeter", azure_endpoint=endpoint, api_key=key)
    assert (await Agent(client, "Be kind.").run(ASK)).text == GREETING


async def case_reasoning(endpoint, key):
    """The second turn has the reasoning of the first; without it the model would call again."""
    asked = agent(endpoint, key, "thinking-assistant", tools=[get_weather])
    sealed = {"store": False, "include": ["reasoning.encrypted_content"]}
    for options in ({}, {"reasoning": {"effort": "low"}}, sealed):
        for stream in (False, True):
            answer = asked.run(ASK, stream=stream, options=options)
            answer = await (answer.get_final_response() if stream else answer)
            assert results(answer) == [RAIN], (options, stream)
            assert answer.text.endswith(SENTENCE)
            contents = [content for message in answer.messages for content in message.contents]
            thoughts = [content.text for content in contents if content.type == "text_reasoning"]
            assert thoughts == [REASONING], (options, stream, thoughts)

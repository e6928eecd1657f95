"""AutoGen.

`OpenAIChatCompletionClient(model=..., base_url="http://127.0.0.1:7071/openai/v1", api_key=...,
model_info={...})`, or `AzureAIChatCompletionClient` with `endpoint="http://127.0.0.1:7071"`; `model_info`
tells what the model can do. Tools beside a form want `FunctionTool(..., strict=True)`.
"""

from typing import Literal

from autogen_agentchat.agents import AssistantAgent
from autogen_core.models import UserMessage
from autogen_core.tools import FunctionTool
from autogen_ext.models.azure import AzureAIChatCompletionClient
from autogen_ext.models.openai import OpenAIChatCompletionClient
from azure.core.credentials import AzureKeyCredential
from expected import GREETING, RAIN, REPORT, SENTENCE
from pydantic import BaseModel, Field

LACKS = ("embeddings",)
ASK = "How is the weather in Paris?"
MODEL_INFO = {
    "vision": False,
    "function_calling": True,
    "json_output": True,
    "structured_output": True,
    "family": "unknown",
}


class Weather(BaseModel):
    city: str = Field(max_length=12)
    sky: Literal["clear", "rain"]
    degrees: int = Field(ge=-60, le=60)


async def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"Rain in {city}."


def client(endpoint, key, model):
    return OpenAIChatCompletionClient(
        model=model, base_url=f"{endpoint}/openai/v1", api_key=key, model_info=MODEL_INFO, max_retries=0
    )


def agent(endpoint, key, model, **more):
    return AssistantAgent("weather", client(endpoint, key, model), max_tool_iterations=3, **more)


def results(run):
    events = [message for message in run.messages if message.type == "ToolCallExecutionEvent"]
    return [result.content for event in events for result in event.content]


async def case_plain(endpoint, key):
    run = await agent(endpoint, key, "greeter").run(task=ASK)
    assert run.messages[-1].content == GREETING


async def case_stream(endpoint, key):
    streamed = agent(endpoint, key, "greeter", model_client_stream=True).run_stream(task=ASK)
    chunks = [
        event.content
        async for event in streamed
        if getattr(event, "type", "") == "ModelClientStreamingChunkEvent"
    ]
    assert len(chunks) > 1
    assert "".join(chunks) == GREETING


async def case_tools(endpoint, key):
    run = await agent(endpoint, key, "assistant", tools=[get_weather]).run(task=ASK)
    assert results(run) == [RAIN]
    assert run.messages[-1].content == SENTENCE


async def case_structured_output(endpoint, key):
    run = await agent(endpoint, key, "former", output_content_type=Weather).run(task=ASK)
    assert run.messages[-1].content == Weather(**REPORT)


async def case_tools_with_form(endpoint, key):
    tool = FunctionTool(get_weather, "The weather of a city.", strict=True)
    asked = agent(endpoint, key, "agent", tools=[tool], output_content_type=Weather)
    run = await asked.run(task=ASK)
    assert results(run) == [RAIN]
    assert run.messages[-1].content == Weather(**REPORT)


async def case_azure_ai_inference(endpoint, key):
    chat = AzureAIChatCompletionClient(
        endpoint=endpoint, credential=AzureKeyCredential(key), model="greeter", model_info=MODEL_INFO
    )
    answer = await chat.create([UserMessage(content=ASK, source="user")])
    await chat.close()
    assert answer.content == GREETING

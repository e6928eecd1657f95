"""Semantic Kernel over OpenAI's package.

`OpenAIChatCompletion(ai_model_id=..., async_client=AsyncOpenAI(base_url="http://127.0.0.1:7071/openai/v1",
api_key=...))`; `OpenAITextEmbedding` in the same way.
"""

import json
from typing import Literal

from expected import DIMENSIONS, GREETING, RAIN, REPORT, SENTENCE
from openai import AsyncOpenAI
from pydantic import BaseModel, Field
from semantic_kernel import Kernel
from semantic_kernel.agents import ChatCompletionAgent
from semantic_kernel.connectors.ai.function_choice_behavior import FunctionChoiceBehavior
from semantic_kernel.connectors.ai.open_ai import (
    OpenAIChatCompletion,
    OpenAIChatPromptExecutionSettings,
    OpenAITextEmbedding,
)
from semantic_kernel.contents import ChatHistory, FunctionResultContent
from semantic_kernel.functions import KernelArguments, kernel_function

ASK = "How is the weather in Paris?"


class WeatherReport(BaseModel):
    city: str = Field(max_length=12)
    sky: Literal["clear", "rain"]
    degrees: int = Field(ge=-60, le=60)


class Weather:
    @kernel_function(description="The weather of a city.")
    def get_weather(self, city: str) -> str:
        return f"Rain in {city}."


def client(endpoint, key):
    return AsyncOpenAI(base_url=f"{endpoint}/openai/v1", api_key=key, max_retries=0)


def service(endpoint, key, model):
    return OpenAIChatCompletion(ai_model_id=model, async_client=client(endpoint, key))


async def call_and_answer(endpoint, key, model, **more):
    """The answer after a call, and the results that the history has."""
    kernel, history = Kernel(), ChatHistory()
    kernel.add_plugin(Weather(), "Weather")
    history.add_user_message(ASK)
    settings = OpenAIChatPromptExecutionSettings(
        function_choice_behavior=FunctionChoiceBehavior.Auto(), **more
    )
    answer = await service(endpoint, key, model).get_chat_message_content(history, settings, kernel=kernel)
    items = [item for message in history for item in message.items]
    return str(answer), [item.result for item in items if isinstance(item, FunctionResultContent)]


async def case_plain(endpoint, key):
    agent = ChatCompletionAgent(service=service(endpoint, key, "greeter"), name="Weather")
    assert str(await agent.get_response(ASK)) == GREETING


async def case_stream(endpoint, key):
    agent = ChatCompletionAgent(service=service(endpoint, key, "greeter"), name="Weather")
    pieces = [str(piece.message) async for piece in agent.invoke_stream(ASK)]
    assert len(pieces) > 1
    assert "".join(pieces) == GREETING


async def case_tools(endpoint, key):
    assert await call_and_answer(endpoint, key, "kernel-assistant") == (SENTENCE, [RAIN])


async def case_structured_output(endpoint, key):
    settings = OpenAIChatPromptExecutionSettings(response_format=WeatherReport)
    agent = ChatCompletionAgent(service=service(endpoint, key, "former"), arguments=KernelArguments(settings))
    assert json.loads(str(await agent.get_response(ASK))) == REPORT


async def case_tools_with_form(endpoint, key):
    answer, results = await call_and_answer(endpoint, key, "kernel-agent", response_format=WeatherReport)
    assert (json.loads(answer), results) == (REPORT, [RAIN])


async def case_embeddings(endpoint, key):
    model = OpenAITextEmbedding(ai_model_id="tiny-embed", async_client=client(endpoint, key))
    assert (await model.generate_embeddings(["a cat", "a house"])).shape == (2, DIMENSIONS)

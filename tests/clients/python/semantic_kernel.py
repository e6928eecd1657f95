"""Semantic Kernel over the Azure AI Inference SDK.

`AzureAIInferenceChatCompletion(ai_model_id=..., client=ChatCompletionsClient("http://127.0.0.1:7071",
AzureKeyCredential(key)))` with the client of `azure.ai.inference.aio`; `AzureAIInferenceTextEmbedding` in
the same way. `endpoint=` takes https only.
"""

import json

from azure.ai.inference.aio import ChatCompletionsClient, EmbeddingsClient
from azure.core.credentials import AzureKeyCredential
from expected import GREETING, GREETING_TOKENS, RAIN, REPORT, SENTENCE
from semantic_kernel import Kernel
from semantic_kernel.connectors.ai.azure_ai_inference import (
    AzureAIInferenceChatCompletion,
    AzureAIInferenceChatPromptExecutionSettings,
    AzureAIInferenceEmbeddingPromptExecutionSettings,
    AzureAIInferenceTextEmbedding,
)
from semantic_kernel.connectors.ai.function_choice_behavior import FunctionChoiceBehavior
from semantic_kernel.contents import ChatHistory, FunctionCallContent, FunctionResultContent
from semantic_kernel.exceptions import ServiceInitializationError
from semantic_kernel.functions import KernelArguments, kernel_function

VERSION = "2025-08-28"
"""One of Azure OpenAI's, which the connector sends by default."""


class Weather:
    @kernel_function(description="The weather of a city.")
    def get_weather(self, city: str) -> str:
        return f"Rain in {city}."


def service(endpoint, key, model="greeter"):
    client = ChatCompletionsClient(endpoint, AzureKeyCredential(key), api_version=VERSION)
    return AzureAIInferenceChatCompletion(ai_model_id=model, client=client)


def history():
    messages = ChatHistory(system_message="Be kind.")
    messages.add_user_message("Say something.")
    return messages


def case_plain_http_by_endpoint(endpoint, key):
    try:
        AzureAIInferenceChatCompletion(ai_model_id="greeter", api_key=key, endpoint=endpoint)
    except ServiceInitializationError as refused:
        assert "https" in str(refused)
        return "with client= over plain http"
    return "endpoint= takes plain http too"


async def case_plain(endpoint, key):
    settings = AzureAIInferenceChatPromptExecutionSettings(temperature=0.5, max_tokens=20)
    answer = await service(endpoint, key).get_chat_message_content(history(), settings)
    assert answer.content == GREETING
    assert answer.metadata["usage"].completion_tokens == GREETING_TOKENS


async def case_stream(endpoint, key):
    settings = AzureAIInferenceChatPromptExecutionSettings()
    stream = service(endpoint, key).get_streaming_chat_message_content(history(), settings)
    pieces = [piece async for piece in stream]
    assert "".join(piece.content for piece in pieces) == GREETING
    assert pieces[-1].metadata["usage"].completion_tokens == GREETING_TOKENS


async def case_prompt_function(endpoint, key):
    kernel = Kernel()
    kernel.add_service(service(endpoint, key))
    assert str(await kernel.invoke_prompt("Say {{$what}}.", what="something")) == GREETING


async def case_extra_parameters(endpoint, key):
    settings = AzureAIInferenceChatPromptExecutionSettings(extra_parameters={"n": 2, "top_k": 5})
    answers = await service(endpoint, key).get_chat_message_contents(history(), settings)
    assert [answer.content for answer in answers] == [GREETING, GREETING]


WEATHER = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "maxLength": 12},
        "sky": {"type": "string", "enum": ["clear", "rain"]},
        "degrees": {"type": "integer", "minimum": -60, "maximum": 60},
    },
    "required": ["city", "sky", "degrees"],
    "additionalProperties": False,
}
FORM = {"type": "json_schema", "json_schema": {"name": "weather", "schema": WEATHER, "strict": True}}
"""The connector's own `response_format` is a word: a form goes as an extra parameter."""


def tool_settings(*, invoke, **more):
    behaviour = FunctionChoiceBehavior.Auto(auto_invoke=invoke, filters={"included_plugins": ["Weather"]})
    return AzureAIInferenceChatPromptExecutionSettings(function_choice_behavior=behaviour, **more)


async def call_and_answer(endpoint, key, model, **more):
    """The answer after a call, and the results that the history has."""
    kernel, messages = Kernel(), history()
    kernel.add_plugin(Weather(), "Weather")
    settings = tool_settings(invoke=True, **more)
    answer = await service(endpoint, key, model).get_chat_message_content(
        messages, settings, kernel=kernel, arguments=KernelArguments()
    )
    items = [item for message in messages for item in message.items]
    return str(answer), [item.result for item in items if isinstance(item, FunctionResultContent)]


async def case_one_call(endpoint, key):
    kernel = Kernel()
    kernel.add_plugin(Weather(), "Weather")
    messages = history()
    answer = await service(endpoint, key, "kernel-assistant").get_chat_message_content(
        messages, tool_settings(invoke=False), kernel=kernel
    )
    (call,) = [item for item in answer.items if isinstance(item, FunctionCallContent)]
    assert (call.name, call.parse_arguments()) == ("Weather-get_weather", {"city": "Paris"})


async def case_tools(endpoint, key):
    assert await call_and_answer(endpoint, key, "kernel-assistant") == (SENTENCE, [RAIN])


async def case_structured_output(endpoint, key):
    settings = AzureAIInferenceChatPromptExecutionSettings(extra_parameters={"response_format": FORM})
    answer = await service(endpoint, key, "former").get_chat_message_content(history(), settings)
    assert json.loads(answer.content) == REPORT


async def case_tools_with_form(endpoint, key):
    more = {"extra_parameters": {"response_format": FORM}}
    answer, results = await call_and_answer(endpoint, key, "kernel-agent", **more)
    assert (json.loads(answer), results) == (REPORT, [RAIN])


async def case_embeddings(endpoint, key):
    client = EmbeddingsClient(endpoint, AzureKeyCredential(key), api_version=VERSION)
    model = AzureAIInferenceTextEmbedding(ai_model_id="tiny-embed", client=client)
    assert (await model.generate_embeddings(["a cat", "a house"])).shape == (2, 16)
    settings = AzureAIInferenceEmbeddingPromptExecutionSettings(dimensions=8, input_type="query")
    assert (await model.generate_embeddings(["a cat"], settings)).shape == (1, 8)

"""LlamaIndex over the Azure AI Inference SDK.

`AzureAICompletionsModel(endpoint="http://127.0.0.1:7071", credential=key, model_name=...)`;
`AzureAIEmbeddingsModel` in the same way. Its agents do not call tools through this class (`FunctionAgent`
refuses it): use the other one for agents.
"""

from typing import Literal

from expected import GREETING, GREETING_TOKENS, RAIN, REPORT, SENTENCE
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.embeddings.azure_inference import AzureAIEmbeddingsModel
from llama_index.llms.azure_inference import AzureAICompletionsModel
from pydantic import BaseModel, Field

LACKS = ("tools_with_form",)
SAY = [ChatMessage(role="system", content="Be kind."), ChatMessage(role="user", content="Say something.")]


def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"Rain in {city}."


def llm(endpoint, key, model_name="greeter", **more):
    return AzureAICompletionsModel(endpoint=endpoint, credential=key, model_name=model_name, **more)


def embeddings(endpoint, key):
    return AzureAIEmbeddingsModel(endpoint=endpoint, credential=key, model_name="tiny-embed")


def close(one, two):
    return all(abs(a - b) < 1e-5 for a, b in zip(one, two, strict=True))


def case_plain(endpoint, key):
    answer = llm(endpoint, key, max_tokens=20).chat(SAY)
    assert answer.message.content == GREETING
    assert answer.raw["usage"]["completion_tokens"] == GREETING_TOKENS


def case_completion(endpoint, key):
    assert llm(endpoint, key).complete("Say something.").text == GREETING


def case_stream(endpoint, key):
    pieces = list(llm(endpoint, key).stream_chat(SAY))
    assert "".join(piece.delta for piece in pieces) == GREETING
    assert pieces[-1].message.content == GREETING


def case_streamed_completion(endpoint, key):
    assert list(llm(endpoint, key).stream_complete("Say something."))[-1].text == GREETING


async def case_async(endpoint, key):
    model = llm(endpoint, key)
    assert (await model.achat(SAY)).message.content == GREETING
    pieces = [piece async for piece in await model.astream_chat(SAY)]
    assert "".join(piece.delta for piece in pieces) == GREETING


def case_metadata_from_info(endpoint, key):
    model = AzureAICompletionsModel(endpoint=f"{endpoint}/deployments/greeter", credential=key)
    assert model.metadata.is_chat_model
    assert model.metadata.model_name == "greeter"
    assert model.chat(SAY).message.content == GREETING


def case_one_call(endpoint, key):
    model = llm(endpoint, key, "caller")
    tools = [FunctionTool.from_defaults(get_weather)]
    answer = model.chat_with_tools(tools, user_msg="How is the weather in Paris?")
    (call,) = model.get_tool_calls_from_response(answer)
    assert (call.tool_name, call.tool_kwargs) == ("get_weather", {"city": "Paris"})


class Weather(BaseModel):
    """The weather of a city."""

    city: str = Field(max_length=12)
    sky: Literal["clear", "rain"]
    degrees: int = Field(ge=-60, le=60)


def case_tools(endpoint, key):
    """By hand: the agents of LlamaIndex take this class for one of models without tools."""
    model, tools = llm(endpoint, key, "assistant"), [FunctionTool.from_defaults(get_weather)]
    question = ChatMessage(role="user", content="How is the weather in Paris?")
    first = model.chat_with_tools(tools, chat_history=[question])
    (call,) = model.get_tool_calls_from_response(first)
    result = tools[0].call(**call.tool_kwargs).content
    assert result == RAIN
    answered = ChatMessage(role="tool", content=result, additional_kwargs={"tool_call_id": call.tool_id})
    second = model.chat_with_tools(tools, chat_history=[question, first.message, answered])
    assert second.message.content == SENTENCE


def case_structured_output(endpoint, key):
    """By a forced call, which is the only way that this class has."""
    answer = llm(endpoint, key, "former").as_structured_llm(Weather).chat(SAY)
    assert answer.raw == Weather(**REPORT)


def case_embeddings(endpoint, key):
    model = embeddings(endpoint, key)
    one, two = model.get_text_embedding_batch(["a cat", "a house"])
    assert len(one) == len(two) == 16
    assert close(model.get_query_embedding("a cat"), one)


async def case_async_embeddings(endpoint, key):
    assert len(await embeddings(endpoint, key).aget_query_embedding("a cat")) == 16


def case_index_and_query(endpoint, key):
    """The example of the package's guide: documents in, an answer over the nearest of them out."""
    documents = [Document(text="A cat sleeps."), Document(text="A house burns.")]
    index = VectorStoreIndex.from_documents(documents, embed_model=embeddings(endpoint, key))
    engine = index.as_query_engine(llm=llm(endpoint, key, "undecided"), similarity_top_k=1)
    answer = engine.query("A cat sleeps.")
    assert str(answer) == "I cannot say"
    assert answer.source_nodes[0].text == "A cat sleeps."

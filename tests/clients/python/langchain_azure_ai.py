"""LangChain's package for Azure AI, over the OpenAI paths.

`AzureAIOpenAIApiChatModel(endpoint="http://127.0.0.1:7071/openai/v1", credential=key, model=...,
use_responses_api=False)`; `AzureAIOpenAIApiEmbeddingsModel` in the same way, with
`check_embedding_ctx_length=False`.
"""

from typing import Literal

from expected import DIMENSIONS, GREETING, RAIN, REPORT, SENTENCE
from langchain.agents import create_agent
from langchain.agents.structured_output import ProviderStrategy
from langchain_azure_ai.chat_models import AzureAIOpenAIApiChatModel
from langchain_azure_ai.embeddings import AzureAIOpenAIApiEmbeddingsModel
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel, Field

ASK = [HumanMessage("How is the weather in Paris?")]


class Weather(BaseModel):
    """The weather of a city."""

    city: str = Field(max_length=12)
    sky: Literal["clear", "rain"]
    degrees: int = Field(ge=-60, le=60)


@tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"Rain in {city}."


def chat(endpoint, key, model, **more):
    return AzureAIOpenAIApiChatModel(
        endpoint=f"{endpoint}/openai/v1",
        credential=key,
        model=model,
        use_responses_api=False,
        max_retries=0,
        **more,
    )


def agent(endpoint, key, model, form=None):
    return create_agent(chat(endpoint, key, model), [get_weather], response_format=form)


def results(state):
    return [message.content for message in state["messages"] if isinstance(message, ToolMessage)]


def case_plain(endpoint, key):
    assert chat(endpoint, key, "greeter").invoke(ASK).content == GREETING


def case_stream(endpoint, key):
    pieces = list(chat(endpoint, key, "greeter").stream(ASK))
    assert len(pieces) > 2
    assert "".join(piece.content for piece in pieces) == GREETING


def case_tools(endpoint, key):
    state = agent(endpoint, key, "assistant").invoke({"messages": ASK})
    assert results(state) == [RAIN]
    assert state["messages"][-1].content == SENTENCE


def case_structured_output(endpoint, key):
    for method in ("json_schema", "function_calling", "json_mode"):
        asked = chat(endpoint, key, "former").with_structured_output(Weather, method=method)
        assert asked.invoke(ASK) == Weather(**REPORT)


def case_tools_with_form(endpoint, key):
    state = agent(endpoint, key, "agent", ProviderStrategy(Weather)).invoke({"messages": ASK})
    assert results(state) == [RAIN]
    assert state["structured_response"] == Weather(**REPORT)


def case_embeddings(endpoint, key):
    model = AzureAIOpenAIApiEmbeddingsModel(
        endpoint=f"{endpoint}/openai/v1", credential=key, model="tiny-embed", check_embedding_ctx_length=False
    )
    assert [len(vector) for vector in model.embed_documents(["a cat", "a house"])] == [DIMENSIONS, DIMENSIONS]

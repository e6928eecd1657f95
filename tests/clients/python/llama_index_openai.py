"""LlamaIndex over OpenAI's package.

`OpenAILike(model=..., api_base="http://127.0.0.1:7071/openai/v1", api_key=..., is_chat_model=True,
is_function_calling_model=True)`; `OpenAILikeEmbedding` in the same way.
"""

from typing import Literal

from expected import DIMENSIONS, GREETING, REPORT, SENTENCE
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel, Field

ASK = [ChatMessage(role="user", content="How is the weather in Paris?")]


class Weather(BaseModel):
    """The weather of a city."""

    city: str = Field(max_length=12)
    sky: Literal["clear", "rain"]
    degrees: int = Field(ge=-60, le=60)


def llm(endpoint, key, model, **more):
    return OpenAILike(
        model=model,
        api_base=f"{endpoint}/openai/v1",
        api_key=key,
        is_chat_model=True,
        is_function_calling_model=True,
        max_retries=0,
        **more,
    )


async def run(endpoint, key, model, **more):
    """The answer of an agent with one tool, and the cities that the tool was called with."""
    cities = []

    def get_weather(city: str) -> str:
        """The weather of a city."""
        cities.append(city)
        return f"Rain in {city}."

    agent = FunctionAgent(llm=llm(endpoint, key, model), tools=[get_weather], **more)
    return await agent.run("How is the weather in Paris?"), cities


def case_plain(endpoint, key):
    assert llm(endpoint, key, "greeter").chat(ASK).message.content == GREETING


def case_stream(endpoint, key):
    pieces = list(llm(endpoint, key, "greeter").stream_chat(ASK))
    assert len(pieces) > 1
    assert "".join(piece.delta for piece in pieces) == GREETING


async def case_tools(endpoint, key):
    """The agent streams by default."""
    for streaming in (True, False):
        answer, cities = await run(endpoint, key, "assistant", streaming=streaming)
        assert (str(answer), cities) == (SENTENCE, ["Paris"])


def case_structured_output(endpoint, key):
    """By a forced call, and with `should_use_structured_outputs` by a form."""
    for more in ({}, {"should_use_structured_outputs": True}):
        answer = llm(endpoint, key, "former", **more).as_structured_llm(Weather).chat(ASK)
        assert answer.raw == Weather(**REPORT)


async def case_tools_with_form(endpoint, key):
    """The agent asks for the form in a request of its own, after the calls."""
    answer, cities = await run(endpoint, key, "agent", output_cls=Weather)
    assert cities == ["Paris"]
    assert isinstance(answer.get_pydantic_model(Weather), Weather)


def case_embeddings(endpoint, key):
    model = OpenAILikeEmbedding(model_name="tiny-embed", api_base=f"{endpoint}/openai/v1", api_key=key)
    vectors = model.get_text_embedding_batch(["a cat", "a house"])
    assert [len(vector) for vector in vectors] == [DIMENSIONS, DIMENSIONS]

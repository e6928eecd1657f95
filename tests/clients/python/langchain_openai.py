"""LangChain over OpenAI's package.

`ChatOpenAI(base_url="http://127.0.0.1:7071/openai/v1", api_key=..., model=...)` or `AzureChatOpenAI`;
agents by `create_agent`. `OpenAIEmbeddings` wants `check_embedding_ctx_length=False`: without it the
package sends token ids of OpenAI's own vocabulary. Ids that another model does not have are refused, the
others give vectors without meaning.
"""

from typing import Literal

import openai
from expected import GREETING, GREETING_TOKENS, RAIN, REPORT, SENTENCE
from langchain.agents import create_agent
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain_core.exceptions import ContextOverflowError
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import AzureChatOpenAI, ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel, Field

SAY = [HumanMessage("Say something.")]


@tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"Rain in {city}."


class Weather(BaseModel):
    """Form of all answers; the endpoint holds `babbler` to it, whose weights are random."""

    city: str = Field(max_length=12)
    sky: Literal["clear", "rain"]
    degrees: int = Field(ge=-60, le=60)


class Hour(BaseModel):
    hour: int = Field(ge=0, le=23)


def chat(endpoint, key, model="greeter", **more):
    return ChatOpenAI(base_url=f"{endpoint}/openai/v1", api_key=key, model=model, max_retries=0, **more)


def embeddings(endpoint, key, **more):
    return OpenAIEmbeddings(base_url=f"{endpoint}/openai/v1", api_key=key, model="tiny-embed", **more)


def close(one, two):
    return all(abs(a - b) < 1e-5 for a, b in zip(one, two, strict=True))


def case_plain(endpoint, key):
    answer = chat(endpoint, key, temperature=0.5, max_tokens=20).invoke(SAY)
    assert answer.content == GREETING
    assert answer.usage_metadata["output_tokens"] == GREETING_TOKENS


def case_stream(endpoint, key):
    pieces = list(chat(endpoint, key, stream_usage=True).stream(SAY))
    assert "".join(piece.content for piece in pieces) == GREETING
    assert (
        sum(piece.usage_metadata["output_tokens"] for piece in pieces if piece.usage_metadata)
        == GREETING_TOKENS
    )


async def case_async(endpoint, key):
    model = chat(endpoint, key)
    assert (await model.ainvoke(SAY)).content == GREETING
    assert "".join([piece.content async for piece in model.astream(SAY)]) == GREETING


def case_azure(endpoint, key):
    model = AzureChatOpenAI(
        azure_endpoint=endpoint, api_key=key, azure_deployment="greeter", api_version="2024-10-21"
    )
    assert model.invoke(SAY).content == GREETING
    assert "".join(piece.content for piece in model.stream(SAY)) == GREETING


def case_one_call(endpoint, key):
    model = chat(endpoint, key, "caller").bind_tools([get_weather])
    (call,) = model.invoke(SAY).tool_calls
    assert (call["name"], call["args"]) == ("get_weather", {"city": "Paris"})


def case_streamed_tool_call(endpoint, key):
    pieces = list(chat(endpoint, key, "caller").bind_tools([get_weather]).stream(SAY))
    whole = pieces[0]
    for piece in pieces[1:]:
        whole += piece
    (call,) = whole.tool_calls
    assert (call["name"], call["args"]) == ("get_weather", {"city": "Paris"})


def agent(endpoint, key, model, form=None):
    return create_agent(chat(endpoint, key, model), [get_weather], response_format=form)


def results(state):
    return [message.content for message in state["messages"] if isinstance(message, ToolMessage)]


def case_tools(endpoint, key):
    state = agent(endpoint, key, "assistant").invoke({"messages": SAY})
    assert results(state) == [RAIN]
    assert state["messages"][-1].content == SENTENCE


def case_tools_with_form(endpoint, key):
    state = agent(endpoint, key, "agent", ProviderStrategy(Weather)).invoke({"messages": SAY})
    assert results(state) == [RAIN]
    assert state["structured_response"] == Weather(**REPORT)


def case_streamed_tools_with_form(endpoint, key):
    *_, state = agent(endpoint, key, "agent", ProviderStrategy(Weather)).stream(
        {"messages": SAY}, stream_mode="values"
    )
    assert results(state) == [RAIN]
    assert state["structured_response"] == Weather(**REPORT)


def case_form_as_a_tool(endpoint, key):
    asked = create_agent(chat(endpoint, key, "former"), response_format=ToolStrategy(Weather))
    assert asked.invoke({"messages": SAY})["structured_response"] == Weather(**REPORT)


def case_two_answers(endpoint, key):
    generated = chat(endpoint, key, n=2).generate([SAY])
    assert [answer.text for answer in generated.generations[0]] == [GREETING, GREETING]


def case_structured_output(endpoint, key):
    weather = chat(endpoint, key, "babbler").with_structured_output(Weather).invoke(SAY)
    assert isinstance(weather, Weather), weather
    as_dict = chat(endpoint, key, "babbler").with_structured_output(
        Weather.model_json_schema(), method="json_schema"
    )
    assert Weather.model_validate(as_dict.invoke(SAY))


def case_streamed_structured_output(endpoint, key):
    asked = chat(endpoint, key, "babbler").with_structured_output(Weather.model_json_schema())
    *_, last = asked.stream(SAY)
    assert Weather.model_validate(last)


def case_structured_output_by_forced_tool(endpoint, key):
    for strict in (None, True):
        asked = chat(endpoint, key, "babbler").with_structured_output(
            Weather, method="function_calling", strict=strict
        )
        assert isinstance(asked.invoke(SAY), Weather)


def case_structured_output_by_json_mode(endpoint, key):
    asked = chat(endpoint, key, "joker").with_structured_output(None, method="json_mode")
    assert asked.invoke(SAY) == {"joke": "Why not?", "laughs": 3}


def case_any_tool_but_one_call(endpoint, key):
    model = chat(endpoint, key, "babbler").bind_tools(
        [Weather, Hour], tool_choice="any", parallel_tool_calls=False
    )
    (call,) = model.invoke(SAY).tool_calls
    assert {"Weather": Weather, "Hour": Hour}[call["name"]].model_validate(call["args"])


def case_structured_output_is_refused_clearly(endpoint, key):
    """This deployment declares no form."""
    try:
        chat(endpoint, key).with_structured_output(Weather, method="json_schema").invoke(SAY)
    except openai.BadRequestError as refused:
        assert (refused.code, refused.param) == ("unsupported_parameter", "response_format")
        assert "response_format: json_schema is not supported by greeter" in str(refused)
    else:
        raise AssertionError("a format that the deployment lacks was taken")


def case_logprobs(endpoint, key):
    answer = chat(endpoint, key, temperature=0, logprobs=True, top_logprobs=2).invoke(SAY)
    logprobs = answer.response_metadata["logprobs"]["content"]
    assert bytes(byte for one in logprobs for byte in one["bytes"]).decode() == GREETING
    assert all(len(one["top_logprobs"]) == 2 for one in logprobs)


def case_embeddings(endpoint, key):
    """The check of lengths would send token ids of OpenAI's own vocabulary."""
    model = embeddings(endpoint, key, check_embedding_ctx_length=False)
    one, two = model.embed_documents(["a cat", "a house"])
    assert len(one) == len(two) == 16
    assert close(model.embed_query("a cat"), one)
    return "with check_embedding_ctx_length=False"


async def case_async_embeddings(endpoint, key):
    model = embeddings(endpoint, key, check_embedding_ctx_length=False, dimensions=8)
    assert len(await model.aembed_query("a cat")) == 8


def case_prompt_over_the_context(endpoint, key):
    """`greeter` has a context of 512 tokens, of a byte each."""
    for model in (chat(endpoint, key), chat(endpoint, key, streaming=True)):
        try:
            model.invoke([HumanMessage("y" * 600)])
        except ContextOverflowError as refused:
            assert "maximum context length is 512 tokens" in str(refused)
        else:
            raise AssertionError("a prompt over the context was taken")

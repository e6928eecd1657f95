"""LangChain over OpenAI's package, Responses API.

`ChatOpenAI(base_url="http://127.0.0.1:7071/openai/v1", api_key=..., model=..., use_responses_api=True)`, or
`AzureChatOpenAI` with it; with `use_previous_response_id=True` the history goes by an id. The package shows
a model's reasoning in whole answers only, not in streams; it goes back to the model either way.
"""

from typing import Literal

import openai
from expected import GREETING, GREETING_TOKENS, RAIN, REASONING, REPORT, SENTENCE
from langchain.agents import create_agent
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import AzureChatOpenAI, ChatOpenAI
from pydantic import BaseModel, Field

LACKS = ("embeddings",)
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


def chat(endpoint, key, model="greeter", **more):
    return ChatOpenAI(
        base_url=f"{endpoint}/openai/v1",
        api_key=key,
        model=model,
        max_retries=0,
        use_responses_api=True,
        **more,
    )


def case_plain(endpoint, key):
    answer = chat(endpoint, key, temperature=0.5, max_tokens=20).invoke(SAY)
    assert answer.text == GREETING
    assert answer.usage_metadata["output_tokens"] == GREETING_TOKENS
    assert answer.response_metadata["id"].startswith("resp_")


def case_stream(endpoint, key):
    pieces = list(chat(endpoint, key).stream(SAY))
    assert len([piece for piece in pieces if piece.text]) > 1
    assert "".join(piece.text for piece in pieces) == GREETING
    counted = [piece.usage_metadata["output_tokens"] for piece in pieces if piece.usage_metadata]
    assert counted == [GREETING_TOKENS]


async def case_async(endpoint, key):
    model = chat(endpoint, key)
    assert (await model.ainvoke(SAY)).text == GREETING
    assert "".join([piece.text async for piece in model.astream(SAY)]) == GREETING


def case_azure(endpoint, key):
    for version in ("2025-04-01-preview", "2024-10-21"):
        model = AzureChatOpenAI(
            azure_endpoint=endpoint,
            api_key=key,
            azure_deployment="greeter",
            api_version=version,
            use_responses_api=True,
        )
        assert model.invoke(SAY).text == GREETING
        assert "".join(piece.text for piece in model.stream(SAY)) == GREETING


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


def agent(endpoint, key, model, form=None, **more):
    return create_agent(chat(endpoint, key, model, **more), [get_weather], response_format=form)


def results(state):
    return [message.content for message in state["messages"] if isinstance(message, ToolMessage)]


def case_tools(endpoint, key):
    state = agent(endpoint, key, "assistant").invoke({"messages": SAY})
    assert results(state) == [RAIN]
    assert state["messages"][-1].text == SENTENCE


def case_tools_by_previous_response(endpoint, key):
    state = agent(endpoint, key, "assistant", use_previous_response_id=True).invoke({"messages": SAY})
    assert results(state) == [RAIN]
    assert state["messages"][-1].text == SENTENCE


def case_tools_without_store(endpoint, key):
    state = agent(endpoint, key, "assistant", store=False).invoke({"messages": SAY})
    assert results(state) == [RAIN]
    assert state["messages"][-1].text == SENTENCE


def case_streamed_tools(endpoint, key):
    for version in ("v0", "responses/v1", "v1"):
        made = agent(endpoint, key, "assistant", output_version=version, streaming=True)
        *_, state = made.stream({"messages": SAY}, stream_mode="values")
        assert results(state) == [RAIN]
        assert state["messages"][-1].text == SENTENCE


def case_history(endpoint, key):
    """An answer goes back as it came."""
    model = chat(endpoint, key)
    first = model.invoke(SAY)
    assert model.invoke([*SAY, first, HumanMessage("And now?")]).text == GREETING


def case_structured_output(endpoint, key):
    for method in ("json_schema", "function_calling"):
        asked = chat(endpoint, key, "babbler").with_structured_output(Weather, method=method)
        assert isinstance(asked.invoke(SAY), Weather)
    as_dict = chat(endpoint, key, "babbler").with_structured_output(Weather.model_json_schema())
    assert Weather.model_validate(as_dict.invoke(SAY))


def case_structured_output_by_json_mode(endpoint, key):
    asked = chat(endpoint, key, "joker").with_structured_output(None, method="json_mode")
    assert asked.invoke(SAY) == {"joke": "Why not?", "laughs": 3}


def case_tools_with_form(endpoint, key):
    state = agent(endpoint, key, "agent", ProviderStrategy(Weather)).invoke({"messages": SAY})
    assert results(state) == [RAIN]
    assert state["structured_response"] == Weather(**REPORT)


def case_streamed_tools_with_form(endpoint, key):
    *_, state = agent(endpoint, key, "agent", ProviderStrategy(Weather), streaming=True).stream(
        {"messages": SAY}, stream_mode="values"
    )
    assert results(state) == [RAIN]
    assert state["structured_response"] == Weather(**REPORT)


def case_form_as_a_tool(endpoint, key):
    asked = create_agent(chat(endpoint, key, "former"), response_format=ToolStrategy(Weather))
    assert asked.invoke({"messages": SAY})["structured_response"] == Weather(**REPORT)


def case_wrong_value(endpoint, key):
    try:
        chat(endpoint, key, temperature=5).invoke(SAY)
    except openai.BadRequestError as refused:
        assert (refused.type, refused.param) == ("invalid_request_error", "temperature")
    else:
        raise AssertionError("a temperature of 5 was taken")


def case_reasoning(endpoint, key):
    """The second turn has the reasoning of the first; without it the model would call again."""
    sealed = {"store": False, "include": ["reasoning.encrypted_content"]}
    for more in ({}, sealed, {"use_previous_response_id": True}):
        for streaming in (False, True):
            asked = {"reasoning": {"effort": "low", "summary": "auto"}, "streaming": streaming, **more}
            made = agent(endpoint, key, "thinking-assistant", **asked)
            state = made.invoke({"messages": SAY}, {"recursion_limit": 6})
            assert results(state) == [RAIN]
            assert state["messages"][-1].text == SENTENCE
            (thought,) = [part for part in state["messages"][1].content if part["type"] == "reasoning"]
            shown = "".join(part["text"] for part in thought["content"])
            assert shown == ("" if streaming else REASONING)
    return "the package shows no reasoning of a stream"

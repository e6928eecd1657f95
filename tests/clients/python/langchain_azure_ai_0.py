"""LangChain over the Azure AI Inference SDK.

`AzureAIChatCompletionsModel(endpoint="http://127.0.0.1:7071", credential=key, model=...)` and
`AzureAIEmbeddingsModel` of langchain-azure-ai 0.1; later versions of the package speak to the OpenAI paths.
"""

from typing import Literal

from azure.ai.inference.models import JsonSchemaFormat
from azure.core.exceptions import HttpResponseError
from expected import GREETING, GREETING_TOKENS, RAIN, REPORT, SENTENCE
from langchain_azure_ai.chat_models import AzureAIChatCompletionsModel
from langchain_azure_ai.embeddings import AzureAIEmbeddingsModel
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel, Field

SAY = [SystemMessage("Be kind."), HumanMessage("Say something.")]


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
    return AzureAIChatCompletionsModel(endpoint=endpoint, credential=key, model=model, **more)


def close(one, two):
    return all(abs(a - b) < 1e-5 for a, b in zip(one, two, strict=True))


def case_plain(endpoint, key):
    answer = chat(endpoint, key, temperature=0.5, max_tokens=20).invoke(SAY)
    assert answer.content == GREETING
    assert answer.usage_metadata["output_tokens"] == GREETING_TOKENS


def case_stream(endpoint, key):
    pieces = list(chat(endpoint, key).stream(SAY))
    assert len(pieces) > 2
    assert "".join(piece.content for piece in pieces) == GREETING


async def case_async(endpoint, key):
    model = chat(endpoint, key)
    assert (await model.ainvoke(SAY)).content == GREETING
    assert "".join([piece.content async for piece in model.astream(SAY)]) == GREETING


def case_without_model_name(endpoint, key):
    """The class asks `/info` for it."""
    model = AzureAIChatCompletionsModel(endpoint=f"{endpoint}/deployments/greeter", credential=key)
    assert model._model_name == "greeter"
    assert model.invoke(SAY).content == GREETING


def loop(model):
    """The answer after one call and its result."""
    question = HumanMessage("How is the weather in Paris?")
    first = model.invoke([question])
    (call,) = first.tool_calls
    assert (call["name"], call["args"]) == ("get_weather", {"city": "Paris"})
    result = get_weather.invoke(call["args"])
    assert result == RAIN
    return model.invoke([question, first, ToolMessage(result, tool_call_id=call["id"])]).content


def case_tools(endpoint, key):
    assert loop(chat(endpoint, key, "assistant").bind_tools([get_weather])) == SENTENCE


def case_tools_with_form(endpoint, key):
    schema = {**Weather.model_json_schema(), "additionalProperties": False}
    form = JsonSchemaFormat(name="weather", schema=schema, strict=True)
    answer = loop(chat(endpoint, key, "agent").bind_tools([get_weather], response_format=form))
    assert Weather.model_validate_json(answer) == Weather(**REPORT)


def case_streamed_tool_call(endpoint, key):
    pieces = list(chat(endpoint, key, "caller").bind_tools([get_weather]).stream("How is the weather?"))
    whole = pieces[0]
    for piece in pieces[1:]:
        whole += piece
    (call,) = whole.tool_calls
    assert (call["name"], call["args"]) == ("get_weather", {"city": "Paris"})


def case_model_kwargs(endpoint, key):
    """They travel as extras under `pass-through`."""
    assert chat(endpoint, key, model_kwargs={"top_k": 5, "user": "me"}).invoke(SAY).content == GREETING
    try:
        chat(endpoint, key, model_kwargs={"wisdom": 3}).invoke(SAY)
    except HttpResponseError as refused:
        assert refused.status_code == 422
        assert refused.error.code == "parameter_not_supported"
    else:
        raise AssertionError("an unknown parameter was taken")


def case_structured_output(endpoint, key):
    model = chat(endpoint, key, "babbler")
    weather = model.with_structured_output(Weather, method="json_schema").invoke(SAY)
    assert isinstance(weather, Weather), weather
    schema = {**Weather.model_json_schema(), "name": "weather"}
    as_dict = model.with_structured_output(schema, method="json_schema", strict=True).invoke(SAY)
    assert Weather.model_validate(as_dict)


async def case_streamed_structured_output(endpoint, key):
    schema = {**Weather.model_json_schema(), "name": "weather"}
    asked = chat(endpoint, key, "babbler").with_structured_output(schema, method="json_schema")
    *_, last = [piece async for piece in asked.astream(SAY)]
    assert Weather.model_validate(last)


def case_structured_output_by_forced_tool(endpoint, key):
    """The default."""
    weather = chat(endpoint, key, "babbler").with_structured_output(Weather).invoke(SAY)
    assert isinstance(weather, Weather), weather


def case_structured_output_by_json_mode(endpoint, key):
    asked = chat(endpoint, key, "joker").with_structured_output({}, method="json_mode")
    assert asked.invoke(SAY) == {"joke": "Why not?", "laughs": 3}


def case_structured_output_is_refused_clearly(endpoint, key):
    """This deployment declares no form."""
    for method in ("json_mode", "json_schema"):
        try:
            chat(endpoint, key).with_structured_output(Weather, method=method).invoke(SAY)
        except HttpResponseError as refused:
            assert refused.status_code == 422
            assert refused.error.code == "parameter_not_supported"
        else:
            raise AssertionError("a format that the deployment lacks was taken")


def case_wrong_key(endpoint, key):
    try:
        chat(endpoint, key + "?").invoke(SAY)
    except HttpResponseError as refused:
        assert refused.status_code == 401
        assert "Auth token validation failed" in refused.message
    else:
        raise AssertionError("a wrong key was taken")


def case_history_with_an_assistant_message(endpoint, key):
    history = [*SAY, AIMessage("Well."), HumanMessage("And?")]
    assert chat(endpoint, key).invoke(history).content == GREETING


def case_embeddings(endpoint, key):
    model = AzureAIEmbeddingsModel(endpoint=endpoint, credential=key, model="tiny-embed")
    one, two = model.embed_documents(["a cat", "a house"])
    assert len(one) == len(two) == 16
    assert close(model.embed_query("a cat"), one)
    shorter = AzureAIEmbeddingsModel(endpoint=endpoint, credential=key, model="tiny-embed", dimensions=8)
    assert len(shorter.embed_query("a cat")) == 8


async def case_embeddings_without_model_name(endpoint, key):
    model = AzureAIEmbeddingsModel(endpoint=f"{endpoint}/deployments/tiny-embed", credential=key)
    assert len((await model.aembed_documents(["a cat"]))[0]) == 16

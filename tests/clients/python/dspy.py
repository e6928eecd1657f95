"""DSPy.

`dspy.LM("openai/<deployment>", api_base="http://127.0.0.1:7071/openai/v1", api_key=...)`; `dspy.Embedder`
in the same way. Of a model that it does not know the package assumes neither tools nor forms and writes
both into the prompt; `dspy.lm15.register_provider(..., supports=ModelSupport(function_calling=True,
response_schema=True))` declares them.
"""

from typing import Literal

import dspy
from dspy.lm15 import AccessPolicy, ModelSupport, OpenAIChatCompat, ProviderDefinition, register_provider
from expected import CITY, DIMENSIONS, GREETING, REPORT
from pydantic import BaseModel, Field

ASK = "How is the weather in Paris?"


class Weather(BaseModel):
    city: str = Field(max_length=12)
    sky: Literal["clear", "rain"]
    degrees: int = Field(ge=-60, le=60)


class Report(dspy.Signature):
    """Report the weather."""

    question: str = dspy.InputField()
    city: str = dspy.OutputField()
    sky: Literal["clear", "rain"] = dspy.OutputField()
    degrees: int = dspy.OutputField()


class Choose(dspy.Signature):
    """Choose tools."""

    question: str = dspy.InputField()
    tools: list[dspy.Tool] = dspy.InputField()
    calls: dspy.ToolCalls = dspy.OutputField()


def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"Rain in {city}."


def lm(endpoint, key, model):
    return dspy.LM(
        f"openai/{model}",
        api_base=f"{endpoint}/openai/v1",
        api_key=key,
        cache=False,
        num_retries=0,
        max_tokens=200,
    )


def declared(endpoint, key, model):
    """The same, of a provider that is declared to have tools and forms."""
    access = AccessPolicy(provider="inference", env_keys=("INFERENCE_KEY",), base_url=f"{endpoint}/openai/v1")
    definition = ProviderDefinition.chat(access, compat=OpenAIChatCompat())
    register_provider(definition, supports=ModelSupport(function_calling=True, response_schema=True))
    return dspy.LM(f"inference/{model}", api_key=key, cache=False, num_retries=0, max_tokens=200)


def called(model, adapter):
    with dspy.context(lm=model, adapter=adapter):
        found = dspy.Predict(Choose)(question=ASK, tools=[dspy.Tool(get_weather)])
    return [(call.name, call.args) for call in found.calls.tool_calls]


def case_plain(endpoint, key):
    (answer,) = lm(endpoint, key, "greeter")(ASK)
    assert answer == GREETING


async def case_stream(endpoint, key):
    """The package streams the values of the fields that it listens to, in JSON with their quotation marks."""
    listener = dspy.streaming.StreamListener("city")
    program = dspy.streamify(dspy.Predict(Report), stream_listeners=[listener])
    with dspy.context(lm=lm(endpoint, key, "former"), adapter=dspy.JSONAdapter()):
        *chunks, found = [chunk async for chunk in program(question=ASK)]
    assert REPORT["city"] in "".join(chunk.chunk for chunk in chunks)
    assert {name: found[name] for name in REPORT} == REPORT


def case_structured_output(endpoint, key):
    for model in (lm(endpoint, key, "former"), declared(endpoint, key, "former")):
        with dspy.context(lm=model, adapter=dspy.JSONAdapter()):
            found = dspy.Predict(Report)(question=ASK)
        assert {name: found[name] for name in REPORT} == REPORT


def case_tools(endpoint, key):
    adapter = dspy.ChatAdapter(use_native_function_calling=True)
    assert called(declared(endpoint, key, "assistant"), adapter) == [("get_weather", CITY)]


def case_tools_with_form(endpoint, key):
    assert called(declared(endpoint, key, "agent"), dspy.JSONAdapter()) == [("get_weather", CITY)]


def case_embeddings(endpoint, key):
    embed = dspy.Embedder("openai/tiny-embed", api_base=f"{endpoint}/openai/v1", api_key=key, caching=False)
    assert embed(["a cat", "a house"]).shape == (2, DIMENSIONS)

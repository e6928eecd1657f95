"""LiteLLM.

`completion("openai/<deployment>", api_base="http://127.0.0.1:7071/openai/v1", api_key=...)`, or the
providers `azure_ai` and `azure` with `api_base="http://127.0.0.1:7071"`. Extras of `azure_ai` with
`headers={"extra-parameters": "drop"}` or `"pass-through"`: what stands in `extra_headers` the package sends
in the body too. `anthropic_messages` it sends as responses; its streams there need the
packages of `litellm[proxy]`.
"""

import json
from typing import Literal

import litellm
from expected import CITY, DIMENSIONS, GREETING, GREETING_TOKENS, RAIN, REPORT, SENTENCE
from pydantic import BaseModel, Field

SAY = [{"role": "user", "content": "Say something."}]
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class Weather(BaseModel):
    city: str = Field(max_length=12)
    sky: Literal["clear", "rain"]
    degrees: int = Field(ge=-60, le=60)


def complete(endpoint, key, model="azure_ai/greeter", **more):
    return litellm.completion(model, messages=SAY, api_base=endpoint, api_key=key, max_retries=0, **more)


def case_plain(endpoint, key):
    answer = complete(endpoint, key, temperature=0.5, max_tokens=20)
    assert answer.choices[0].message.content == GREETING
    assert answer.usage.completion_tokens == GREETING_TOKENS


def case_stream(endpoint, key):
    pieces = list(complete(endpoint, key, stream=True))
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces) == GREETING


def case_stream_with_usage(endpoint, key):
    pieces = list(complete(endpoint, key, stream=True, stream_options={"include_usage": True}))
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices) == GREETING
    assert pieces[-1].usage.completion_tokens == GREETING_TOKENS


async def case_async(endpoint, key):
    answer = await litellm.acompletion(
        "azure_ai/greeter", messages=SAY, api_base=endpoint, api_key=key, stream=True
    )
    assert "".join([piece.choices[0].delta.content or "" async for piece in answer]) == GREETING


def case_one_extra(endpoint, key):
    """The package reads the names out of the refusal and asks again without them."""
    assert complete(endpoint, key, user="me").choices[0].message.content == GREETING


def case_several_extras(endpoint, key):
    answer = complete(endpoint, key, n=1, user="me", logit_bias={"65": 1}, parallel_tool_calls=True)
    assert answer.choices[0].message.content == GREETING


def case_extras_passed_through(endpoint, key):
    """What is given as `extra_headers` the package sends in the body too."""
    answer = complete(endpoint, key, n=2, headers={"extra-parameters": "pass-through"})
    assert [choice.message.content for choice in answer.choices] == [GREETING, GREETING]
    return "with headers=, not extra_headers="


def case_extras_dropped(endpoint, key):
    answer = complete(endpoint, key, n=2, user="me", headers={"extra-parameters": "drop"})
    assert [choice.message.content for choice in answer.choices] == [GREETING]


def loop(api_base, key, model, **asked):
    """The answer after one call and its result."""
    asked = {"model": model, "api_base": api_base, "api_key": key, "tools": [TOOL], "max_retries": 0, **asked}
    message = litellm.completion(messages=SAY, **asked).choices[0].message
    (call,) = message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", CITY)
    result = {"role": "tool", "tool_call_id": call.id, "content": RAIN}
    return litellm.completion(messages=[*SAY, message, result], **asked).choices[0].message.content


def case_tools(endpoint, key):
    assert loop(endpoint, key, "azure_ai/assistant") == SENTENCE
    assert loop(f"{endpoint}/openai/v1", key, "openai/assistant") == SENTENCE


def case_structured_output(endpoint, key):
    for base, model in ((endpoint, "azure_ai/former"), (f"{endpoint}/openai/v1", "openai/former")):
        answer = complete(base, key, model, response_format=Weather)
        assert json.loads(answer.choices[0].message.content) == REPORT


def case_tools_with_form(endpoint, key):
    answer = loop(f"{endpoint}/openai/v1", key, "openai/agent", response_format=Weather)
    assert json.loads(answer) == REPORT


def case_errors_have_their_classes(endpoint, key):
    """Over a native path and an OpenAI one; `greeter` has a context of 512 tokens, of a byte each."""
    for base, model in ((endpoint, "azure_ai/{}"), (f"{endpoint}/openai/v1", "openai/{}")):
        greeter = model.format("greeter")
        expected = [
            (litellm.AuthenticationError, greeter, key + "?", "Say something."),
            (litellm.NotFoundError, model.format("absent"), key, "Say something."),
            (litellm.ContextWindowExceededError, greeter, key, "y" * 600),
        ]
        for kind, name, used, text in expected:
            messages = [{"role": "user", "content": text}]
            try:
                litellm.completion(name, messages=messages, api_base=base, api_key=used, max_retries=0)
            except kind:
                continue
            raise AssertionError(f"{kind.__name__} was expected of {name}")


def case_wrong_key(endpoint, key):
    try:
        complete(endpoint, key + "?")
    except litellm.AuthenticationError as refused:
        assert "Auth token validation failed" in str(refused)
    else:
        raise AssertionError("a wrong key was taken")


def case_embeddings(endpoint, key):
    answer = litellm.embedding(
        "azure_ai/tiny-embed", input=["a cat", "a house"], api_base=endpoint, api_key=key
    )
    assert [len(item["embedding"]) for item in answer.data] == [DIMENSIONS, DIMENSIONS]


def case_openai_provider(endpoint, key):
    base = f"{endpoint}/openai/v1"
    answer = complete(base, key, "openai/greeter", n=2, user="me")
    assert [choice.message.content for choice in answer.choices] == [GREETING, GREETING]


def case_azure_provider(endpoint, key):
    answer = complete(endpoint, key, "azure/greeter", api_version="2024-10-21")
    assert answer.choices[0].message.content == GREETING


def case_rerank(endpoint, key):
    documents = ["7", "A ship passes the lighthouse before dawn.", "rain"]
    orders = set()
    for provider in ("cohere", "jina_ai", "azure_ai"):
        answer = litellm.rerank(
            model=f"{provider}/reranker",
            query="lighthouse",
            documents=documents,
            top_n=2,
            return_documents=True,
            api_base=endpoint if provider == "azure_ai" else f"{endpoint}/v1/rerank",
            api_key=key,
        )
        scores = [result["relevance_score"] for result in answer.results]
        assert len(scores) == 2
        assert scores == sorted(scores, reverse=True)
        orders.add(tuple(result["index"] for result in answer.results))
    assert len(orders) == 1
    return "providers `cohere`, `jina_ai`, `azure_ai`"


def respond(endpoint, key, model="greeter", **more):
    base = f"{endpoint}/openai/v1"
    return litellm.responses(model=f"openai/{model}", api_base=base, api_key=key, max_retries=0, **more)


def case_responses(endpoint, key):
    answer = respond(endpoint, key, input="Say something.")
    assert answer.output[0].content[0].text == GREETING
    events = list(respond(endpoint, key, input="Say something.", stream=True))
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == GREETING


def case_tools_by_responses(endpoint, key):
    asked = {"model": "assistant", "tools": [{"type": "function", **TOOL["function"]}]}
    first = respond(endpoint, key, input="How is the weather?", **asked)
    (call,) = [item for item in first.output if item.type == "function_call"]
    assert json.loads(call.arguments) == CITY
    result = {"type": "function_call_output", "call_id": call.call_id, "output": RAIN}
    second = respond(endpoint, key, input=[result], previous_response_id=first.id, **asked)
    assert second.output[0].content[0].text == SENTENCE


ANTHROPIC_TOOL = {
    "name": "get_weather",
    "description": "The weather of a city.",
    "input_schema": TOOL["function"]["parameters"],
}


async def message(endpoint, key, model, messages, **more):
    return await litellm.anthropic_messages(
        model=f"openai/{model}",
        messages=messages,
        max_tokens=100,
        api_base=f"{endpoint}/openai/v1",
        api_key=key,
        **more,
    )


async def case_anthropic_messages(endpoint, key):
    answer = await message(endpoint, key, "greeter", SAY)
    assert answer["content"][0]["text"] == GREETING


async def case_anthropic_tools(endpoint, key):
    """Where it thinks the model calls again unless its reasoning comes back, sealed."""
    thinking = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
    for model, more in (("assistant", {}), ("thinking-assistant", thinking)):
        asked = {"tools": [ANTHROPIC_TOOL], **more}
        first = await message(endpoint, key, model, SAY, **asked)
        (call,) = [block for block in first["content"] if block["type"] == "tool_use"]
        assert call["input"] == CITY
        result = {"type": "tool_result", "tool_use_id": call["id"], "content": RAIN}
        turns = ({"role": "assistant", "content": first["content"]}, {"role": "user", "content": [result]})
        second = await message(endpoint, key, model, [*SAY, *turns], **asked)
        assert second["content"][0]["text"] == SENTENCE

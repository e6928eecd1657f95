"""litellm's providers azure_ai, openai and azure."""

import litellm

GREETING = "Hello, world! é bye"
SAY = [{"role": "user", "content": "Say something."}]
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def complete(endpoint, key, model="azure_ai/greeter", **more):
    return litellm.completion(model, messages=SAY, api_base=endpoint, api_key=key, max_retries=0, **more)


def case_chat(endpoint, key):
    answer = complete(endpoint, key, temperature=0.5, max_tokens=20)
    assert answer.choices[0].message.content == GREETING
    assert answer.usage.completion_tokens == 10


def case_stream(endpoint, key):
    pieces = list(complete(endpoint, key, stream=True))
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces) == GREETING


def case_stream_with_usage(endpoint, key):
    pieces = list(complete(endpoint, key, stream=True, stream_options={"include_usage": True}))
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices) == GREETING
    assert pieces[-1].usage.completion_tokens == 10


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


def case_tool_call(endpoint, key):
    answer = complete(endpoint, key, "azure_ai/caller", tools=[TOOL])
    (call,) = answer.choices[0].message.tool_calls
    assert (call.function.name, call.function.arguments) == ("get_weather", '{"city": "Paris"}')


def case_wrong_key(endpoint, key):
    try:
        complete(endpoint, key + "?")
    except litellm.AuthenticationError as refused:
        assert "Auth token validation failed" in str(refused)
    else:
        raise AssertionError("a wrong key was taken")


def case_errors_have_their_classes(endpoint, key):
    """Over a native path and an OpenAI one."""
    for base, model in ((endpoint, "azure_ai/{}"), (f"{endpoint}/openai/v1", "openai/{}")):
        greeter = model.format("greeter")
        expected = [
            (litellm.AuthenticationError, greeter, key + "?", {}),
            (litellm.NotFoundError, model.format("absent"), key, {}),
            (litellm.ContextWindowExceededError, greeter, key, {"user": "y" * 600}),
        ]
        for kind, name, used, extra in expected:
            said = [{"role": "user", "content": extra.get("user", "Say something.")}]
            try:
                litellm.completion(name, messages=said, api_base=base, api_key=used, max_retries=0)
            except kind:
                continue
            raise AssertionError(f"{kind.__name__} was expected of {name}")


def case_embeddings(endpoint, key):
    answer = litellm.embedding(
        "azure_ai/tiny-embed", input=["a cat", "a house"], api_base=endpoint, api_key=key
    )
    assert [len(item["embedding"]) for item in answer.data] == [16, 16]


def case_openai_provider(endpoint, key):
    base = f"{endpoint}/openai/v1"
    answer = complete(base, key, "openai/greeter", n=2, user="me")
    assert [choice.message.content for choice in answer.choices] == [GREETING, GREETING]


def case_azure_provider(endpoint, key):
    answer = complete(endpoint, key, "azure/greeter", api_version="2024-10-21")
    assert answer.choices[0].message.content == GREETING

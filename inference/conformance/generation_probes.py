"""Probes of the parameters of text generation: each shows that its parameter takes effect."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from inference.conformance.client import InProcessClient, text_of, usage_of
from inference.contracts import Route

Probe = Callable[[InProcessClient], Awaitable[str | None]]
"""Returns None where a parameter took effect, else a phrase about the observed behaviour."""

SEEDS = range(1, 7)
"""Samples may be equal by chance; six of a dozen tokens each that are all equal are not."""
LENGTH = 12
LONG = 48
"""Penalties need repetitions, and a small model makes them in a few dozen tokens."""
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}


def deterministic(client: InProcessClient) -> dict[str, Any]:
    """Return the parameters for the most likely tokens, or for one seed where temperature is not declared."""
    if client.declares("temperature"):
        return {"temperature": 0}
    return {"seed": 1} if client.declares("seed") else {}


def highest_temperature(client: InProcessClient) -> dict[str, Any]:
    """Return the highest temperature that the card allows."""
    limits = client.card.limits("temperature")
    return {} if limits is None else {"temperature": 2 if limits.max is None else limits.max}


async def greedy(client: InProcessClient, **parameters: Any) -> str:
    """Return the text of a deterministic answer."""
    return text_of(await client.request(**deterministic(client), **{"max_tokens": LENGTH, **parameters}))


async def sampled(client: InProcessClient, seed: int, **parameters: Any) -> str:
    """Return the text of one seed at the highest temperature."""
    options = {"max_tokens": LENGTH, **highest_temperature(client), **parameters}
    return text_of(await client.request(seed=seed, **options))


async def long_text(client: InProcessClient, seed: int, **parameters: Any) -> str:
    """Return a text with room for repetitions: sampled, since greedy answers can be short."""
    if client.declares("seed"):
        return await sampled(client, seed, max_tokens=LONG, **parameters)
    return await greedy(client, max_tokens=LONG, **parameters)


async def temperature(client: InProcessClient) -> str | None:
    expected = await greedy(client)
    if text_of(await client.request_again(temperature=0, max_tokens=LENGTH)) != expected:
        return "0 gives two different answers"
    for number in SEEDS:
        if await sampled(client, number) != expected:
            return None
    return "samples at the highest value all equal the greedy answer"


async def seed(client: InProcessClient) -> str | None:
    first = await sampled(client, 1)
    again = await client.request_again(seed=1, max_tokens=LENGTH, **highest_temperature(client))
    if text_of(again) != first:
        return "the same seed gives two different answers"
    for other in SEEDS:
        if await sampled(client, other) != first:
            return None
    return "every seed gives the same answer"


async def restricting(client: InProcessClient, **parameter: Any) -> str | None:
    """Probe a parameter that leaves only the most likely token: every sample equals the greedy answer."""
    expected, differs_without = await greedy(client), False
    for number in SEEDS:
        if await sampled(client, number, **parameter) != expected:
            return f"{parameter} still samples other tokens than the most likely"
        differs_without = differs_without or await sampled(client, number) != expected
    return None if differs_without else "without it the samples are the same"


async def top_p(client: InProcessClient) -> str | None:
    return await restricting(client, top_p=_at_least(client, "top_p", 0.000001))


async def top_k(client: InProcessClient) -> str | None:
    return await restricting(client, top_k=1)


async def min_p(client: InProcessClient) -> str | None:
    return await restricting(client, min_p=1)


def _at_least(client: InProcessClient, name: str, value: float) -> float:
    """Return a value, raised to the card's minimum."""
    limits = client.card.limits(name)
    return value if limits is None or limits.min is None else max(limits.min, value)


async def penalty(client: InProcessClient, name: str, values: tuple[float, ...]) -> str | None:
    """Probe a penalty: one of the values, within the card's limits, changes an answer."""
    limits = client.card.limits(name)
    low, high = (limits.min, limits.max) if limits else (None, None)
    for value in values:
        bounded = max(value if low is None else low, min(value, value if high is None else high))
        for number in SEEDS:
            if await long_text(client, number, **{name: bounded}) != await long_text(client, number):
                return None
    return "neither end of its range changes an answer"


async def frequency_penalty(client: InProcessClient) -> str | None:
    return await penalty(client, "frequency_penalty", (2, -2))


async def presence_penalty(client: InProcessClient) -> str | None:
    return await penalty(client, "presence_penalty", (2, -2))


async def repetition_penalty(client: InProcessClient) -> str | None:
    return await penalty(client, "repetition_penalty", (2, 0.5))


async def logit_bias(client: InProcessClient) -> str | None:
    forced = [await greedy(client, logit_bias={str(token): 100}) for token in client.texts.token_ids]
    return None if len({await greedy(client), *forced}) == 3 else "a bias of 100 does not force its token"


async def max_tokens(client: InProcessClient, name: str = "max_tokens") -> str | None:
    response = await client.request(**deterministic(client), **{name: 1})
    if usage_of(response, "completion_tokens") > 1:
        return f"1 gives {usage_of(response, 'completion_tokens')} tokens"
    longer = usage_of(await client.request(**deterministic(client), **{name: 3}), "completion_tokens")
    ended = response["choices"][0]["finish_reason"] == "stop"
    return None if ended or 1 < longer <= 3 else "3 gives no more tokens than 1"


async def max_completion_tokens(client: InProcessClient) -> str | None:
    return await max_tokens(client, "max_completion_tokens")


async def stop(client: InProcessClient) -> str | None:
    for number in SEEDS:
        whole = await long_text(client, number)
        if text := whole[len(whole) // 2 :][:3]:
            cut = await long_text(client, number, stop=[text])
            return (
                None if cut == whole[: whole.index(text)] else f"{text!r} does not end the answer before it"
            )
    return "no answer is long enough to be stopped"


async def number_of_choices(client: InProcessClient) -> str | None:
    response = await client.request(n=2, max_tokens=2)
    indices = [choice["index"] for choice in response["choices"]]
    return None if indices == [0, 1] else "2 does not give two choices"


async def stream_options(client: InProcessClient) -> str | None:
    chunks = await client.request(stream=True, stream_options={"include_usage": True}, max_tokens=2)
    last = chunks[-1]
    return None if last["choices"] == [] and "usage" in last else "no chunk has the usage"


async def logprobs(client: InProcessClient) -> str | None:
    value: Any = True if client.route == Route.CHAT else 1
    response = await client.request(**deterministic(client), max_tokens=3, logprobs=value)
    found = response["choices"][0]["logprobs"]
    values = [one["logprob"] for one in found["content"]] if "content" in found else found["token_logprobs"]
    if not values:
        return "no token has log probabilities"
    return None if all(value <= 0 for value in values) else f"{values} are not log probabilities"


async def top_logprobs(client: InProcessClient) -> str | None:
    response = await client.request(**deterministic(client), max_tokens=2, logprobs=True, top_logprobs=2)
    counts = [len(one["top_logprobs"]) for one in response["choices"][0]["logprobs"]["content"]]
    return None if counts and set(counts) == {2} else f"2 gives {counts} alternatives"


async def echo(client: InProcessClient) -> str | None:
    text = text_of(await client.request(**deterministic(client), max_tokens=1, echo=True))
    return None if text.startswith(client.texts.question) else "the answer does not begin with the prompt"


async def best_of(client: InProcessClient) -> str | None:
    one = usage_of(await client.request(max_tokens=2), "completion_tokens")
    three = usage_of(await client.request(max_tokens=2, best_of=3), "completion_tokens")
    return None if three > one else "3 generates no more than one answer"


async def safe_prompt(client: InProcessClient) -> str | None:
    plain, safe = await client.request(max_tokens=1), await client.request(max_tokens=1, safe_prompt=True)
    added = usage_of(safe, "prompt_tokens") - usage_of(plain, "prompt_tokens")
    return None if added > 0 else "the prompt is not longer"


async def tools(client: InProcessClient) -> str | None:
    plain, offered = await client.request(max_tokens=1), await client.request(max_tokens=1, tools=[TOOL])
    added = usage_of(offered, "prompt_tokens") - usage_of(plain, "prompt_tokens")
    return None if added > 0 else "an offered tool is not in the prompt"


async def parallel_tool_calls(client: InProcessClient) -> str | None:
    """Probe that false never gives two calls; nothing forces a model to make two."""
    for number in SEEDS:
        fixed = {"seed": number} if client.declares("seed") else {}
        response = await client.request(tools=[TOOL], parallel_tool_calls=False, max_tokens=LONG, **fixed)
        calls = response["choices"][0]["message"].get("tool_calls") or []
        if len(calls) > 1:
            return f"false gives {len(calls)} calls"
    return None


async def reasoning_effort(client: InProcessClient) -> str | None:
    limits = client.card.limits("reasoning_effort")
    efforts = [{"reasoning_effort": value} for value in (limits and limits.template) or ()]
    results = set()
    for effort in ({}, *efforts):
        response = await client.request(**deterministic(client), **effort, max_tokens=LENGTH)
        results.add((usage_of(response, "prompt_tokens"), text_of(response)))
    return None if len(results) > 1 else "every effort gives the same prompt and the same answer"


PROBES: Mapping[str, Probe] = {
    "temperature": temperature,
    "top_p": top_p,
    "max_tokens": max_tokens,
    "stop": stop,
    "seed": seed,
    "frequency_penalty": frequency_penalty,
    "presence_penalty": presence_penalty,
    "tools": tools,
    "n": number_of_choices,
    "top_k": top_k,
    "min_p": min_p,
    "repetition_penalty": repetition_penalty,
    "logit_bias": logit_bias,
    "max_completion_tokens": max_completion_tokens,
    "stream_options": stream_options,
    "logprobs": logprobs,
    "top_logprobs": top_logprobs,
    "best_of": best_of,
    "echo": echo,
    "safe_prompt": safe_prompt,
    "parallel_tool_calls": parallel_tool_calls,
    "reasoning_effort": reasoning_effort,
}

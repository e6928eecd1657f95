"""How each parameter of text generation is seen to take effect."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from inference.conformance.client import QUESTION, InProcessClient, text_of, usage_of
from inference.contracts import Route

Probe = Callable[[InProcessClient], Awaitable[str | None]]
"""None when the parameter took effect, else a sentence about what was seen instead."""

SEEDS = range(1, 7)
"""A draw may come out the same by chance; six draws of a dozen tokens that all do are no chance."""
LENGTH = 12
LONG = 48
"""Penalties need repetitions to work on, and a small model makes them in a few dozen tokens."""
TOOL = {"type": "function", "function": {"name": "put_down", "parameters": {"type": "object"}}}
FORCED: Mapping[str, Any] = {
    "required": "required",
    "function": {"type": "function", "function": {"name": "look_up"}},
}
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}


async def greedy(asker: InProcessClient, **parameters: Any) -> str:
    """The text of the most likely tokens, or of one seed where temperature is not declared."""
    return text_of(await asker.ask(**still(asker), **{"max_tokens": LENGTH, **parameters}))


def still(asker: InProcessClient) -> dict[str, Any]:
    if asker.declares("temperature"):
        return {"temperature": 0}
    return {"seed": 1} if asker.declares("seed") else {}


async def drawn(asker: InProcessClient, seed: int, **parameters: Any) -> str:
    """The text of one seed at the warmest declared temperature."""
    limits = asker.card.limits("temperature")
    warm = {} if limits is None else {"temperature": 2 if limits.max is None else limits.max}
    return text_of(await asker.ask(seed=seed, **{"max_tokens": LENGTH, **warm, **parameters}))


async def temperature(asker: InProcessClient) -> str | None:
    still = await greedy(asker)
    if text_of(await asker.ask_again(temperature=0, max_tokens=LENGTH)) != still:
        return "0 gave two different answers"
    for seed in SEEDS:
        if await drawn(asker, seed) != still:
            return None
    return "the warmest draws all equal the greedy answer"


async def seed(asker: InProcessClient) -> str | None:
    first = await drawn(asker, 1)
    limits = asker.card.limits("temperature")
    warm = {} if limits is None else {"temperature": 2 if limits.max is None else limits.max}
    if text_of(await asker.ask_again(seed=1, max_tokens=LENGTH, **warm)) != first:
        return "the same seed gave two different answers"
    for other in SEEDS:
        if await drawn(asker, other) != first:
            return None
    return "every seed gives the same answer"


async def narrowed(asker: InProcessClient, **narrow: Any) -> str | None:
    """A parameter that leaves only the most likely token turns every draw into the greedy answer."""
    still, changed = await greedy(asker), False
    for number in SEEDS:
        if await drawn(asker, number, **narrow) != still:
            return f"{narrow} still draws other tokens than the most likely"
        changed = changed or await drawn(asker, number) != still
    return None if changed else "without it the draws are the same"


async def top_p(asker: InProcessClient) -> str | None:
    return await narrowed(asker, top_p=_least(asker, "top_p", 0.000001))


async def top_k(asker: InProcessClient) -> str | None:
    return await narrowed(asker, top_k=1)


async def min_p(asker: InProcessClient) -> str | None:
    return await narrowed(asker, min_p=1)


def _least(asker: InProcessClient, name: str, default: float) -> float:
    limits = asker.card.limits(name)
    return default if limits is None or limits.min is None else max(limits.min, default)


async def shifted(asker: InProcessClient, name: str, values: tuple[float, ...]) -> str | None:
    """A penalty at the ends of its range changes what is drawn, or what the most likely tokens are."""
    limits = asker.card.limits(name)
    low, high = (limits.min, limits.max) if limits else (None, None)
    for value in values:
        bounded = max(value if low is None else low, min(value, value if high is None else high))
        for number in SEEDS:
            if await long(asker, number, **{name: bounded}) != await long(asker, number):
                return None
    return "neither end of its range changes an answer"


async def long(asker: InProcessClient, number: int, **parameters: Any) -> str:
    """A text with room for repetitions: a warm draw, since what a trained model finds likely can be short."""
    if asker.declares("seed"):
        return await drawn(asker, number, max_tokens=LONG, **parameters)
    return await greedy(asker, max_tokens=LONG, **parameters)


async def frequency_penalty(asker: InProcessClient) -> str | None:
    return await shifted(asker, "frequency_penalty", (2, -2))


async def presence_penalty(asker: InProcessClient) -> str | None:
    return await shifted(asker, "presence_penalty", (2, -2))


async def repetition_penalty(asker: InProcessClient) -> str | None:
    return await shifted(asker, "repetition_penalty", (2, 0.5))


async def logit_bias(asker: InProcessClient) -> str | None:
    forced = [await greedy(asker, logit_bias={str(token): 100}) for token in (40, 50)]
    return None if len({await greedy(asker), *forced}) == 3 else "a bias of 100 does not force its token"


async def max_tokens(asker: InProcessClient, name: str = "max_tokens") -> str | None:
    answer = await asker.ask(**still(asker), **{name: 1})
    if usage_of(answer, "completion_tokens") > 1:
        return f"1 gave {usage_of(answer, 'completion_tokens')} tokens"
    longer = usage_of(await asker.ask(**still(asker), **{name: 3}), "completion_tokens")
    return (
        None
        if 1 < longer <= 3 or answer["choices"][0]["finish_reason"] == "stop"
        else "3 gave no more than 1"
    )


async def max_completion_tokens(asker: InProcessClient) -> str | None:
    return await max_tokens(asker, "max_completion_tokens")


async def stop(asker: InProcessClient) -> str | None:
    for number in SEEDS:
        whole = await long(asker, number)
        if mark := whole[len(whole) // 2 :][:3]:
            cut = await long(asker, number, stop=[mark])
            return (
                None
                if cut == whole[: whole.index(mark)]
                else f"{mark!r} did not end the answer before itself"
            )
    return "no answer is long enough to be stopped"


async def several(asker: InProcessClient) -> str | None:
    answer = await asker.ask(n=2, max_tokens=2)
    return None if [c["index"] for c in answer["choices"]] == [0, 1] else "2 did not give two choices"


async def stream_options(asker: InProcessClient) -> str | None:
    chunks = await asker.ask(stream=True, stream_options={"include_usage": True}, max_tokens=2)
    last = chunks[-1]
    return None if last["choices"] == [] and "usage" in last else "no chunk with the usage came"


async def logprobs(asker: InProcessClient) -> str | None:
    asked: Any = True if asker.route == Route.CHAT else 1
    told = (await asker.ask(**still(asker), max_tokens=3, logprobs=asked))["choices"][0]["logprobs"]
    values = [one["logprob"] for one in told["content"]] if "content" in told else told["token_logprobs"]
    if not values:
        return "no token is told"
    return None if all(value <= 0 for value in values) else f"{values} are no logarithms of probabilities"


async def top_logprobs(asker: InProcessClient) -> str | None:
    answer = await asker.ask(**still(asker), max_tokens=2, logprobs=True, top_logprobs=2)
    told = [len(one["top_logprobs"]) for one in answer["choices"][0]["logprobs"]["content"]]
    return None if told and set(told) == {2} else f"2 gave {told} alternatives"


async def echo(asker: InProcessClient) -> str | None:
    said = text_of(await asker.ask(**still(asker), max_tokens=1, echo=True))
    return None if said.startswith(QUESTION) else "the answer does not begin with the prompt"


async def best_of(asker: InProcessClient) -> str | None:
    one = usage_of(await asker.ask(max_tokens=2), "completion_tokens")
    three = usage_of(await asker.ask(max_tokens=2, best_of=3), "completion_tokens")
    return None if three > one else "3 drew no more than one answer"


async def safe_prompt(asker: InProcessClient) -> str | None:
    plain, safe = await asker.ask(max_tokens=1), await asker.ask(max_tokens=1, safe_prompt=True)
    grown = usage_of(safe, "prompt_tokens") - usage_of(plain, "prompt_tokens")
    return None if grown > 0 else "the prompt did not grow"


async def tools(asker: InProcessClient) -> str | None:
    plain, offered = await asker.ask(max_tokens=1), await asker.ask(max_tokens=1, tools=[TOOL])
    grown = usage_of(offered, "prompt_tokens") - usage_of(plain, "prompt_tokens")
    return None if grown > 0 else "an offered tool is not in the prompt"


async def parallel_tool_calls(asker: InProcessClient) -> str | None:
    """Nothing makes a model want two calls; where it does, false leaves it one."""
    for number in SEEDS:
        still = {"seed": number} if asker.declares("seed") else {}
        answer = await asker.ask(tools=[TOOL], parallel_tool_calls=False, max_tokens=LONG, **still)
        calls = answer["choices"][0]["message"].get("tool_calls") or []
        if len(calls) > 1:
            return f"false gave {len(calls)} calls"
    return None


async def reasoning_effort(asker: InProcessClient) -> str | None:
    limits = asker.card.limits("reasoning_effort")
    efforts = [{"reasoning_effort": value} for value in (limits and limits.template) or ()]
    seen = set()
    for effort in ({}, *efforts):
        answer = await asker.ask(**still(asker), **effort, max_tokens=LENGTH)
        seen.add((usage_of(answer, "prompt_tokens"), text_of(answer)))
    return None if len(seen) > 1 else "every effort gives the same prompt and the same answer"


PROBES: Mapping[str, Probe] = {
    "temperature": temperature,
    "top_p": top_p,
    "max_tokens": max_tokens,
    "stop": stop,
    "seed": seed,
    "frequency_penalty": frequency_penalty,
    "presence_penalty": presence_penalty,
    "tools": tools,
    "n": several,
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

"""How it is seen that an answer is held to a form: a call that must come, or a format.

A model that thinks first is asked not to where it can be told so, else given room. Thoughts that do not end
in it say nothing of the form behind them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inference.api.parameters import BY_NAME
from inference.conformance.client import InProcessClient, text_of, usage_of
from inference.conformance.generation_probes import LONG, TOOL, Probe, still
from inference.contracts import Route

ROOM = 256
"""Tokens for thoughts and the answer behind them."""
OTHER_TOOL = {"type": "function", "function": {"name": "put_down", "parameters": {"type": "object"}}}
FORCED: Mapping[str, Any] = {
    "required": "required",
    "function": {"type": "function", "function": {"name": "look_up"}},
}
WORDS = ("quincunx", "zeugma")
"""Words that no model says by chance."""


async def held(asker: InProcessClient, **asked: Any) -> Any:
    """The answer's body."""
    if asker.card.reasoning is None or asker.route != Route.CHAT:
        return await asker.ask(**still(asker), **asked, max_tokens=LONG)
    effort = asker.card.limits("reasoning_effort")
    quiet = {"reasoning_effort": "none"} if effort and "none" in (effort.template or {}) else {}
    return await asker.ask(**still(asker), **quiet, **asked, max_tokens=ROOM)


def behind_thoughts(asker: InProcessClient, answer: Any) -> str | None:
    """The answer's text; None where its thoughts have not ended."""
    text, tags = text_of(answer), asker.card.reasoning
    if tags is None or asker.route != Route.CHAT or not text.lstrip().startswith(tags.open):
        return text
    _, closed, rest = text.partition(tags.close)
    return rest.lstrip() if closed else None


async def response_format(asker: InProcessClient) -> str | None:
    limits = asker.card.limits("response_format")
    kinds = (limits.values if limits else None) or ("json_object", "json_schema")
    if "json_schema" in kinds:
        wanted = {"type": "json_schema", "json_schema": {"name": "word", "schema": {"enum": WORDS}}}
        answer = behind_thoughts(asker, await held(asker, response_format=wanted))
        if answer not in (None, *(f'"{word}"' for word in WORDS)):
            return f"a schema of two words gave {answer!r}"
    if "json_object" in kinds:
        answer = behind_thoughts(asker, await held(asker, response_format={"type": "json_object"}))
        if answer is not None and not answer.startswith("{"):
            return f"json_object gave {answer!r}"
    return None


async def guided(asker: InProcessClient, **asked: Any) -> str | None:
    answer = behind_thoughts(asker, await held(asker, **asked))
    return None if answer in (None, *WORDS) else f"two words to choose from gave {answer!r}"


async def guided_regex(asker: InProcessClient) -> str | None:
    return await guided(asker, guided_regex="|".join(WORDS))


async def guided_choice(asker: InProcessClient) -> str | None:
    return await guided(asker, guided_choice=WORDS)


async def guided_grammar(asker: InProcessClient) -> str | None:
    return await guided(asker, guided_grammar=f'start: "{WORDS[0]}" | "{WORDS[1]}"')


async def tool_choice(asker: InProcessClient) -> str | None:
    plain = await asker.ask(max_tokens=1)
    none = await asker.ask(max_tokens=1, tools=[TOOL], tool_choice="none")
    if usage_of(none, "prompt_tokens") != usage_of(plain, "prompt_tokens"):
        return "none still offers the tools"
    limits = asker.card.limits("tool_choice")
    words = (limits.values if limits else None) or BY_NAME["tool_choice"].values
    for word, choice in FORCED.items():
        if word in words and (problem := await _forced(asker, choice)):
            return f"{word}: {problem}"
    return None


async def _forced(asker: InProcessClient, choice: Any) -> str | None:
    answer = await held(asker, tools=[TOOL, OTHER_TOOL], tool_choice=choice)
    calls = answer["choices"][0]["message"].get("tool_calls") or []
    names = {call["function"]["name"] for call in calls}
    if not names:
        return None if behind_thoughts(asker, answer) is None else "no call came"
    return None if choice == "required" or names == {"look_up"} else f"{', '.join(names)} was called"


PROBES: Mapping[str, Probe] = {
    "response_format": response_format,
    "guided_regex": guided_regex,
    "guided_choice": guided_choice,
    "guided_grammar": guided_grammar,
    "tool_choice": tool_choice,
}

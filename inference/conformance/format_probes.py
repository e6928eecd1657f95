"""Probes of constrained answers, local and remote: a format, a guided form, or a call that must come.

A reasoning model is asked not to reason where its card allows that, else given room. Reasoning that does not
end in that room leaves the constraint behind it unprobed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from inference.api.parameters import BY_NAME
from inference.conformance.client import InProcessClient, text_of, usage_of
from inference.conformance.generation_probes import LONG, TOOL, Probe, deterministic
from inference.contracts import Route

ROOM = 256
"""Tokens for reasoning and the answer after it."""
OTHER_TOOL = {"type": "function", "function": {"name": "put_down", "parameters": {"type": "object"}}}
FORCED_CHOICES: Mapping[str, Any] = {
    "required": "required",
    "function": {"type": "function", "function": {"name": "look_up"}},
}


async def constrained(client: InProcessClient, **parameters: Any) -> Any:
    """Return the response to a constrained request, with room for reasoning."""
    if client.card.reasoning is None or client.route != Route.CHAT:
        return await client.request(**deterministic(client), **parameters, max_tokens=LONG)
    effort = client.card.limits("reasoning_effort")
    no_effort = {"reasoning_effort": "none"} if effort and "none" in (effort.template or {}) else {}
    return await client.request(**deterministic(client), **no_effort, **parameters, max_tokens=ROOM)


def after_reasoning(client: InProcessClient, response: Any) -> str | None:
    """Return the text of an answer after its reasoning; None where that has not ended."""
    text, tags = text_of(response), client.card.reasoning
    if tags is None or client.route != Route.CHAT or not text.lstrip().startswith(tags.open):
        return text
    _, closed, rest = text.partition(tags.close)
    return rest.lstrip() if closed else None


async def response_format(client: InProcessClient) -> str | None:
    limits = client.card.limits("response_format")
    types = (limits.values if limits else None) or ("json_object", "json_schema")
    if "json_schema" in types:
        by_schema = {
            "type": "json_schema",
            "json_schema": {"name": "word", "schema": {"enum": client.texts.rare}},
        }
        answer = after_reasoning(client, await constrained(client, response_format=by_schema))
        if answer not in (None, *(f'"{word}"' for word in client.texts.rare)):
            return f"a schema of two words gives {answer!r}"
    if "json_object" in types:
        response = await constrained(client, response_format={"type": "json_object"})
        answer = after_reasoning(client, response)
        if answer is not None and not answer.startswith("{"):
            return f"json_object gives {answer!r}"
    return None


async def guided(client: InProcessClient, **parameter: Any) -> str | None:
    answer = after_reasoning(client, await constrained(client, **parameter))
    return None if answer in (None, *client.texts.rare) else f"a choice of two words gives {answer!r}"


async def guided_regex(client: InProcessClient) -> str | None:
    return await guided(client, guided_regex="|".join(client.texts.rare))


async def guided_choice(client: InProcessClient) -> str | None:
    return await guided(client, guided_choice=client.texts.rare)


async def guided_grammar(client: InProcessClient) -> str | None:
    first, second = client.texts.rare
    return await guided(client, guided_grammar=f'start: "{first}" | "{second}"')


async def tool_choice(client: InProcessClient) -> str | None:
    plain = await client.request(max_tokens=1)
    none = await client.request(max_tokens=1, tools=[TOOL], tool_choice="none")
    if usage_of(none, "prompt_tokens") != usage_of(plain, "prompt_tokens"):
        return "none still offers the tools"
    limits = client.card.limits("tool_choice")
    allowed = (limits.values if limits else None) or BY_NAME["tool_choice"].values
    for name, choice in FORCED_CHOICES.items():
        if name in allowed and (problem := await _forced(client, choice)):
            return f"{name}: {problem}"
    return None


async def _forced(client: InProcessClient, choice: Any) -> str | None:
    response = await constrained(client, tools=[TOOL, OTHER_TOOL], tool_choice=choice)
    calls = response["choices"][0]["message"].get("tool_calls") or []
    names = {call["function"]["name"] for call in calls}
    if not names:
        return None if after_reasoning(client, response) is None else "the answer has no call"
    return None if choice == "required" or names == {"look_up"} else f"{', '.join(names)} is called"


PROBES: Mapping[str, Probe] = {
    "response_format": response_format,
    "guided_regex": guided_regex,
    "guided_choice": guided_choice,
    "guided_grammar": guided_grammar,
    "tool_choice": tool_choice,
}


JSON_LENGTH = 256
"""Tokens in which a small JSON object is complete."""
SCHEMA = {
    "type": "object",
    "properties": {"next": {"type": "integer"}},
    "required": ["next"],
    "additionalProperties": False,
}
BY_SCHEMA = {"type": "json_schema", "json_schema": {"name": "count", "schema": SCHEMA, "strict": True}}


def _values(client: InProcessClient, name: str) -> tuple[str, ...]:
    limits = client.card.limits(name)
    return (limits.values if limits else None) or BY_NAME[name].values


def _of_length(client: InProcessClient, length: int) -> dict[str, Any]:
    """Return a length under the name that the card declares, and temperature 0 where it declares that."""
    names = [name for name in ("max_completion_tokens", "max_tokens") if client.declares(name)]
    greedy = {"temperature": 0} if client.declares("temperature") else {}
    return {**greedy, **({names[0]: length} if names else {})}


async def remote_response_format(client: InProcessClient) -> str | None:
    values = _values(client, "response_format")
    if "json_object" in values:
        # OpenAI refuses JSON mode where the conversation does not mention JSON.
        messages = [{"role": "user", "content": "Answer as a short JSON object: which number follows nine?"}]
        mode = {"type": "json_object"}
        response = await client.request(
            response_format=mode, messages=messages, **_of_length(client, JSON_LENGTH)
        )
        if not isinstance(_json(response), dict):
            return "json_object does not give a JSON object"
    if "json_schema" in values:
        response = await client.request(response_format=BY_SCHEMA, **_of_length(client, JSON_LENGTH))
        found = _json(response)
        if not (isinstance(found, dict) and isinstance(found.get("next"), int)):
            return "json_schema gives an answer that the schema does not allow"
    return None


def _json(response: Any) -> Any:
    try:
        return json.loads(text_of(response))
    except ValueError:
        return None


async def parallel_tool_calls(client: InProcessClient) -> str | None:
    messages = [{"role": "user", "content": "Look up Paris and look up Rome."}]
    single = {"messages": messages, "tools": [TOOL], "parallel_tool_calls": False}
    response = await client.request(**single, **_of_length(client, JSON_LENGTH))
    calls = response["choices"][0]["message"].get("tool_calls") or ()
    return None if len(calls) <= 1 else f"false gives {len(calls)} calls"


async def graded(client: InProcessClient, name: str) -> str | None:
    """Probe a graded parameter: its lowest and highest value give answers of different text or length."""
    lowest, highest = _values(client, name)[0], _values(client, name)[-1]
    if lowest == highest:
        return None
    first = await client.request(**{name: lowest}, **_of_length(client, LONG))
    second = await client.request(**{name: highest}, **_of_length(client, LONG))
    same_text = text_of(first) == text_of(second)
    same_length = usage_of(first, "completion_tokens") == usage_of(second, "completion_tokens")
    return f"{lowest} and {highest} give the same answer" if same_text and same_length else None


async def reasoning_effort(client: InProcessClient) -> str | None:
    return await graded(client, "reasoning_effort")


async def verbosity(client: InProcessClient) -> str | None:
    return await graded(client, "verbosity")


REMOTE_FORMAT_PROBES: Mapping[str, Probe] = {
    "response_format": remote_response_format,
    "parallel_tool_calls": parallel_tool_calls,
    "reasoning_effort": reasoning_effort,
    "verbosity": verbosity,
}

"""How parameters that only models elsewhere honour are seen to take effect."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from inference.api.parameters import BY_NAME
from inference.conformance.client import InProcessClient, text_of, usage_of
from inference.conformance.generation_probes import LONG, TOOL, Probe

JSON_ROOM = 256
"""Tokens in which a small JSON object can be finished."""
SCHEMA = {
    "type": "object",
    "properties": {"next": {"type": "integer"}},
    "required": ["next"],
    "additionalProperties": False,
}
BY_SCHEMA = {"type": "json_schema", "json_schema": {"name": "count", "schema": SCHEMA, "strict": True}}


def _values(asker: InProcessClient, name: str) -> tuple[str, ...]:
    limits = asker.card.limits(name)
    return (limits.values if limits else None) or BY_NAME[name].values


def _plain(asker: InProcessClient, length: int) -> dict[str, Any]:
    """A length, by the name that the card declares, and no warmth."""
    names = [name for name in ("max_completion_tokens", "max_tokens") if asker.declares(name)]
    still = {"temperature": 0} if asker.declares("temperature") else {}
    return {**still, **({names[0]: length} if names else {})}


async def response_format(asker: InProcessClient) -> str | None:
    """JSON mode gives an object, a schema what it says."""
    values = _values(asker, "response_format")
    if "json_object" in values:
        # OpenAI refuses JSON mode where the conversation does not speak of JSON.
        told = [{"role": "user", "content": "Answer as a short JSON object: which number follows nine?"}]
        mode = {"type": "json_object"}
        answer = await asker.ask(response_format=mode, messages=told, **_plain(asker, JSON_ROOM))
        if not isinstance(_json(answer), dict):
            return "json_object gave no JSON object"
    if "json_schema" in values:
        found = _json(await asker.ask(response_format=BY_SCHEMA, **_plain(asker, JSON_ROOM)))
        if not (isinstance(found, dict) and isinstance(found.get("next"), int)):
            return "json_schema gave what the schema does not allow"
    return None


def _json(answer: Any) -> Any:
    try:
        return json.loads(text_of(answer))
    except ValueError:
        return None


async def parallel_tool_calls(asker: InProcessClient) -> str | None:
    told = [{"role": "user", "content": "Look up Paris and look up Rome."}]
    alone = {"messages": told, "tools": [TOOL], "parallel_tool_calls": False}
    answer = await asker.ask(**alone, **_plain(asker, JSON_ROOM))
    calls = answer["choices"][0]["message"].get("tool_calls") or ()
    return None if len(calls) <= 1 else f"false gave {len(calls)} calls"


async def graded(asker: InProcessClient, name: str) -> str | None:
    """The least and the most of it give different answers, or answers of different length."""
    least, most = _values(asker, name)[0], _values(asker, name)[-1]
    if least == most:
        return None
    first = await asker.ask(**{name: least}, **_plain(asker, LONG))
    second = await asker.ask(**{name: most}, **_plain(asker, LONG))
    same = text_of(first) == text_of(second)
    spent = [usage_of(answer, "completion_tokens") for answer in (first, second)]
    return f"{least} and {most} give the same answer" if same and spent[0] == spent[1] else None


async def reasoning_effort(asker: InProcessClient) -> str | None:
    return await graded(asker, "reasoning_effort")


async def verbosity(asker: InProcessClient) -> str | None:
    return await graded(asker, "verbosity")


PROBES: Mapping[str, Probe] = {
    "response_format": response_format,
    "parallel_tool_calls": parallel_tool_calls,
    "reasoning_effort": reasoning_effort,
    "verbosity": verbosity,
}

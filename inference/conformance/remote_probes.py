"""Probes of remote endpoints, for parameters that only those honour or that they honour in another way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from inference.api.parameters import BY_NAME
from inference.conformance.client import InProcessClient, text_of, usage_of
from inference.conformance.generation_probes import LONG, TOOL, Probe

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


async def response_format(client: InProcessClient) -> str | None:
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


PROBES: Mapping[str, Probe] = {
    "response_format": response_format,
    "parallel_tool_calls": parallel_tool_calls,
    "reasoning_effort": reasoning_effort,
    "verbosity": verbosity,
}

"""Probes of the parameters of the embedding routes: each shows that its parameter takes effect."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from itertools import combinations
from typing import Any

from inference.api.parameters import BY_NAME
from inference.conformance.client import InProcessClient
from inference.conformance.generation_probes import Probe

TOLERANCE = 1e-5
"""Difference from a squared length of one."""
MAX_CONTEXT = 2048
"""Tokens of a context up to which truncated texts are embedded; longer ones, which take minutes, are counted
only."""


async def vector(client: InProcessClient, **parameters: Any) -> Any:
    """Return the first vector of a response, in its encoding."""
    return (await client.request(**parameters))["data"][0]["embedding"]


async def dimensions(client: InProcessClient) -> str | None:
    native = len(await vector(client))
    embedding = client.card.embedding
    for size in {native, *embedding.matryoshka}:
        found = await vector(client, dimensions=size)
        if len(found) != size:
            return f"{size} gives {len(found)} numbers"
        if size < native and abs(sum(number * number for number in found) - 1) > TOLERANCE:
            return f"{size} gives a vector that is not of length one"
    return None


async def encoding_format(client: InProcessClient) -> str | None:
    import numpy as np

    limits, plain = client.card.limits("encoding_format"), np.array(await vector(client), np.float32)
    for name in (limits.values if limits else None) or BY_NAME["encoding_format"].values:
        if name in ("binary", "ubinary") and plain.size % 8:
            continue
        encoded = await vector(client, encoding_format=name)
        if not np.array_equal(_decoded(encoded, name), _expected(plain, name)):
            return f"{name} is not the vector that float gives"
    return None


def _decoded(value: Any, name: str) -> Any:
    import numpy as np

    if name == "base64":
        return np.frombuffer(b64decode(value), "<f4")
    return np.array(value, np.float32 if name == "float" else int)


def _expected(plain: Any, name: str) -> Any:
    """Return the vector in an encoding, computed here from the float numbers."""
    import numpy as np

    levels = np.clip(np.rint(plain * 127), -128, 127).astype(int)
    bits = np.packbits(plain > 0).astype(int)
    encoded = {"int8": levels, "uint8": levels + 128, "ubinary": bits, "binary": bits - 128}
    return encoded.get(name, plain)


async def input_type(client: InProcessClient) -> str | None:
    """Probe that the types with different prompts give different vectors."""
    by_prompt = {client.prompts.get(kind, ""): kind for kind in ("text", "query", "document")}
    found = {prompt: str(await vector(client, input_type=kind)) for prompt, kind in by_prompt.items()}
    for left, right in combinations(found, 2):
        if found[left] == found[right] and client.texts.distinct(left, right):
            return "inputs of different types give the same vector"
    return None


async def task(client: InProcessClient) -> str | None:
    """Probe that tasks give different vectors: all but those whose adapters are the same."""
    found = {str(await vector(client, task=name)) for name in client.card.embedding.tasks}
    if len(found) < min(2, len(client.card.embedding.tasks)):
        return "every task gives the same vector"
    return None


async def prompt_name(client: InProcessClient) -> str | None:
    """Probe that prompts with different texts give different scores."""
    texts = {text: name for name, text in client.card.named_prompts.items()}
    found = {text: str(await client.request(prompt_name=name)) for text, name in texts.items()}
    for left, right in combinations(found, 2):
        if found[left] == found[right] and client.texts.distinct(left, right):
            return f"the prompts {texts[left]} and {texts[right]} give the same scores"
    return None


async def truncate(client: InProcessClient) -> str | None:
    """Probe that a text beyond the context is refused, or loses the named end and keeps the other."""
    limits = client.card.limits("truncate")
    if not client.texts.known:
        return None
    text = await _too_long(client)
    for side in (limits.values if limits else None) or BY_NAME["truncate"].values:
        outcome = await client.dry_run(input=[text], truncate=side)
        if (outcome["status"] == 422) is not (side == "NONE"):
            reasons = "; ".join(str(one["message"]) for one in outcome["refused"])
            return f"{side} gives status {outcome['status']}" + (f": {reasons}" if reasons else "")
        if side != "NONE" and (problem := await _truncation_problem(client, text, side, outcome)):
            return problem
    return None


async def _too_long(client: InProcessClient) -> str:
    """Return a text beyond the deployment's context."""
    text = f"{client.texts.words[0]}{client.texts.separator}"
    while (await client.dry_run(input=[text], truncate="NONE"))["status"] == 200:
        text *= 4
    return text


async def _truncation_problem(
    client: InProcessClient, text: str, side: str, outcome: Mapping[str, Any]
) -> str | None:
    count, context = outcome["prompt_tokens"][0], outcome["context"]
    if count != context:
        return f"{side} leaves {count} tokens of {context}"
    if context > MAX_CONTEXT:
        return None
    word, space = client.texts.words[1], client.texts.separator
    texts = (text, f"{word}{space}{text}", f"{text}{word}")
    plain, first, last = [await vector(client, input=[one], truncate=side) for one in texts]
    lost, kept = (last, first) if side == "END" else (first, last)
    if lost != plain:
        return f"{side} keeps the end that it names"
    return f"{side} loses the end that it does not name" if kept == plain else None


PROBES: Mapping[str, Probe] = {
    "dimensions": dimensions,
    "encoding_format": encoding_format,
    "input_type": input_type,
    "truncate": truncate,
    "task": task,
    "prompt_name": prompt_name,
}

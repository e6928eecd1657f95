"""How each parameter of the embedding routes is seen to take effect."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from typing import Any

from inference.api.parameters import BY_NAME
from inference.conformance.client import InProcessClient
from inference.conformance.generation_probes import Probe

TOLERANCE = 1e-5
LONGEST_RUN = 2048
"""Tokens of a context up to which cut texts are run; of longer ones, which take minutes, they are counted."""


async def vector(asker: InProcessClient, **parameters: Any) -> Any:
    return (await asker.ask(**parameters))["data"][0]["embedding"]


async def dimensions(asker: InProcessClient) -> str | None:
    native = len(await vector(asker))
    embedding = asker.card.embedding
    for size in {native, *embedding.matryoshka}:
        found = await vector(asker, dimensions=size)
        if len(found) != size:
            return f"{size} gave {len(found)} numbers"
        if size < native and abs(sum(number * number for number in found) - 1) > TOLERANCE:
            return f"{size} gave a vector that is not of length one"
    return None


async def encoding_format(asker: InProcessClient) -> str | None:
    import numpy as np

    limits, plain = asker.card.limits("encoding_format"), np.array(await vector(asker), np.float32)
    for name in (limits.values if limits else None) or BY_NAME["encoding_format"].values:
        if name in ("binary", "ubinary") and plain.size % 8:
            continue
        if not np.array_equal(_read(await vector(asker, encoding_format=name), name), _expected(plain, name)):
            return f"{name} is not the vector that float gives"
    return None


def _read(value: Any, name: str) -> Any:
    import numpy as np

    if name == "base64":
        return np.frombuffer(b64decode(value), "<f4")
    return np.array(value, np.float32 if name == "float" else int)


def _expected(plain: Any, name: str) -> Any:
    """The vector in an encoding, worked out anew from the float numbers."""
    import numpy as np

    levels = np.clip(np.rint(plain * 127), -128, 127).astype(int)
    bits = np.packbits(plain > 0).astype(int)
    encoded = {"int8": levels, "uint8": levels + 128, "ubinary": bits, "binary": bits - 128}
    return encoded.get(name, plain)


async def input_type(asker: InProcessClient) -> str | None:
    """Of the types that have a prompt of their own, every one gives its own vector."""
    texts = {asker.prompts.get(kind, ""): kind for kind in ("text", "query", "document")}
    found = {str(await vector(asker, input_type=kind)) for kind in texts.values()}
    return None if len(found) == len(texts) else "inputs of different types give the same vector"


async def truncate(asker: InProcessClient) -> str | None:
    """What is too long is refused, or loses the end that is named and keeps the other."""
    limits = asker.card.limits("truncate")
    text = await _too_long(asker)
    for side in (limits.values if limits else None) or BY_NAME["truncate"].values:
        rehearsed = await asker.rehearse(input=[text], truncate=side)
        if (rehearsed["status"] == 422) is not (side == "NONE"):
            return f"{side} gives status {rehearsed['status']}"
        if side != "NONE" and (problem := await _cuts(asker, text, side, rehearsed)):
            return problem
    return None


async def _too_long(asker: InProcessClient) -> str:
    """A text of which the deployment takes a part only."""
    text = "tide "
    while (await asker.rehearse(input=[text], truncate="NONE"))["status"] == 200:
        text *= 4
    return text


async def _cuts(asker: InProcessClient, text: str, side: str, rehearsed: Mapping[str, Any]) -> str | None:
    count, context = rehearsed["prompt_tokens"][0], rehearsed["context"]
    if count != context:
        return f"{side} leaves {count} tokens of {context}"
    if context > LONGEST_RUN:
        return None
    before, behind = f"storm {text}", f"{text}storm"
    plain, first, last = [await vector(asker, input=[one], truncate=side) for one in (text, before, behind)]
    lost, kept = (last, first) if side == "END" else (first, last)
    if lost != plain:
        return f"{side} keeps the end that it names"
    return f"{side} loses the end that it does not name" if kept == plain else None


PROBES: Mapping[str, Probe] = {
    "dimensions": dimensions,
    "encoding_format": encoding_format,
    "input_type": input_type,
    "truncate": truncate,
}

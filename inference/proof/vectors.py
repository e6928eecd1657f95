"""How each parameter of the embedding routes is seen to take effect."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from typing import Any

from inference.parameters import BY_NAME
from inference.proof.asking import Asker
from inference.proof.generation import Probe

TOLERANCE = 1e-5


async def vector(asker: Asker, **parameters: Any) -> Any:
    return (await asker.ask(**parameters))["data"][0]["embedding"]


async def dimensions(asker: Asker) -> str | None:
    native = len(await vector(asker))
    embedding = asker.card.embedding
    for size in {native, *embedding.matryoshka}:
        found = await vector(asker, dimensions=size)
        if len(found) != size:
            return f"{size} gave {len(found)} numbers"
        if size < native and abs(sum(number * number for number in found) - 1) > TOLERANCE:
            return f"{size} gave a vector that is not of length one"
    return None


async def encoding_format(asker: Asker) -> str | None:
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


async def input_type(asker: Asker) -> str | None:
    """Of the types that have a prompt of their own, every one gives its own vector."""
    texts = {asker.card.embedding.prompts.get(kind, ""): kind for kind in ("text", "query", "document")}
    found = {str(await vector(asker, input_type=kind)) for kind in texts.values()}
    return None if len(found) == len(texts) else "inputs of different types give the same vector"


PROBES: Mapping[str, Probe] = {
    "dimensions": dimensions,
    "encoding_format": encoding_format,
    "input_type": input_type,
}

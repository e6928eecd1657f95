"""The rotary embedding that a GGUF file states, as config.json of transformers writes it."""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from inference.cards.json_files import Json
from inference.importer.findings import ImporterError, format_size
from inference.importer.gguf.header import GgufHeader
from inference.importer.gguf.vocabulary import refused

LLAMA3_LOW, LLAMA3_HIGH = 1.0, 4.0
LLAMA3_ORIGINALS = (8192, 4096, 2048, 16384, 32768)
"""Context lengths that a model may have been trained with before it was extended as Llama 3.1 was."""
FACTORS, LONG_FACTORS, SHORT_FACTORS = (
    "rope_freqs.weight",
    "rope_factors_long.weight",
    "rope_factors_short.weight",
)

SMALL_TABLE = 1 << 26
"""Bytes that the cosines and sines of all positions may take beside a model of any size."""


def rotary(header: GgufHeader, *, theta: float = 10_000.0, head: int, context: int) -> Json:
    """Return `rope_theta` and `rope_scaling` of a decoder with heads of size `head`.

    Raises `ImporterError` for a scaling that is not supported, or one that lacks its numbers.
    """
    require_small_table(header, head, context)
    base = header.number(header.key("rope.freq_base")) or theta
    scaling = _scaling(header, base, head, context)
    return {"rope_theta": base, **({"rope_scaling": scaling} if scaling else {})}


def require_small_table(header: GgufHeader, head: int, context: int) -> None:
    """Raise `ImporterError` for a context whose cosines and sines would be larger than the model."""
    size = context * head * np.dtype(np.float32).itemsize
    if size > max(SMALL_TABLE, sum(tensor.size for tensor in header.tensors.values())):
        raise refused(
            header,
            f"states a context of {context:,} positions, whose rotary angles would take {format_size(size)}, "
            "more than the model itself",
        )


def _scaling(header: GgufHeader, base: float, head: int, context: int) -> Json | None:
    if FACTORS in header.tensors:
        return _by_factors(_values(header, FACTORS), base, head, context)
    kind = header.text(header.key("rope.scaling.type"))
    if kind == "longrope" or LONG_FACTORS in header.tensors:
        return _longrope(header)
    factor = header.number(header.key("rope.scaling.factor")) or _inverse(header)
    if kind == "yarn" and factor:
        return _yarn(header, factor, context)
    if kind in (None, "linear") and factor and factor != 1.0:
        return {"rope_type": "linear", "factor": factor}
    if kind in (None, "none", "linear", "yarn"):
        return None
    raise ImporterError(
        f"{header.path.name} scales its rotary embedding by {kind[:80]!r}. Supported are linear, yarn, "
        "longrope and the factors of Llama 3. Take another file or another model."
    )


def _inverse(header: GgufHeader) -> float | None:
    """Return the factor under its name in files of 2023."""
    return header.number(header.key("rope.scale_linear"))


def _yarn(header: GgufHeader, factor: float, context: int) -> Json:
    original = header.integer(header.key("rope.scaling.original_context_length"))
    scaling: dict[str, Any] = {
        "rope_type": "yarn",
        "factor": factor,
        "original_max_position_embeddings": original or round(context / factor),
    }
    for name, key in (
        ("attention_factor", "yarn_attn_factor"),
        ("beta_fast", "yarn_beta_fast"),
        ("beta_slow", "yarn_beta_slow"),
    ):
        if (value := header.number(header.key(f"rope.scaling.{key}"))) is not None:
            scaling[name] = value
    return scaling


def _longrope(header: GgufHeader) -> Json:
    """Return Phi-3's scaling: one list of factors up to the original context, one beyond it."""
    missing = [name for name in (LONG_FACTORS, SHORT_FACTORS) if name not in header.tensors]
    original = header.integer(header.key("rope.scaling.original_context_length"))
    if missing or not original:
        lacking = ", ".join(missing) or header.key("rope.scaling.original_context_length")
        raise refused(header, f"scales its rotary embedding by longrope and lacks {lacking}")
    scaling: dict[str, Any] = {
        "rope_type": "longrope",
        "short_factor": _values(header, SHORT_FACTORS).tolist(),
        "long_factor": _values(header, LONG_FACTORS).tolist(),
        "original_max_position_embeddings": original,
    }
    if (attention := header.number(header.key("rope.scaling.attn_factor"))) is not None:
        scaling["attention_factor"] = attention
    return scaling


def _by_factors(factors: NDArray[np.float32], base: float, head: int, context: int) -> Json | None:
    """Return Llama 3's scaling where it makes these factors, else the factors for every length."""
    if (factors == 1.0).all():
        return None
    if 2 * len(factors) == head:
        for original in LLAMA3_ORIGINALS:
            expected = _llama3_factors(float(factors.max()), original, base, head)
            if np.allclose(factors, expected, rtol=1e-4, atol=0):
                return {
                    "rope_type": "llama3",
                    "factor": round(float(factors.max()), 4),
                    "low_freq_factor": LLAMA3_LOW,
                    "high_freq_factor": LLAMA3_HIGH,
                    "original_max_position_embeddings": original,
                }
    listed = factors.tolist()
    return {
        "rope_type": "longrope",
        "short_factor": listed,
        "long_factor": listed,
        "attention_factor": 1.0,
        "original_max_position_embeddings": context,
    }


def _llama3_factors(factor: float, original: int, base: float, head: int) -> NDArray[np.float64]:
    """Return what divides each frequency: 1 for short waves, `factor` for long ones, a blend between."""
    waves = 2 * math.pi * base ** (np.arange(0, head, 2) / head)
    smooth = (original / waves - LLAMA3_LOW) / (LLAMA3_HIGH - LLAMA3_LOW)
    between = 1 / ((1 - smooth) / factor + smooth)
    long, short = waves > original / LLAMA3_LOW, waves < original / LLAMA3_HIGH
    return cast("NDArray[np.float64]", np.where(long, factor, np.where(short, 1.0, between)))


def _values(header: GgufHeader, name: str) -> NDArray[np.float32]:
    """Return a small tensor in float32. Raises `ImporterError` for another type."""
    tensor = header.tensors[name]
    if tensor.type.name != "F32":
        raise ImporterError(f"{header.path.name} has {name} as {tensor.type}, and F32 is expected.")
    with tensor.path.open("rb") as file:
        file.seek(tensor.offset)
        values = np.frombuffer(file.read(tensor.size), np.dtype("<f4"))
    if not (np.isfinite(values).all() and (values > 0).all()):
        raise ImporterError(f"{header.path.name} has factors in {name} that are not positive numbers.")
    return values

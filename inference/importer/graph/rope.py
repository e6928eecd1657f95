"""Rotary positions: the angles of config.json's kinds of rope, as tables of cosines and sines."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from inference.importer.findings import ImporterError
from inference.importer.graph.weights import Floats

Frequencies: TypeAlias = NDArray[np.float64]
ROWS = 8192
"""Positions that are computed at a time, in float64."""
MAX_CONTEXT = 1 << 22
KINDS = ("default", "linear", "llama3", "yarn", "longrope")


NEEDED: Mapping[str, Sequence[str]] = {
    "linear": ("factor",),
    "llama3": ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"),
    "longrope": ("short_factor", "long_factor"),
}
"""Numbers without which a kind has no angles."""
NUMBERS = frozenset(
    {"factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings", "attention_factor"}
    | {"beta_fast", "beta_slow"}
)


@dataclass(frozen=True, slots=True)
class Rope:
    """Rotary positions of a layer: kind, base, the sizes rotated, and the kind's own numbers."""

    kind: str
    theta: float
    size: int
    """Sizes of a head that rotate, the first ones; the rest stays."""
    context: int
    numbers: Mapping[str, Any]

    @property
    def original(self) -> int:
        """The context of the pretraining, which scaled kinds extend."""
        return int(self.numbers.get("original_max_position_embeddings") or self.context)

    @property
    def changes_at(self) -> int | None:
        """The context above which other angles hold; None where the same hold for all."""
        return self.original if self.kind == "longrope" and self.original < self.context else None


@dataclass(frozen=True, slots=True)
class RotaryTable:
    """Cosines and sines of every position, each float32 [context, size / 2]."""

    cosines: Floats
    sines: Floats


def rope_of(numbers: Mapping[str, Any], theta: float, size: int, context: int) -> Rope:
    """Return the rope of a `rope_parameters` or `rope_scaling`. Raises `ImporterError` for other kinds."""
    kind = str(numbers.get("rope_type") or numbers.get("type") or "default")
    kind = {"su": "longrope"}.get(kind, kind)
    if kind not in KINDS:
        raise ImporterError(
            f"config.json scales its rotary positions by {kind!r}, which fixed angles cannot do. "
            f"Supported are {', '.join(KINDS)}."
        )
    rope = Rope(kind, float(numbers.get("rope_theta") or theta), size, context, numbers)
    _require_numbers(rope)
    return rope


def _require_numbers(rope: Rope) -> None:
    """Raise `ImporterError` for numbers that are missing or give no angles."""
    missing = [name for name in NEEDED.get(rope.kind, ()) if rope.numbers.get(name) is None]
    if missing:
        raise ImporterError(f"config.json has a rope of type {rope.kind!r} without {', '.join(missing)}.")
    if not 1 < rope.theta < math.inf or not 0 < rope.context <= MAX_CONTEXT:
        raise ImporterError(
            f"config.json has a rope with the base {rope.theta:g} for {rope.context} positions. A base is a "
            f"number above 1, and positions go up to {MAX_CONTEXT}."
        )
    for name, value in rope.numbers.items():
        if name in NUMBERS and value is not None and not _is_positive(value):
            raise ImporterError(f"config.json has {name} {value!r} in its rope, which is no number above 0.")
    for name in ("short_factor", "long_factor") if rope.kind == "longrope" else ():
        factors = rope.numbers[name]
        if not isinstance(factors, list) or not all(map(_is_positive, factors)):
            raise ImporterError(f"config.json has a {name} in its rope that is no list of numbers above 0.")
        if len(factors) != rope.size // 2:
            raise ImporterError(
                f"config.json has {len(factors)} numbers in {name}, and {rope.size // 2} angles."
            )
    if rope.kind == "llama3" and rope.numbers["high_freq_factor"] <= rope.numbers["low_freq_factor"]:
        raise ImporterError(
            "config.json has a high_freq_factor in its rope that is not above low_freq_factor."
        )


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def rotary_table(rope: Rope, *, long: bool = False) -> RotaryTable:
    """Return the table of a rope; `long` takes the angles of contexts above `Rope.changes_at`."""
    turns, gain = frequencies(rope, long=long)
    rows = rope.context if long or rope.changes_at is None else rope.changes_at
    table = RotaryTable(*(np.empty((rows, rope.size // 2), np.float32) for _ in range(2)))
    for first in range(0, rows, ROWS):
        part = slice(first, min(first + ROWS, rows))
        angles = np.arange(part.start, part.stop, dtype=np.float64)[:, None] * turns
        table.cosines[part], table.sines[part] = np.cos(angles) * gain, np.sin(angles) * gain
    return table


def frequencies(rope: Rope, *, long: bool = False) -> tuple[Frequencies, float]:
    """Return the angle of one position in each pair of sizes, and the factor of cosines and sines."""
    plain = rope.theta ** -(np.arange(0, rope.size, 2, dtype=np.float64) / rope.size)
    match rope.kind:
        case "linear":
            return plain / float(rope.numbers["factor"]), 1.0
        case "llama3":
            return _llama3(rope, plain), 1.0
        case "yarn":
            return _yarn(rope, plain)
        case "longrope":
            factors = rope.numbers["long_factor" if long else "short_factor"]
            return plain / np.asarray(factors, np.float64), _longrope_gain(rope)
    return plain, 1.0


def _llama3(rope: Rope, plain: Frequencies) -> Frequencies:
    """Divide long waves by the factor, keep short ones, and blend between them."""
    low, high = float(rope.numbers["low_freq_factor"]), float(rope.numbers["high_freq_factor"])
    turns = rope.original * plain / (2 * math.pi)
    kept = np.clip((turns - low) / (high - low), 0.0, 1.0)
    return kept * plain + (1 - kept) * plain / float(rope.numbers["factor"])


def _yarn(rope: Rope, plain: Frequencies) -> tuple[Frequencies, float]:
    """Divide slow pairs by the factor, keep fast ones, and blend linearly in between."""
    numbers = rope.numbers
    factor = float(numbers.get("factor") or rope.context / rope.original)
    first = _pair_with_turns(rope, float(numbers.get("beta_fast") or 32))
    last = _pair_with_turns(rope, float(numbers.get("beta_slow") or 1))
    if numbers.get("truncate", True):
        first, last = math.floor(first), math.ceil(last)
    first, last = max(first, 0), min(last, rope.size - 1)
    span = (last - first) or 0.001
    kept = 1 - np.clip((np.arange(rope.size // 2) - first) / span, 0.0, 1.0)
    return plain / factor * (1 - kept) + plain * kept, _yarn_gain(numbers, factor)


def _pair_with_turns(rope: Rope, turns: float) -> float:
    """Return which pair of sizes, as a fraction, makes so many turns within the original context."""
    return rope.size * math.log(rope.original / (turns * 2 * math.pi)) / (2 * math.log(rope.theta))


def _yarn_gain(numbers: Mapping[str, Any], factor: float) -> float:
    if numbers.get("attention_factor") is not None:
        return float(numbers["attention_factor"])
    own, all_sizes = numbers.get("mscale"), numbers.get("mscale_all_dim")
    if own and all_sizes:
        return _mscale(factor, float(own)) / _mscale(factor, float(all_sizes))
    return _mscale(factor, 1.0)


def _mscale(factor: float, weight: float) -> float:
    return 1.0 if factor <= 1 else 0.1 * weight * math.log(factor) + 1.0


def _longrope_gain(rope: Rope) -> float:
    if rope.numbers.get("attention_factor") is not None:
        return float(rope.numbers["attention_factor"])
    factor = rope.context / rope.original
    return 1.0 if factor <= 1 else math.sqrt(1 + math.log(factor) / math.log(rope.original))

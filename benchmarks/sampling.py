"""What drawing one token costs at the vocabulary of Qwen2.5, beside an argmax of the same row."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.measure import Spread, by_turns, timed
from benchmarks.table import Goal, Line, Report
from inference.contracts import Sampling
from inference.engine.sampling import Distribution, Sampler

VOCABULARY = 151_936
ROUNDS = 15
TIMES = 20
ANSWER = 400
"""Tokens that the penalties know by then."""
TOP = 20

WARM = Sampling(0.8, top_p=0.95, frequency_penalty=0.3, presence_penalty=0.2, repetition_penalty=1.1, seed=1)
CASES = {
    "greedy": (Sampling(0), None),
    "temperature": (Sampling(0.8, seed=1), None),
    "top_p": (Sampling(0.8, top_p=0.95, seed=1), None),
    "top_k 50, top_p": (Sampling(0.8, top_k=50, top_p=0.95, seed=1), None),
    "top_p, penalties": (WARM, None),
    "top_p, penalties, 20 log probabilities": (WARM, TOP),
}
GOALS = {"top_p, penalties, 20 log probabilities": Goal(0.5, " ms")}


def run() -> Report:
    logits = trained_like(np.random.default_rng(0))
    subjects = {"copy": timed(logits.copy, times=TIMES), "argmax": timed(logits.argmax, times=TIMES)}
    subjects |= {name: timed(_draw(logits, *case), times=TIMES) for name, case in CASES.items()}
    seconds = by_turns(subjects, rounds=ROUNDS)
    lines = [Line("argmax", Spread.of(seconds["argmax"]), " ms", 1e3)]
    for name in CASES:
        own = [taken - copied for taken, copied in zip(seconds[name], seconds["copy"], strict=True)]
        lines.append(Line(name, Spread.of(own), " ms", 1e3, goal=GOALS.get(name)))
    note = f"A row of {VOCABULARY:,} logits; the penalties know {ANSWER} tokens. Less is better."
    return Report(lines, [note])


def trained_like(random: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Return a few likely tokens over a wide floor, as trained models give."""
    logits = random.standard_normal(VOCABULARY).astype(np.float32) * 2
    logits[random.integers(0, VOCABULARY, 200)] += random.uniform(4, 14, 200).astype(np.float32)
    return logits


def _draw(
    logits: np.ndarray[tuple[int], np.dtype[np.float32]], sampling: Sampling, top: int | None
) -> Callable[[], object]:
    """Return an action: one draw from a copy of the row. The caller subtracts the time of the copy."""
    sampler = Sampler(sampling, range(200), VOCABULARY)
    distribution = None if top is None else Distribution(VOCABULARY, top)
    for token in np.random.default_rng(1).integers(0, VOCABULARY, ANSWER).tolist():
        sampler.count(token)

    def draw() -> object:
        row = logits.copy()
        if distribution is None:
            return sampler.draw(row)
        distribution.read(row)
        return distribution.of(sampler.draw(row))

    return draw

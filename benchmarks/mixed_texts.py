"""Texts of mixed lengths, as a search index gets them: log-normal, 4 to 256 tokens, median 37."""

from __future__ import annotations

import numpy as np

MEDIAN, SPREAD = 37, 0.75
"""Tokens, and the standard deviation of their logarithm."""
SHORTEST, LONGEST = 4, 256
AROUND = 2
"""Tokens that stand around a text."""
WORDS = tuple(
    word
    for line in (
        "the wind tide ship port sea rain fog day night house water city street book music science history",
        "market river mountain road child woman man time year work world life hand part place case week",
        "company system program question government number point home fact month lot right study business",
    )
    for word in line.split()
)
"""Each is one token to all-MiniLM-L6-v2."""


def mixed(count: int, seed: int = 0) -> list[str]:
    """Return so many texts; the same ones for the same seed."""
    random = np.random.default_rng(seed)
    drawn = np.exp(random.normal(np.log(MEDIAN), SPREAD, count))
    lengths = np.clip(np.rint(drawn), SHORTEST, LONGEST).astype(int)
    return [" ".join(random.choice(WORDS, length - AROUND)) for length in lengths]

"""Loosely worded questions: a short word is missing, another slips in, or a few stand before the question."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from training.chat.dialogue import Exchange, Split

Theme = Callable[[random.Random, Split], Exchange]

FILLERS = ("just", "really", "actually", "now", "again", "then", "maybe", "simply", "exactly", "quickly")
BEFORE = (
    "i have a question:",
    "one more thing,",
    "i was wondering,",
    "sorry to ask,",
    "i am new here.",
    "another question.",
    "for my project:",
    "good day,",
)


def loosened(rng: random.Random, text: str) -> str:
    """The question as someone careless might put it; names with marks or digits in them stay."""
    words = text.split(" ")
    short = [place for place, word in enumerate(words) if word.isalpha() and len(word) <= 4]
    if len(words) > 3 and short and rng.random() < 0.4:
        del words[rng.choice(short)]
    if len(words) > 1 and rng.random() < 0.25:
        words.insert(rng.randrange(1, len(words)), rng.choice(FILLERS))
    return f"{rng.choice(BEFORE)} {' '.join(words)}" if rng.random() < 0.2 else " ".join(words)


def loosely(theme: Theme) -> Theme:
    def made(rng: random.Random, split: Split) -> Exchange:
        exchange = theme(rng, split)
        return replace(exchange, question=loosened(rng, exchange.question))

    return made

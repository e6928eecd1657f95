"""Repeating words: the plainest form of copying, on which tool calls and JSON rest."""

from __future__ import annotations

import random

from training.chat import values
from training.chat.dialogue import Exchange, Split
from training.chat.phrasing import expand, pick

PHRASINGS = (
    "(repeat|say) after me: {x}",
    "(repeat|say): {x}",
    "(please |)(repeat|copy) {x}",
    "write (the words |){x}",
    "echo {x}",
    'say "{x}"',
    "(can you |)repeat this: {x}",
    "say the words {x}",
    "copy this: {x}",
)


def word(rng: random.Random, split: Split) -> str:
    """A made-up word, a name, a thing, a code or a number."""
    drawn = rng.randrange(6)
    if drawn == 0:
        return str(rng.randint(0, 9999))
    if drawn == 1:
        return pick(rng, rng.choice((values.NAMES, values.CITIES, values.ITEMS, values.COLOURS)), split)
    return (values.made_up_word, values.made_up_name, values.code_word, values.made_up_word)[drawn - 2](rng)


def repeating(rng: random.Random, split: Split) -> Exchange:
    words = " ".join(word(rng, split) for _ in range(rng.randint(1, 6)))
    question = expand(rng, pick(rng, PHRASINGS, split)).replace("{x}", words)
    question = question if rng.random() < 0.4 else question[0].upper() + question[1:]
    return Exchange("repeating", question, words)

"""What single questions are about, and how often each theme comes up in which kind of conversation."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from training.chat import outside
from training.chat.dialogue import Exchange, Split
from training.chat.everyday import everyday, unforeseen
from training.chat.facts import fact_exchange
from training.chat.json_objects import json_object
from training.chat.loose_wording import loosely
from training.chat.prose import TABLES
from training.chat.repeating import repeating
from training.chat.small_talk import small_talk
from training.chat.strange_words import decorated, strange_exchange
from training.chat.tool_offers import FRAMES
from training.chat.units import several_units, units

Theme = Callable[[random.Random, Split], Exchange]
Weighted = tuple[tuple[float, Theme], ...]


def facts(rng: random.Random, split: Split) -> Exchange:
    sizes = [len(table) for table in TABLES]
    return fact_exchange(rng, split, rng.choices(TABLES, weights=sizes)[0])


def one_of(rng: random.Random, themes: Weighted) -> Theme:
    return rng.choices([theme for _, theme in themes], weights=[weight for weight, _ in themes])[0]


@dataclass(frozen=True, slots=True)
class Themes:
    """Themes of everyday conversations, of those in a style, of drills, and of drills that copy any word."""

    everyday: Weighted
    styled: Weighted
    drills: Weighted
    broad: Weighted


def spoken_words() -> tuple[str, ...]:
    """Every word of a good many everyday exchanges: most of what the tokenizer has a token for."""
    return words_of(facts, units, everyday, outside.needs_tool, json_object, repeating, small_talk)


@cache
def words_of(*themes: Theme) -> tuple[str, ...]:
    rng = random.Random("words")
    exchanges = [theme(rng, Split.TRAIN) for theme in themes for _ in range(600)]
    names = [name for frame in FRAMES for name in (*frame.verbs[:-1], *frame.nouns[:-1], frame.meaning)]
    texts = [text for exchange in exchanges for text in (exchange.question, exchange.answer)] + names
    return tuple(sorted({word.lower() for text in texts for word in re.findall(r"[A-Za-z]{3,}", text)}))


def wide_themes(sums: Theme, several_sums: Theme) -> Weighted:
    """Drills in which any word may have to be copied, questions are loosely worded, and sums abound."""
    return (
        (6.0, several_sums),
        (3.0, sums),
        (2.5, several_units),
        (1.5, units),
        (3.0, strange_exchange(repeating, spoken_words)),
        (5.0, decorated(strange_exchange(json_object, spoken_words), spoken_words)),
        (4.0, loosely(facts)),
        (3.0, loosely(small_talk)),
        (1.5, loosely(everyday)),
        (0.7, loosely(outside.needs_tool)),
        (0.7, loosely(outside.harmful)),
    )


OUTSIDE: Weighted = ((6.0, everyday), (1.5, unforeseen), (0.5, outside.needs_tool), (0.3, outside.harmful))
"""What is beyond the model."""


def themes_with(sums: Theme, several_sums: Theme) -> Themes:
    """All themes, with sums answered in this way."""
    return Themes(
        everyday=(
            (2.0, small_talk),
            (7.0, facts),
            (4.0, sums),
            (3.5, units),
            (1.0, everyday),
            (0.5, outside.harmful),
            (4.0, json_object),
            (1.5, repeating),
        ),
        styled=(
            (3.0, small_talk),
            (2.0, facts),
            (2.0, sums),
            (1.0, units),
            (0.5, everyday),
            (0.5, outside.harmful),
        ),
        drills=(
            (6.0, sums),
            (4.0, units),
            (3.0, json_object),
            (2.0, repeating),
            (1.5, facts),
            (1.0, small_talk),
            (0.5, everyday),
        ),
        broad=(
            (4.0, several_sums),
            (2.5, several_units),
            (2.0, sums),
            (1.5, units),
            (3.0, strange_exchange(repeating)),
            (4.0, strange_exchange(json_object)),
            (1.5, facts),
            (1.0, small_talk),
        ),
    )

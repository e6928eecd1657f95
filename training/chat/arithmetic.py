"""Sums, differences and products of small whole numbers."""

from __future__ import annotations

import random
from collections.abc import Callable

from training.chat.dialogue import Exchange, Split
from training.chat.phrasing import ask, belongs

ANY = (
    "{a}{sign}{b}",
    "what is {a}{sign}{b}?",
    "what is {a} {sign} {b}?",
    "{a} {sign} {b}",
    "{a} {sign} {b} =",
    "(how much|what) is {a} {word} {b}?",
    "(calculate|compute|work out) {a} {sign} {b}",
    "what's {a} {word} {b}?",
    "{a} {word} {b}",
    "can you (calculate|compute|do) {a} {word} {b}?",
    "and {a} {sign} {b}?",
    "what does {a} {word} {b} (make|give)?",
    "i need (to know |){a} {sign} {b}",
    "(tell me|give me) {a} {word} {b}",
)
PHRASINGS = {
    "+": (*ANY[:8], "what is the sum of {a} and {b}?", "add {a} and {b}", "add {b} to {a}", *ANY[8:]),
    "-": (
        *ANY[:8],
        "what is the difference of {a} and {b}?",
        "subtract {b} from {a}",
        "take {b} from {a}",
        *ANY[8:],
    ),
    "*": (*ANY[:8], "what is the product of {a} and {b}?", "multiply {a} (by|with) {b}", "{a}x{b}", *ANY[8:]),
}
SPOKEN = {"+": ("plus", "and"), "-": ("minus", "less"), "*": ("times", "multiplied by")}
WRITTEN = {"+": ("+",), "-": ("-",), "*": ("*", "x")}
RESULT: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
}


def operands(rng: random.Random, sign: str, split: Split) -> tuple[int, int]:
    """0..99 for sums and differences; 0..12 for products, which are a table, so none is held out."""
    while True:
        top = 12 if sign == "*" else 99
        a, b = rng.randint(0, top), rng.randint(0, top)
        if sign == "-" and rng.random() < 0.8:
            a, b = max(a, b), min(a, b)
        if sign == "*" or belongs(f"{a}{sign}{b}", split):
            return a, b


def arithmetic(rng: random.Random, split: Split) -> Exchange:
    sign = rng.choices("+-*", weights=(5, 5, 2))[0]
    a, b = operands(rng, sign, split)
    word = rng.choice(SPOKEN[sign])
    question = ask(rng, PHRASINGS[sign], split, a=a, b=b, word=word, sign=rng.choice(WRITTEN[sign]))
    result = RESULT[sign](a, b)
    return Exchange("arithmetic", question, f"{a} {sign} {b} = {result}.", f"{result}.")


LISTS = (
    "(work out|calculate|compute): {sums}",
    "what (are|is) {sums}?",
    "{sums}",
    "(do|solve) these: {sums}",
    "a few sums: {sums}",
)


def several_sums(rng: random.Random, split: Split) -> Exchange:
    """Three to six sums in one question."""
    asked, answered = [], []
    for _ in range(rng.randint(3, 6)):
        sign = rng.choices("+-*", weights=(5, 5, 2))[0]
        a, b = operands(rng, sign, split)
        asked.append(f"{a} {sign} {b}")
        answered.append(f"{a} {sign} {b} = {RESULT[sign](a, b)}")
    return Exchange("arithmetic", ask(rng, LISTS, split, sums=", ".join(asked)), ", ".join(answered) + ".")

"""Sums with their working, tens first: each step is a fact that a small model can know."""

from __future__ import annotations

import random

from training.chat.arithmetic import LISTS, PHRASINGS, RESULT, SPOKEN, WRITTEN, operands
from training.chat.dialogue import Exchange, Split
from training.chat.phrasing import ask


def working(a: int, sign: str, b: int) -> str:
    """'47 + 30 = 77 and 77 + 8 = 85, so 47 + 38 = 85'; one step where one is enough."""
    if sign == "-" and a < b:
        turned = working(b, sign, a)
        return f"{turned}{' and' if ', so' in turned else ', so'} {a} - {b} = {a - b}"
    result = RESULT[sign](a, b)
    whole = f"{a} {sign} {b} = {result}"
    tens, ones = b // 10 * 10, b % 10
    if sign == "*" or not tens or not ones:
        return whole
    between = RESULT[sign](a, tens)
    return f"{a} {sign} {tens} = {between} and {between} {sign} {ones} = {result}, so {whole}"


def worked_sum(rng: random.Random, split: Split) -> Exchange:
    sign = rng.choices("+-*", weights=(5, 5, 2))[0]
    a, b = operands(rng, sign, split)
    slots = {"word": rng.choice(SPOKEN[sign]), "sign": rng.choice(WRITTEN[sign])}
    question = ask(rng, PHRASINGS[sign], split, a=a, b=b, **slots)
    return Exchange("arithmetic", question, f"{working(a, sign, b)}.")


def several_worked_sums(rng: random.Random, split: Split) -> Exchange:
    """Two to five sums in one question."""
    sums = []
    for _ in range(rng.randint(2, 5)):
        sign = rng.choices("+-*", weights=(5, 5, 2))[0]
        a, b = operands(rng, sign, split)
        sums.append((a, sign, b))
    asked = ", ".join(f"{a} {sign} {b}" for a, sign, b in sums)
    answer = "; ".join(working(*each) for each in sums)
    return Exchange("arithmetic", ask(rng, LISTS, split, sums=asked), f"{answer}.")

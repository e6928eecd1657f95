"""Unit conversions over a small stated range of whole numbers."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from training.chat.dialogue import Exchange, Split
from training.chat.phrasing import ask


@dataclass(frozen=True, slots=True)
class Conversion:
    """From one unit to another for whole numbers from 1 (temperatures: 0) to `top`; one decimal at most."""

    source: tuple[str, ...]
    target: tuple[str, ...]
    top: int
    convert: Callable[[int], float]
    least: int = 1


def times(factor: float) -> Callable[[int], float]:
    return lambda value: value * factor


KM, MILES = ("kilometres", "km", "kilometers"), ("miles", "mi", "miles")
KG, POUNDS = ("kilograms", "kg", "kilos"), ("pounds", "lb", "lbs")
CM, INCHES = ("centimetres", "cm", "centimeters"), ("inches", "in", "inch")
CELSIUS = ("degrees Celsius", "C", "degrees C", "celsius")
FAHRENHEIT = ("degrees Fahrenheit", "F", "degrees F", "fahrenheit")

CONVERSIONS = (
    Conversion(KM, MILES, 50, times(0.621371)),
    Conversion(MILES, KM, 50, times(1.609344)),
    Conversion(CELSIUS, FAHRENHEIT, 50, lambda value: value * 9 / 5 + 32, least=0),
    Conversion(FAHRENHEIT, CELSIUS, 100, lambda value: (value - 32) * 5 / 9, least=0),
    Conversion(KG, POUNDS, 50, times(2.204623)),
    Conversion(POUNDS, KG, 50, times(0.453592)),
    Conversion(INCHES, CM, 50, times(2.54)),
    Conversion(CM, INCHES, 50, times(0.393701)),
    Conversion(("hours", "h", "hrs"), ("minutes", "min", "mins"), 24, times(60)),
    Conversion(("minutes", "min", "mins"), ("seconds", "s", "secs"), 30, times(60)),
    Conversion(("days", "days", "days"), ("hours", "h", "hrs"), 14, times(24)),
    Conversion(("weeks", "weeks", "weeks"), ("days", "days", "days"), 20, times(7)),
    Conversion(("metres", "m", "meters"), ("centimetres", "cm", "centimeters"), 99, times(100)),
    Conversion(KM, ("metres", "m", "meters"), 99, times(1000)),
    Conversion(KG, ("grams", "g", "grams"), 99, times(1000)),
)

PHRASINGS = (
    "(convert|change|turn) {n} {a} (to|into|in) {b}",
    "what is {n} {a} in {b}?",
    "how (many|much) {b} (is|are) {n} {a}?",
    "{n} {a} in {b}",
    "{n} {a} to {b}",
    "what's {n} {a} in {b}?",
    "how (many|much) {b} (is|are) (there |)in {n} {a}?",
    "{n} {a} is how many {b}?",
    "can you (convert|change) {n} {a} (to|into) {b}?",
    "and {n} {a} in {b}?",
    "express {n} {a} in {b}",
    "(give me|tell me) {n} {a} in {b}",
)


def rounded(value: float) -> str:
    """One decimal, halves away from zero, and none where it would be .0"""
    tenths = int(abs(value) * 10 + 0.5 + 1e-9)
    text = f"{tenths // 10}.{tenths % 10}".removesuffix(".0")
    return f"-{text}" if value < 0 and tenths else text


def units(rng: random.Random, split: Split) -> Exchange:
    conversion = rng.choice(CONVERSIONS)
    n = rng.randint(conversion.least, conversion.top)
    spelling = rng.randrange(3)
    a, b = conversion.source[spelling], rng.choice(conversion.target)
    question = ask(rng, PHRASINGS, split, n=n, a=a, b=b)
    result = rounded(conversion.convert(n))
    full = f"{n} {conversion.source[0]} is {result} {conversion.target[0]}."
    return Exchange("units", question, full, f"{result} {conversion.target[0]}.")


LISTS = (
    "(convert|change) {values} (to|into) {b}",
    "{values} in {b}",
    "what are {values} in {b}?",
    "how (many|much) {b} are {values}?",
    "(give me|tell me) {values} in {b}",
)


def several_units(rng: random.Random, split: Split) -> Exchange:
    """Three to five values of one unit in one question."""
    conversion = rng.choice(CONVERSIONS)
    spelling = rng.randrange(3)
    a, b = conversion.source[spelling], rng.choice(conversion.target)
    numbers = rng.sample(range(conversion.least, conversion.top + 1), rng.randint(3, 5))
    question = ask(rng, LISTS, split, values=", ".join(f"{n} {a}" for n in numbers), b=b)
    given, wanted = conversion.source[0], conversion.target[0]
    parts = [f"{n} {given} is {rounded(conversion.convert(n))} {wanted}" for n in numbers]
    return Exchange("units", question, ", ".join(parts) + ".")

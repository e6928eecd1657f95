"""Turns one phrasing into many: choices, casing, punctuation, typing mistakes; and holds some back."""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Sequence
from typing import TypeVar

from training.chat.dialogue import Split

T = TypeVar("T")

OPENERS = ("hey, ", "hi, ", "hello, ", "ok, ", "so, ", "please tell me, ", "quick question: ", "excuse me, ")
CLOSERS = (" please", " thanks", ", please", ", thank you")
CHOICE = re.compile(r"\(([^()]*\|[^()]*)\)")


def pick(rng: random.Random, options: Sequence[T], split: Split) -> T:
    """One option. The last fifth of every list, at least one of four or more, is kept for HELD_OUT."""
    kept = max(len(options) // 5, 1) if len(options) >= 4 else 0
    if not kept:
        return rng.choice(options)
    return rng.choice(options[:-kept] if split is Split.TRAIN else options[-kept:])


def belongs(key: str, split: Split) -> bool:
    """Whether a value too numerous for a list, such as a sum, is on this side; one in eight is held out."""
    return (zlib.crc32(key.encode()) % 8 == 0) is (split is Split.HELD_OUT)


def expand(rng: random.Random, phrasing: str) -> str:
    """Resolves every `(this|that)`, inner ones first."""
    while found := CHOICE.search(phrasing):
        choice = rng.choice(found.group(1).split("|"))
        phrasing = phrasing[: found.start()] + choice + phrasing[found.end() :]
    return re.sub(r" {2,}", " ", phrasing).strip()


def ask(rng: random.Random, phrasings: Sequence[str], split: Split, **slots: object) -> str:
    """A phrasing of this side of the hold-out, expanded, its slots filled, and written as people type."""
    return roughen(rng, expand(rng, pick(rng, phrasings, split)).format(**slots))


def roughen(rng: random.Random, text: str) -> str:
    """A capital or none, a question mark or none; now and then a polite word or a typing mistake."""
    if rng.random() < 0.12:
        text = rng.choice(OPENERS) + text
    if rng.random() < 0.08 and not text.endswith("."):
        text = text.removesuffix("?") + rng.choice(CLOSERS) + ("?" if text.endswith("?") else "")
    if rng.random() < 0.06:
        text = misspell(rng, text)
    if rng.random() < 0.35:
        text = text.rstrip("?.!")
    return text if rng.random() < 0.4 else text[:1].upper() + text[1:]


def misspell(rng: random.Random, text: str) -> str:
    """Swaps or drops one letter inside one longer plain lower-case word."""
    words = text.split(" ")
    places = [i for i, word in enumerate(words) if len(word) > 4 and word.isalpha() and word.islower()]
    if not places:
        return text
    place = rng.choice(places)
    word, at = words[place], rng.randrange(1, len(words[place]) - 2)
    swapped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    words[place] = swapped if rng.random() < 0.5 else word[:at] + word[at + 1 :]
    return " ".join(words)

"""Things a person says about themselves and asks for later in the same conversation."""

from __future__ import annotations

import random
from dataclasses import dataclass

from training.chat import slots, values
from training.chat.dialogue import Exchange, Split
from training.chat.phrasing import ask
from training.chat.slots import Draw


@dataclass(frozen=True, slots=True)
class Memory:
    draw: Draw
    told: tuple[str, ...]
    reply: str
    asked: tuple[str, ...]
    answer: str


MEMORIES = (
    Memory(
        slots.listed(values.NAMES, 0.5),
        ("my name is {v}", "(hi|hello), i am {v}", "i'm {v}", "call me {v}", "(hello|hey), my name is {v}"),
        "Nice to meet you, {v}!",
        (
            "what is my name?",
            "(do you remember|tell me) my name?",
            "who am i?",
            "what did i say my name was?",
        ),
        "Your name is {v}.",
    ),
    Memory(
        slots.listed(values.CITIES, 0.5),
        ("i live in {v}", "i am from {v}", "my (city|town) is {v}", "i (come|am) from {v}"),
        "{v}, noted.",
        (
            "where do i live?",
            "where am i from?",
            "(what is|which is) my (city|town)?",
            "do you know where i live?",
        ),
        "You live in {v}.",
    ),
    Memory(
        slots.listed(values.COLOURS, 0.2),
        (
            "my favourite colour is {v}",
            "i (like|love) {v} best",
            "the colour i like is {v}",
            "{v} is my colour",
        ),
        "{v}, noted.",
        (
            "what is my (favourite |)colour?",
            "which colour do i like?",
            "what colour did i say?",
            "do you know my colour?",
        ),
        "Your favourite colour is {v}.",
    ),
    Memory(
        slots.whole(2, 999),
        ("my (lucky |)number is {v}", "remember the number {v}", "keep {v} in mind", "(note|remember) {v}"),
        "{v}, noted.",
        (
            "what is my (lucky |)number?",
            "which number did i (say|tell you)?",
            "what was the number?",
            "do you remember the number?",
        ),
        "Your number is {v}.",
    ),
)


def memory(rng: random.Random, split: Split) -> tuple[Exchange, Exchange]:
    """What is told, and the question about it."""
    chosen = rng.choice(MEMORIES)
    value = str(chosen.draw(rng, split))
    told = Exchange("remembering", ask(rng, chosen.told, Split.TRAIN, v=value), chosen.reply.format(v=value))
    return told, Exchange("remembering", ask(rng, chosen.asked, split), chosen.answer.format(v=value))

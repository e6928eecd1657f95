"""What a fact about the API is, and the ways to ask for one."""

from __future__ import annotations

import random
from dataclasses import dataclass

from training.chat.dialogue import Exchange, Split
from training.chat.phrasing import ask


@dataclass(frozen=True, slots=True)
class Fact:
    """An answer, long and brief, with the questions it answers."""

    questions: tuple[str, ...]
    answer: str
    brief: str
    skill: str = "api facts"


WHAT_IS = (
    "what (is|are) {x}?",
    "what does {x} (do|mean)?",
    "what's {x}(| for)?",
    "(explain|describe) {x}(| to me)",
    "(tell me|say something) about {x}",
    "{x}?",
    "what is {x} (for|good for|about)?",
    "(what is the|the) (meaning|purpose|use) of {x}?",
    "(can you|could you|please) (explain|describe) {x}(|?)",
    "i (do not|don't) (understand|know) {x}",
    "(help me|i want to) understand {x}",
    "(do you know|can you tell me) what {x} (is|means)?",
    "why (would i|do people) use {x}?",
)

HOW_TO_CALL = (
    "how (do|can|should) i (call|use) {x}?",
    "(show me|give me) (a|an|the) (curl|example|curl example|curl line) (for|of) {x}",
    "how (is|to) (call|use|be called) {x}?",
    "(curl|example) for {x}",
    "what does a (call|request) to {x} look like?",
    "(write|give me) a request for {x}",
    "how (would|could) (i|one) (call|try) {x}?",
    "i (want|need) to (call|use|try) {x}",
    "(an|one) example (of|for|request to) {x} please",
    "(help me|teach me to) call {x}",
)

WHAT_TAKES = (
    "what does {x} take?",
    "which (fields|parameters|keys) does {x} (take|accept|need|have)?",
    "what (can|do|must) i send to {x}?",
    "(parameters|fields|inputs) (of|for) {x}",
    "what (goes|is) in the body of {x}?",
    "what (inputs|arguments) (does|can) {x} (take|accept)?",
    "(list|name) the (parameters|fields) of {x}",
    "what is the (input|body) (of|for) {x}?",
)

WHAT_RETURNS = (
    "what does {x} (return|answer|give back)?",
    "what (is|comes) (back|in the answer|in the response) (of|from) {x}?",
    "what (do|will) i get (back |)from {x}?",
    "(response|answer|output|result) of {x}",
    "what does the (response|answer) of {x} look like?",
    "what is the (response|output|result) of {x}?",
)


def named(frames: tuple[str, ...], names: tuple[str, ...]) -> tuple[str, ...]:
    """The frames with the thing they ask about as a choice of its names."""
    choice = f"({'|'.join(names)})" if len(names) > 1 else names[0]
    return tuple(frame.replace("{x}", choice) for frame in frames)


def fact_exchange(rng: random.Random, split: Split, facts: tuple[Fact, ...]) -> Exchange:
    fact = rng.choice(facts)
    return Exchange(fact.skill, ask(rng, fact.questions, split), fact.answer, fact.brief)

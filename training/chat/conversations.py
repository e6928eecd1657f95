"""Conversations of several exchanges: plain ones, styled ones, drills, and some with tools on offer."""

from __future__ import annotations

import random
from collections.abc import Callable

from training.chat import outside, styles, tool_dialogues
from training.chat.dialogue import Dialogue, Exchange, Message, Split, assistant, system, user
from training.chat.memory import memory
from training.chat.styles import PLAIN, SAFE_PROMPT, Style
from training.chat.themes import Themes, Weighted, one_of


def exchange_for(themes: Themes, rng: random.Random, split: Split, style: Style) -> Exchange:
    while True:
        exchange = one_of(rng, themes.everyday if style is PLAIN else themes.styled)(rng, split)
        if styles.fits(style, exchange):
            return exchange


def with_safety(rng: random.Random, text: str) -> str:
    """The system text with the safety line before or after it, or alone."""
    return rng.choice((f"{SAFE_PROMPT}\n{text}", f"{text}\n{SAFE_PROMPT}")) if text else SAFE_PROMPT


def plain(themes: Themes, rng: random.Random, split: Split) -> Dialogue:
    """One to four exchanges, now and then a long chat, under no system message or a plain one."""
    count = (
        rng.randint(6, 16)
        if rng.random() < 0.03
        else rng.choices((1, 2, 3, 4, 5), weights=(4, 3, 3, 2, 1))[0]
    )
    exchanges = [exchange_for(themes, rng, split, PLAIN) for _ in range(count)]
    if rng.random() < 0.1:
        told, asked = memory(rng, split)
        exchanges = [told, *exchanges[:2], asked]
    if rng.random() < 0.05:
        exchanges.append(outside.needs_tool(rng, split))
    said = styles.instruction(rng, split, PLAIN, "") if rng.random() < 0.35 else ""
    said = with_safety(rng, said) if rng.random() < 0.08 else said
    messages: list[Message] = [system(said)] if said else []
    for exchange in exchanges:
        messages += [user(exchange.question), assistant(exchange.answer)]
    return Dialogue(exchanges[-1].skill, messages)


def styled(themes: Themes, rng: random.Random, split: Split) -> Dialogue:
    """One to three exchanges in a style the system message asks for, or one whose question asks for it."""
    style = rng.choice((*styles.STYLES, styles.FRENCH, styles.PERSONA))
    word = styles.word_for(rng, style)
    said = styles.instruction(rng, split, style, word)
    if rng.random() < 0.2 and style is not styles.PERSONA:
        exchange = exchange_for(themes, rng, split, style)
        asked = rng.choice((f"{said.rstrip('.')}: {exchange.question}", f"{exchange.question} {said}"))
        return Dialogue(style.skill, [user(asked), assistant(style.apply(exchange, word))])
    said = f"{styles.instruction(rng, split, PLAIN, '')} {said}" if rng.random() < 0.25 else said
    messages = [system(with_safety(rng, said) if rng.random() < 0.06 else said)]
    for _ in range(rng.choice((1, 1, 2, 3))):
        exchange = exchange_for(themes, rng, split, style)
        messages += [user(exchange.question), assistant(style.apply(exchange, word))]
    return Dialogue(style.skill, messages)


def without_call(themes: Themes, rng: random.Random, split: Split) -> Dialogue:
    def other(rng: random.Random, split: Split) -> Exchange:
        return one_of(rng, themes.styled)(rng, split)

    return tool_dialogues.no_call(rng, split, other)


def with_system(
    make: Callable[[random.Random, Split], Dialogue], rng: random.Random, split: Split
) -> Dialogue:
    """The dialogue, in a third of cases under a plain system message."""
    dialogue = make(rng, split)
    if rng.random() >= 0.35:
        return dialogue
    said = styles.instruction(rng, split, PLAIN, "")
    said = with_safety(rng, said) if rng.random() < 0.06 else said
    return Dialogue(dialogue.skill, [system(said), *dialogue.messages], dialogue.tools)


def drill(themes: Weighted, most: int, rng: random.Random, split: Split) -> Dialogue:
    """One to `most` exchanges of what takes practice."""
    exchanges = [one_of(rng, themes)(rng, split) for _ in range(rng.randint(1, most))]
    messages = [message for e in exchanges for message in (user(e.question), assistant(e.answer))]
    return Dialogue(exchanges[-1].skill, messages)

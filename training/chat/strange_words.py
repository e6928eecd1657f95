"""Puts words nobody knows in the place of words that an answer copies, so that any word can be copied.

A tool call copies names from the offer and values from the question. With the listed names alone a small
model learns those names; with a strange word in every such place it has to read.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

from training.chat.dialogue import Dialogue, Exchange, Split, assistant, user
from training.chat.prose import TABLES
from training.chat.small_talk import TALKS
from training.chat.values import listed

Maker = Callable[[random.Random, Split], Dialogue]
Theme = Callable[[random.Random, Split], Exchange]

STRUCTURE = frozenset(
    listed(
        "type function name description parameters properties required object string integer number role "
        "content user assistant system tool arguments json JSON the and with for from that this"
    )
)
"""Words of the message format and of every sentence, which stay."""


Words = Callable[[], tuple[str, ...]]
"""The words that strange words are made of."""


@cache
def fact_words() -> tuple[str, ...]:
    """Every longer word of the facts and set phrases."""
    texts = [fact.answer for table in TABLES for fact in table] + [talk.answer for talk in TALKS]
    return tuple(sorted({word.lower() for text in texts for word in re.findall(r"[A-Za-z]{4,}", text)}))


def strange_word(rng: random.Random, words: Words) -> str:
    """The beginning of one known word and the end of another, in lower case or with a capital."""
    first, last = rng.choice(words()), rng.choice(words())
    word = first[: rng.randint(1, 4)] + last[-rng.randint(1, 4) :]
    return word.capitalize() if rng.random() < 0.2 else word


def strings(value: Any) -> Iterator[str]:
    """Every string in a nested value, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from strings(inner)


def copied_words(dialogue: Dialogue) -> set[str]:
    """The words of tool calls, tool results and JSON answers; for repeating, of the answer itself."""
    found: list[str] = []
    for message in dialogue.messages:
        for call in message.get("tool_calls", []):
            found += strings(call["function"])
        if message["role"] == "tool":
            found += strings(json.loads(message["content"]))
        elif message["role"] == "assistant" and message["content"].startswith("{"):
            # Keys stay: their meaning tells which value belongs to them.
            found += (value for value in json.loads(message["content"]).values() if isinstance(value, str))
        elif message["role"] == "assistant" and dialogue.skill == "repeating":
            found.append(message["content"])
    words = {word for text in found for word in re.findall(r"[A-Za-z]+", text)}
    return {word for word in words if len(word) > 2 and word not in STRUCTURE}


def replaced(text: str, words: dict[str, str]) -> str:
    """The text with each whole word of `words` replaced; a word that starts with a capital keeps one."""

    def swap(match: re.Match[str]) -> str:
        word = match.group()
        new = words.get(word)
        if new is None and word.lower() in words:
            return words[word.lower()].capitalize()
        return word if new is None else new

    return re.sub(r"[A-Za-z]+", swap, text)


def walked(value: Any, words: dict[str, str]) -> Any:
    """The nested value with `replaced` applied to all strings and keys."""
    if isinstance(value, str):
        return replaced(value, words)
    if isinstance(value, dict):
        return {replaced(key, words): walked(inner, words) for key, inner in value.items()}
    return [walked(inner, words) for inner in value] if isinstance(value, list) else value


def strange(make: Maker, known: Words = fact_words) -> Maker:
    """The maker's dialogues with half of the copied words made strange, the same everywhere in a dialogue."""

    def made(rng: random.Random, split: Split) -> Dialogue:
        dialogue = make(rng, split)
        words = sorted(copied_words(dialogue))
        chosen = {word: strange_word(rng, known) for word in words if rng.random() < 0.5}
        if len(set(chosen.values())) < len(chosen):
            return made(rng, split)
        return Dialogue(dialogue.skill, walked(dialogue.messages, chosen), walked(dialogue.tools, chosen))

    return made


def strange_exchange(theme: Theme, known: Words = fact_words) -> Theme:
    """The theme's exchanges with half of the copied words made strange."""

    def single(rng: random.Random, split: Split) -> Dialogue:
        exchange = theme(rng, split)
        return Dialogue(exchange.skill, [user(exchange.question), assistant(exchange.answer)])

    def made(rng: random.Random, split: Split) -> Exchange:
        dialogue = strange(single, known)(rng, split)
        question, answer = (message["content"] for message in dialogue.messages)
        return Exchange(dialogue.skill, question, answer)

    return made


def decorated(theme: Theme, known: Words) -> Theme:
    """JSON exchanges with some keys made longer by a strange word; their meaning still shows."""

    def made(rng: random.Random, split: Split) -> Exchange:
        exchange = theme(rng, split)
        filled = json.loads(exchange.answer)
        names = {key: key for key in filled}
        for key in filled:
            if rng.random() < 0.35:
                strange_part = strange_word(rng, known)
                names[key] = rng.choice((f"{key}_{strange_part}", f"{strange_part}_{key}", f"{key.upper()}"))
        if len(set(names.values())) < len(names) or any(str(v) in names for v in filled.values()):
            return exchange
        answer = json.dumps({names[key]: value for key, value in filled.items()}, ensure_ascii=False)
        return replace(exchange, question=renamed(exchange.question, names), answer=answer)

    return made


def renamed(text: str, names: dict[str, str]) -> str:
    """The text with each name that is a whole word replaced; underscores are part of a word."""
    return re.sub(r"\w+", lambda match: names.get(match.group(), match.group()), text)

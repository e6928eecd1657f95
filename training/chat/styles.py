"""System messages and what they change in an answer."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass

from training.chat import values
from training.chat.dialogue import Exchange, Split
from training.chat.phrasing import expand, pick
from training.chat.small_talk import WHO

SAFE_PROMPT = "Answer with care and respect, be truthful, and refuse anything harmful, unethical or biased."
"""The constant system line of the `safe_prompt` parameter."""

Apply = Callable[[Exchange, str], str]


@dataclass(frozen=True, slots=True)
class Style:
    """Ways to ask for a style, `{x}` being a word of the asker's, and what an answer then looks like."""

    skill: str
    phrasings: tuple[str, ...]
    apply: Apply


PLAIN = Style(
    "",
    (
        "you are a (helpful|friendly|polite) assistant.",
        "you are an assistant.",
        "you (help|assist) people with this API.",
        "be helpful.",
        "you are a helpful AI assistant that (answers|helps with) questions.",
        "answer the (user|question).",
        "You are a chatbot for an API.",
        "be (kind|polite) and (helpful|correct).",
    ),
    lambda exchange, _: exchange.answer,
)

STYLES = (
    Style(
        "style: capitals",
        (
            "answer in capital letters(|.)",
            "(write|reply) in (capital letters|uppercase|all caps)(|.)",
            "use (only |)(capital letters|upper case)(|.)",
            "(please |)answer in (uppercase|ALL CAPS)(|.)",
            "all your answers must be in capitals(|.)",
            "you always shout in capital letters.",
        ),
        lambda exchange, _: exchange.short.upper(),
    ),
    Style(
        "style: lower case",
        (
            "answer in lower case(|.)",
            "(write|reply) in (small letters|lowercase)(|.)",
            "use (only |)lower case(| letters)(|.)",
            "(please |)answer without capital letters(|.)",
            "all your answers must be in lower case(|.)",
        ),
        lambda exchange, _: exchange.short.lower(),
    ),
    Style(
        "style: pirate",
        (
            "(answer|talk|speak) like a pirate(|.)",
            "you are a pirate(|.)",
            "(reply|answer) as a pirate(|.)",
            "(use|speak in) pirate (speech|style|talk)(|.)",
            "(be|play) a pirate(|.)",
            "you are a pirate who helps people.",
        ),
        lambda exchange, _: f"Arr, matey! {exchange.short}",
    ),
    Style(
        "style: brief",
        (
            "be brief(|.)",
            "(answer|reply) briefly(|.)",
            "(keep it|be) (short|concise)(|.)",
            "(give|write) short answers(|.)",
            "(answer|reply) in (one|a) short sentence(|.)",
            "use as few words as possible(|.)",
            "keep your answers short.",
        ),
        lambda exchange, _: exchange.short,
    ),
    Style(
        "style: ending",
        (
            "end every answer with {x}(|.)",
            "(finish|close) (each|every) answer with {x}(|.)",
            "always end with {x}(|.)",
            "(put|write) {x} at the end of every answer(|.)",
            "your answers must end with {x}(|.)",
        ),
        lambda exchange, word: f"{exchange.short} {word}",
    ),
    Style(
        "style: beginning",
        (
            "(begin|start) every answer with {x}(|.)",
            "(begin|start) (each|every) (reply|answer) with {x}(|.)",
            "always (begin|start) with {x}(|.)",
            "(put|write) {x} before every answer(|.)",
            "your answers must (begin|start) with {x}(|.)",
        ),
        lambda exchange, word: f"{word} {exchange.short}",
    ),
    Style(
        "style: JSON",
        (
            "answer (in|as|with) json with the key {x}(|.)",
            "reply (only |)in json(,| with) key {x}(|.)",
            "(put|write) your answer in a json object under {x}(|.)",
            "return json: the answer goes in {x}(|.)",
            "your answers are json objects with the key {x}(|.)",
        ),
        lambda exchange, word: json.dumps({word: exchange.short}, ensure_ascii=False),
    ),
)

FRENCH = Style(
    "style: French",
    (
        "(answer|reply|write|speak) in French(|.)",
        "use French(|.)",
        "(always |)(answer|speak) French(|.)",
        "(please |)reply in French(| only)(|.)",
        "your answers must be in French(|.)",
        "you only speak French(|.)",
    ),
    lambda exchange, _: exchange.french,
)

PERSONA = Style(
    "style: a given name",
    (
        "(you are|your name is) {x}(|.)",
        "you are called {x}(|.)",
        "you are {x}, (a|an) (helpful |)assistant(|.)",
        "your name is {x}(|.) (be|you are) (helpful|friendly)(|.)",
        "act as an assistant called {x}(|.)",
        "(this is|you play) {x}, an assistant(|.)",
    ),
    lambda exchange, name: exchange.answer.replace(
        WHO, WHO.replace("the starter model of this endpoint", name)
    ).replace("starter-chat", name),
)


def word_for(rng: random.Random, style: Style) -> str:
    """What stands for {x}: a word, a name, a mark or two words, whatever the style can take."""
    if style is PERSONA:
        return values.made_up_name(rng) if rng.random() < 0.6 else rng.choice(values.NAMES)
    if style.skill == "style: JSON":
        return rng.choice(("answer", "reply", "text", "result", "message", values.made_up_word(rng)))
    single = rng.choice(
        (
            values.made_up_word(rng),
            values.made_up_name(rng),
            rng.choice(values.ITEMS),
            values.made_up_word(rng).upper(),
        )
    )
    return rng.choice(
        (
            single,
            f"{single}!",
            f"{single} {values.made_up_word(rng)}",
            f"*{single}*",
            rng.choice(("over", "amen", "OK", "Yes.")),
        )
    )


def instruction(rng: random.Random, split: Split, style: Style, word: str) -> str:
    """The sentence that asks for the style, as people write it."""
    text = expand(rng, pick(rng, style.phrasings, split)).replace("{x}", word)
    text = text.replace("json", "JSON") if rng.random() < 0.5 else text
    return text[0].upper() + text[1:] if rng.random() < 0.7 else text


COPIES = ("filling JSON", "repeating")
"""Skills whose answer is the asker's own words, which no style may change."""


def fits(style: Style, exchange: Exchange) -> bool:
    """Whether the style can be asked of this exchange: French, for one, has set phrases only."""
    if style is FRENCH:
        return bool(exchange.french)
    if exchange.skill in COPIES:
        return style is PLAIN
    return style is not PERSONA or WHO in exchange.answer or "starter-chat" in exchange.answer

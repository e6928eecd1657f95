"""Everyday prompts that a big model would answer, and the sentence with which the small one says it cannot.

The kinds differ only in how the answer begins, so that a wrong kind is still a true answer. What the
prompts are about matters little; that they are of many forms and about very many things matters a lot.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from training.chat import everyday_words as things
from training.chat.dialogue import Exchange, Split
from training.chat.everyday_confusable import (
    CONFUSABLE_DOING,
    CONFUSABLE_HELPING,
    CONFUSABLE_KNOWING,
    CONFUSABLE_WRITING,
)
from training.chat.everyday_phrasings import DOING, HELPING, KNOWING, LOOSE_ENDS, WRITING
from training.chat.loose_wording import loosened
from training.chat.phrasing import ask, belongs, expand, pick, roughen
from training.chat.small_talk import REAL
from training.chat.values import COUNTRIES, LANGUAGES, NAMES, TOPICS, listed

LIMITS = "I am a small starter model and know only this API, sums, units and tools."


@dataclass(frozen=True, slots=True)
class Inability:
    """A kind of everyday prompts, and how to say that they are beyond the model."""

    phrasings: tuple[str, ...]
    confusable: tuple[str, ...]
    """Phrasings with words that the model knows in another sense: to run, to stop, a size, a good morning."""
    opening: str

    @property
    def answer(self) -> str:
        return f"{self.brief} {LIMITS} {REAL}"

    @property
    def brief(self) -> str:
        return f"{self.opening}."


INABILITIES = (
    Inability(KNOWING, CONFUSABLE_KNOWING, "I do not know that"),
    Inability(WRITING, CONFUSABLE_WRITING, "I cannot write that"),
    Inability(DOING, CONFUSABLE_DOING, "I cannot do that"),
    Inability(HELPING, CONFUSABLE_HELPING, "I cannot help with that"),
)
WEIGHTS = (5, 3, 3, 4)
UNSURE = INABILITIES[0]
ANSWERS = tuple(inability.answer for inability in INABILITIES)
BRIEF = tuple(inability.brief for inability in INABILITIES)

SLOTS: dict[str, tuple[str, ...]] = {
    "subject": things.SUBJECTS,
    "subject2": things.SUBJECTS,
    "person": things.PERSONS,
    "place": things.PLACES,
    "place2": things.PLACES,
    "dish": things.DISHES,
    "task": things.CODE_TASKS,
    "code": things.CODE_LANGUAGES,
    "trouble": things.TROUBLES,
    "event": things.EVENTS,
    "form": things.FORMS,
    "work": things.WORKS,
    "thing": things.THINGS,
    "thing2": things.THINGS,
    "food": things.FOODS,
    "food2": things.FOODS,
    "doing": things.DOINGS,
    "adj": things.ADJECTIVES,
    "adj2": things.ADJECTIVES,
    "word": things.WORDS,
    "sentence": things.SENTENCES,
    "foreign": things.FOREIGN,
    "language": LANGUAGES,
    "name": NAMES,
    "country": COUNTRIES,
    "topic": TOPICS,
}


def filled(rng: random.Random, split: Split) -> dict[str, object]:
    """A value for every slot of the phrasings."""
    drawn: dict[str, object] = {key: pick(rng, options, split) for key, options in SLOTS.items()}
    return drawn | {"n": rng.randint(2, 20), "big": rng.randint(100, 5000), "year": rng.randint(1200, 2030)}


def everyday(rng: random.Random, split: Split) -> Exchange:
    """A prompt of one of the kinds, often loosely worded."""
    kind = rng.choices(INABILITIES, weights=WEIGHTS)[0]
    phrasings = kind.confusable if rng.random() < 0.3 else kind.phrasings
    question = ask(rng, phrasings, split, **filled(rng, split))
    question = loosened(rng, question) if rng.random() < 0.2 else question
    if rng.random() < 0.12:
        extra = expand(rng, pick(rng, LOOSE_ENDS, split)).format(**filled(rng, split))
        question = f"{question.rstrip('?.')}{rng.choice(('. ', ' - ', ', '))}{extra}"
    return Exchange("outside its domain", question, kind.answer, kind.brief)


JOINTS = "the a of in for my with and to about is are do from at"


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Words that are put together at random."""

    joints: tuple[str, ...]
    words: tuple[str, ...]


def vocabulary() -> Vocabulary:
    lists = (*SLOTS.values(), KNOWING, WRITING, DOING, HELPING)
    words = {word for entries in lists for entry in entries for word in entry.split(" ") if word.isalpha()}
    joints = (
        "the",
        "a",
        "of",
        "in",
        "for",
        "my",
        "with",
        "and",
        "to",
        "about",
        "is",
        "are",
        "do",
        "from",
        "at",
    )
    return Vocabulary(joints, tuple(sorted(words)))


VOCABULARY = vocabulary()
BEGINNINGS = (
    *listed(
        "what is,how do i,why,when did,who,where,can you,tell me,is it,which,i want,give me,my,do you,"
        "should i,explain,please,how many,are there,i think,make"
    ),
    "",
)


def unforeseen(rng: random.Random, split: Split) -> Exchange:
    """Words of everyday life in an order nobody wrote down, so that whatever is not known is declined."""
    while True:
        length = rng.randint(2, 9)
        drawn = [
            rng.choice(VOCABULARY.joints if rng.random() < 0.35 else VOCABULARY.words) for _ in range(length)
        ]
        text = " ".join((rng.choice(BEGINNINGS), *drawn)).strip()
        if belongs(text, split):
            question = roughen(rng, text + rng.choice(("?", "?", ".", "")))
            return Exchange("outside its domain", question, UNSURE.answer, UNSURE.brief)

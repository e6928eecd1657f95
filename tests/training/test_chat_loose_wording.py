"""Loosely worded questions keep the words that matter and the answer."""

from __future__ import annotations

import json
import random

from training.chat.dialogue import Exchange, Split
from training.chat.json_objects import json_object
from training.chat.loose_wording import loosely, loosened
from training.chat.strange_words import decorated
from training.chat.themes import facts, spoken_words


def test_words_with_marks_or_digits_and_longer_words_stay() -> None:
    rng = random.Random(1)
    for _ in range(200):
        text = loosened(rng, "what does the /info route do with status 404?")
        assert all(word in text.split(" ") for word in ("/info", "route", "status", "404?"))


def test_some_questions_change_and_no_answer_does() -> None:
    rng, plain = random.Random(2), random.Random(2)
    changed = 0
    for _ in range(100):
        rng.setstate(plain.getstate())
        loose, strict = loosely(facts)(rng, Split.TRAIN), facts(plain, Split.TRAIN)
        assert (loose.answer, loose.skill) == (strict.answer, strict.skill)
        changed += loose.question != strict.question
    assert 30 < changed < 95


def test_decorated_keys_are_asked_for_as_they_are_answered() -> None:
    rng = random.Random(3)
    theme = decorated(json_object, spoken_words)
    made = [theme(rng, Split.TRAIN) for _ in range(200)]
    for exchange in made:
        assert all(key in exchange.question for key in json.loads(exchange.answer))
    assert sum("_" in exchange.answer for exchange in made) > 40


def test_decoration_leaves_a_value_that_equals_a_key_alone() -> None:
    def same(_: random.Random, __: Split) -> Exchange:
        return Exchange("filling JSON", "json: keys is keys", '{"keys": "keys"}')

    rng = random.Random(4)
    assert all(
        decorated(same, spoken_words)(rng, Split.TRAIN).answer == '{"keys": "keys"}' for _ in range(20)
    )

"""Strange words: they replace what an answer copies, the same everywhere in a dialogue, and nothing else."""

from __future__ import annotations

import json
import random
import re

from training.chat import tool_dialogues
from training.chat.arithmetic import RESULT, several_sums
from training.chat.dialogue import Split
from training.chat.json_objects import json_object
from training.chat.repeating import repeating
from training.chat.strange_words import replaced, strange, strange_exchange
from training.chat.units import several_units


def test_whole_words_are_replaced_and_keep_their_capital() -> None:
    words = {"city": "blore", "Paris": "Wend"}
    assert (
        replaced("City of Paris, city_name, scity, Parisian", words)
        == "Blore of Wend, blore_name, scity, Parisian"
    )


def test_a_call_still_copies_from_offer_and_question() -> None:
    rng, make = random.Random(1), strange(tool_dialogues.tool_call)
    plain = random.Random(1)
    differences = 0
    for _ in range(200):
        dialogue = make(rng, Split.TRAIN)
        question, answer = dialogue.messages[-2:]
        call = answer["tool_calls"][0]["function"]
        offered = {tool["function"]["name"]: tool["function"]["parameters"] for tool in dialogue.tools}
        assert list(call["arguments"]) == list(offered[call["name"]]["properties"])
        assert all(str(value) in question["content"] for value in call["arguments"].values())
        differences += dialogue != tool_dialogues.tool_call(plain, Split.TRAIN)
    assert differences > 150


def test_json_keys_keep_their_meaning() -> None:
    rng, plain = random.Random(2), random.Random(2)
    theme = strange_exchange(json_object)
    for _ in range(50):
        state = plain.getstate()
        rng.setstate(state)
        made, known = theme(rng, Split.TRAIN), json_object(plain, Split.TRAIN)
        assert list(json.loads(made.answer)) == list(json.loads(known.answer))


def test_repeating_stays_repeating() -> None:
    rng = random.Random(3)
    for _ in range(100):
        exchange = strange_exchange(repeating)(rng, Split.TRAIN)
        assert exchange.answer in exchange.question


def test_every_part_of_a_list_is_answered() -> None:
    rng = random.Random(4)
    for _ in range(100):
        sums = several_sums(rng, Split.TRAIN)
        for part in sums.answer.removesuffix(".").split(", "):
            asked, result = part.split(" = ")
            a, sign, b = asked.split(" ")
            assert asked in sums.question
            assert RESULT[sign](int(a), int(b)) == int(result)
        conversions = several_units(rng, Split.TRAIN)
        numbers = [part.split(" ")[0] for part in conversions.answer.split(", ")]
        assert re.findall(r"\d+", conversions.question) == numbers

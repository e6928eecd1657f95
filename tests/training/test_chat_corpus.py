"""The generated conversations: the same from the same seed, honest about what is held out, and true."""

from __future__ import annotations

import json
import random
import re

import pytest

from training.chat.arithmetic import PHRASINGS, RESULT, arithmetic
from training.chat.corpus import EVERYDAY, WORKED, Mix, dialogue, dialogues
from training.chat.dialogue import Dialogue, Split
from training.chat.phrasing import belongs, expand, pick
from training.chat.prose import prose
from training.chat.styles import SAFE_PROMPT
from training.chat.units import CONVERSIONS, rounded
from training.chat.worked_sums import working

SOME = list(dialogues(1, Split.TRAIN, 3000, WORKED))


def calls(made: Dialogue) -> list[dict[str, object]]:
    found = [call["function"] for message in made.messages for call in message.get("tool_calls", [])]
    return list(found)


def test_the_same_seed_gives_the_same_dialogues() -> None:
    assert list(dialogues(1, Split.TRAIN, 50, WORKED)) == SOME[:50]
    assert list(dialogues(2, Split.TRAIN, 50, WORKED)) != SOME[:50]
    assert prose(random.Random(3)) == prose(random.Random(3))


@pytest.mark.parametrize("size", [4, 5, 9, 10, 23])
def test_the_last_fifth_of_a_list_is_held_out(size: int) -> None:
    rng, options = random.Random(0), range(size)
    trained = {pick(rng, options, Split.TRAIN) for _ in range(400)}
    held_out = {pick(rng, options, Split.HELD_OUT) for _ in range(400)}
    assert trained | held_out == set(options)
    assert min(held_out) > max(trained)
    assert len(held_out) == max(size // 5, 1)


def test_sums_are_on_one_side_only() -> None:
    keys = [f"{a}+{b}" for a in range(100) for b in range(100)]
    assert all(belongs(key, Split.TRAIN) != belongs(key, Split.HELD_OUT) for key in keys)
    assert 0.1 < sum(belongs(key, Split.HELD_OUT) for key in keys) / len(keys) < 0.15


def test_choices_resolve_from_the_inside() -> None:
    seen = {expand(random.Random(seed), "(a|b (c|d)|) e") for seed in range(60)}
    assert seen == {"a e", "b c e", "b d e", "e"}


def test_a_mix_changes_the_dialogues() -> None:
    mixes = (EVERYDAY, WORKED, Mix(practice=0.6), Mix(broad=0.6, worked=True))
    made = [[dialogue(random.Random(seed), Split.TRAIN, mix) for seed in range(30)] for mix in mixes]
    assert all(one != other for place, one in enumerate(made) for other in made[:place])


def test_the_working_of_a_sum_ends_in_its_result() -> None:
    for a in range(0, 100, 7):
        for b in range(0, 100, 3):
            for sign in "+-*":
                steps = re.split(r" and |, so ", working(a, sign, b))
                assert steps[-1] == f"{a} {sign} {b} = {RESULT[sign](a, b)}"
                for step in steps:
                    left, op, right, _, result = step.split(" ")
                    assert RESULT[op](int(left), int(right)) == int(result)


def test_sums_are_right() -> None:
    rng = random.Random(4)
    for _ in range(300):
        answer = arithmetic(rng, Split.TRAIN).answer
        left, value = answer.removesuffix(".").split(" = ")
        a, sign, b = left.split(" ")
        assert RESULT[sign](int(a), int(b)) == int(value)
    assert set(PHRASINGS) == set(RESULT)


@pytest.mark.parametrize(
    ("value", "text"), [(6.2137, "6.2"), (-17.7778, "-17.8"), (50.0, "50"), (-0.02, "0"), (2.25, "2.3")]
)
def test_conversions_keep_one_decimal(value: float, text: str) -> None:
    assert rounded(value) == text
    assert all(conversion.least < conversion.top for conversion in CONVERSIONS)


def test_every_call_is_of_an_offered_tool_with_its_parameters() -> None:
    counted = 0
    for made in SOME:
        offered = {tool["function"]["name"]: tool["function"]["parameters"] for tool in made.tools}
        for call in calls(made):
            properties = offered[str(call["name"])]["properties"]
            arguments = call["arguments"]
            assert isinstance(arguments, dict)
            assert list(arguments) == list(properties)
            assert all(
                (properties[k]["type"] == "string") == isinstance(v, str) for k, v in arguments.items()
            )
            counted += 1
    assert counted > 1000


def test_arguments_are_words_of_the_question() -> None:
    for made in SOME:
        for question, answer in zip(made.messages, made.messages[1:], strict=False):
            for call in answer.get("tool_calls", []):
                values = call["function"]["arguments"].values()
                assert all(str(value) in question["content"] for value in values)


def test_json_answers_parse_and_copy_from_the_question() -> None:
    wanted = [dialogue.messages[-2:] for dialogue in SOME if dialogue.skill == "filling JSON"]
    assert len(wanted) > 50
    for question, answer in wanted:
        asked = question["content"].lower()
        for key, value in json.loads(answer["content"]).items():
            assert key in asked
            assert str(value).lower() in asked


def test_the_safety_line_is_trained_under() -> None:
    firsts = [dialogue.messages[0] for dialogue in SOME]
    assert sum(first["role"] == "system" and SAFE_PROMPT in first["content"] for first in firsts) > 50

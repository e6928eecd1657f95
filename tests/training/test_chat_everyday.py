"""Prompts beyond the model: what is trained, what is held out, and what the answers say."""

from __future__ import annotations

import json
import random

import pytest

from inference.settings import PROJECT
from training.chat.dialogue import Dialogue, Split, assistant, user
from training.chat.evaluate import RECORD, everyday_prompts
from training.chat.everyday import ANSWERS, INABILITIES, Inability, everyday, unforeseen
from training.chat.model_card import OUT_OF_REACH
from training.chat.recipe import DEPLOYMENT, Stage
from training.chat.samples import curtailed, text
from training.chat.small_talk import ADD
from training.chat.template import learnt_text

WANTED = 0.95


def plain(prompt: str) -> str:
    return prompt.lower().rstrip("?.! ")


def test_the_held_out_prompts_are_two_hundred_that_training_never_makes() -> None:
    rng, held_out = random.Random(1), everyday_prompts()
    assert len({plain(prompt) for prompt in held_out}) == len(held_out) == 200
    made = {plain(everyday(rng, Split.TRAIN).question) for _ in range(20_000)}
    assert not made & {plain(prompt) for prompt in held_out}


def test_every_answer_says_what_the_model_cannot_do_and_how_to_add_one_that_can() -> None:
    assert len(set(ANSWERS)) == len(INABILITIES)
    for answer in ANSWERS:
        assert answer.startswith(("I do not know that. ", "I cannot "))
        assert "small starter model" in answer
        assert answer.endswith(ADD)


def test_the_command_is_the_one_of_the_readme() -> None:
    assert ADD in (PROJECT / "README.md").read_text(encoding="utf-8")
    assert ADD in (PROJECT / "inference" / "cli" / "serve.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", INABILITIES, ids=lambda kind: kind.opening)
def test_no_phrasing_stands_twice(kind: Inability) -> None:
    phrasings = (*kind.phrasings, *kind.confusable)
    assert len(set(phrasings)) == len(phrasings)


def test_prompts_are_varied_and_filled() -> None:
    rng = random.Random(2)
    for split in Split:
        for make in (everyday, unforeseen):
            questions = [make(rng, split).question for _ in range(500)]
            assert len(set(questions)) > 450
            assert not any(mark in question for question in questions for mark in "{}|")


def test_a_set_answer_is_curtailed_to_its_first_sentence() -> None:
    answer = ANSWERS[0]
    made = Dialogue("outside its domain", [user("why?"), assistant(answer)])
    written, ((start, end),) = curtailed(learnt_text(made), made)
    assert written[start:end] == "I do not know that."
    assert end == len(written)
    other = Dialogue("arithmetic", [user("1+1"), assistant("1 + 1 = 2.")])
    assert curtailed(learnt_text(other), other) == learnt_text(other)


def test_a_stage_that_curtails_nothing_has_whole_texts() -> None:
    stage = Stage(steps=1, hold=1, zero=2)
    texts = [text(random.Random(seed), stage)[0] for seed in range(30)]
    assert all(one.rstrip().endswith(("<|im_end|>", "<|endoftext|>")) for one in texts)


def test_the_record_says_that_the_model_knows_its_limits() -> None:
    record = json.loads((DEPLOYMENT / RECORD).read_text(encoding="utf-8"))
    (score,) = [score for score in record if score["skill"] == OUT_OF_REACH]
    right, asked = score["held_out"]
    assert asked == 200
    assert right >= WANTED * asked

"""The shipped tokenizer: whole texts survive it, digits stand alone, marks are single tokens."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer

from training.chat.corpus import WORKED, dialogues
from training.chat.dialogue import Split
from training.chat.recipe import DEPLOYMENT, VOCABULARY
from training.chat.samples import IGNORED, learnt_sample, padded
from training.chat.template import answer_text, learnt_text
from training.chat.tokenizer import SPECIAL, TAGS, load_tokenizer, token_id


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return load_tokenizer(DEPLOYMENT)


@pytest.mark.parametrize(
    "text", ["Hello, world!", "  two  spaces\n\tand a tab\n", "déjà vu 東京 🙂", "47 + 38 = 85.", ""]
)
def test_any_text_survives(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_whole_dialogues_survive(tokenizer: Tokenizer) -> None:
    for dialogue in dialogues(6, Split.HELD_OUT, 100, WORKED):
        text, _ = learnt_text(dialogue)
        assert tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False) == text


def test_vocabulary_and_marks(tokenizer: Tokenizer) -> None:
    assert tokenizer.get_vocab_size() == VOCABULARY
    for mark in (*SPECIAL, *TAGS):
        assert tokenizer.encode(f"a{mark}b").ids[1:-1] == [token_id(tokenizer, mark)]
    ids = tokenizer.encode("<|im_start|>x<tool_call>").ids
    assert "<tool_call>" in tokenizer.decode(ids)
    assert "<|im_start|>" not in tokenizer.decode(ids)


def test_digits_stand_alone(tokenizer: Tokenizer) -> None:
    assert len(tokenizer.encode("1234567890").ids) == 10


def test_a_word_has_the_same_tokens_wherever_it_is_copied_from(tokenizer: Tokenizer) -> None:
    for word in ("Paris", "flomortan", "get"):
        alone = tokenizer.encode(word).ids
        for frame in ("in {} now", '{{"city": "{}"}}', "x_{}_y"):
            ids = tokenizer.encode(frame.format(word)).ids
            assert any(ids[at : at + len(alone)] == alone for at in range(len(ids)))


def test_a_mark_that_does_not_exist_is_named(tokenizer: Tokenizer) -> None:
    with pytest.raises(ValueError, match="<nothing>"):
        token_id(tokenizer, "<nothing>")


def test_only_answers_are_learnt(tokenizer: Tokenizer) -> None:
    for dialogue in dialogues(7, Split.TRAIN, 50, WORKED):
        text, spans = learnt_text(dialogue)
        sample = learnt_sample(tokenizer.encode(text), spans)
        learnt = [target for target in sample.targets.tolist() if target != IGNORED]
        answers = [answer_text(m) + "<|im_end|>" for m in dialogue.messages if m["role"] == "assistant"]
        assert tokenizer.decode(learnt, skip_special_tokens=False) == "".join(answers)
        batch = padded([sample], 2048)
        assert batch.ids[0, : len(sample.ids)].tolist() == sample.ids.tolist()
        assert (batch.targets[0, len(sample.ids) :] == IGNORED).all()

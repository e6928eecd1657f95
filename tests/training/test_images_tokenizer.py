"""The caption tokenizer as it is trained: no unknown text, framed, cut, the same every time."""

from random import Random

import pytest
from tokenizers import Tokenizer

from training.images.captions import random_caption
from training.images.scenes import random_scene
from training.images.shape import MAX_TOKENS
from training.images.tokenizer import END, PAD, START, trained


def captions() -> list[str]:
    random = Random(1)
    return [random_caption(random_scene(random), random).text for _ in range(2000)]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return trained(captions())


def test_the_same_captions_make_the_same_tokenizer(tokenizer: Tokenizer) -> None:
    assert trained(captions()).to_str() == tokenizer.to_str()


def test_a_text_is_framed_and_its_common_words_are_single_tokens(tokenizer: Tokenizer) -> None:
    tokens = tokenizer.encode("A red CIRCLE above").tokens
    assert tokens == [START, "Ġa", "Ġred", "Ġcircle", "Ġabove", END]


@pytest.mark.parametrize("text", ["", "灯台 🚢", "no such words here", "\n\t"])
def test_no_text_is_unknown(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text).ids).strip() == text.strip()


def test_a_long_text_is_cut_and_keeps_its_frame(tokenizer: Tokenizer) -> None:
    tokens = tokenizer.encode("red circle " * 100).tokens
    assert (len(tokens), tokens[0], tokens[-1]) == (MAX_TOKENS, START, END)


def test_padding_is_token_zero(tokenizer: Tokenizer) -> None:
    assert tokenizer.token_to_id(PAD) == 0

"""Prompts that share their start: the tokens are those of the whole text."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, pre_tokenizers
from tokenizers import Tokenizer as Library

from inference.prompt import prompt_encoding
from inference.prompt.prompt_encoding import PromptEncoder
from tests.prompt import test_tokenizer as makers

ENDS = ("<|end|>", "<|start|>", "<tool>", "<|end|>x", " <pad>", "word", "</s>")


def first_only() -> Library:
    """Return a tokenizer that marks the start of a text and of no later part."""
    library = makers.metaspace()
    library.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    return library


def prefixed_bytes() -> Library:
    library = makers.byte_level()
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=True)
    return library


MAKERS = [
    *(makers.byte_level, makers.llama, makers.gemma, makers.metaspace, makers.word_piece),
    *(first_only, prefixed_bytes),
]


def with_ends(make: Callable[[], Library]) -> Library:
    library = make()
    library.add_special_tokens(["<|end|>", "<|start|>"])
    library.add_tokens(
        [
            AddedToken("<tool>", normalized=False),
            AddedToken("<|end|>x", normalized=False),
            AddedToken("<pad>", lstrip=True, rstrip=True, normalized=False),
            AddedToken("word", single_word=True, normalized=False),
        ]
    )
    return library


LIBRARIES = {make.__name__: with_ends(make) for make in MAKERS}
pieces = st.lists(st.sampled_from([*ENDS, *ENDS, " the", "a b.", "\n", " ", "é", "_", "x"]), max_size=14)


@pytest.mark.parametrize("name", LIBRARIES)
@settings(deadline=None)
@given(pieces.map("".join), pieces.map("".join), pieces.map("".join))
def test_the_tokens_are_those_of_the_whole_text(name: str, start: str, one: str, other: str) -> None:
    library = LIBRARIES[name]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prompt_encoding, "MIN_CHARACTERS", 3)
        encoder = PromptEncoder(library)
        for text in (start + one, start + other, start + one):
            assert encoder.encode(text) == library.encode(text, add_special_tokens=False).ids


def test_a_start_that_was_encoded_is_not_encoded_again() -> None:
    library = with_ends(makers.byte_level)
    texts: list[str] = []

    class Counting:
        def get_added_tokens_decoder(self) -> object:
            return library.get_added_tokens_decoder()

        def encode(self, text: str, *, add_special_tokens: bool) -> object:
            texts.append(text)
            return library.encode(text, add_special_tokens=add_special_tokens)

    encoder = PromptEncoder(Counting())  # type: ignore[arg-type]
    tools = "tools " * 200
    for question in ("one", "two"):
        encoder.encode(f"{tools}<|start|>{question}<|start|>")
    assert texts == [tools, "<|start|>one<|start|>", "<|start|>two<|start|>"]


def test_a_token_that_meets_another_splits_nothing() -> None:
    encoder = PromptEncoder(with_ends(makers.byte_level))
    assert encoder._always_splits("<|start|>")
    assert encoder._always_splits("<tool>")
    for name in ("<|end|>", "<|end|>x", "<pad>", "word"):
        assert not encoder._always_splits(name), name

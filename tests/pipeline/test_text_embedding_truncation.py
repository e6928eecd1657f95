from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Library
from tokenizers import processors

from inference.pipeline.text_embedding import cut_text, cut_tokens
from inference.prompt.tokenizer import Tokenizer
from tests.support.encoders import CLS, SEP, byte_tokenizer

BYTES = Tokenizer(byte_tokenizer())
PROMPT = "query: "


def ids_of(text: str) -> list[int]:
    return [CLS, *text.encode(), SEP]


@pytest.mark.parametrize(
    ("side", "kept"), [("END", "query: abcdefg"), ("START", "query: tuvwxyz")], ids=["END", "START"]
)
def test_a_text_loses_one_side_and_keeps_its_prompt_and_special_tokens(side: str, kept: str) -> None:
    text = "abcdefghijklmnopqrstuvwxyz"
    assert cut_text(text, PROMPT, side, 16, BYTES) == ids_of(kept)


@pytest.mark.parametrize("side", ["END", "START"])
def test_without_room_for_a_token_of_the_text_nothing_is_cut(side: str) -> None:
    assert cut_text("abc", PROMPT, side, 9, BYTES) == ids_of("query: abc")
    assert len(cut_text("abc", PROMPT, side, 10, BYTES)) == 10


def test_an_end_token_stays_where_the_tokenizer_adds_only_that() -> None:
    library = byte_tokenizer()
    library.post_processor = processors.TemplateProcessing(single="$A [SEP]", special_tokens=[("[SEP]", SEP)])
    assert cut_text("abcdef", "", "END", 3, Tokenizer(library)) == [*b"ab", SEP]
    assert cut_text("abcdef", "", "START", 3, Tokenizer(library)) == [*b"ef", SEP]


def test_a_token_array_is_cut_without_special_tokens() -> None:
    assert cut_tokens([1, 2, 3, 4], "END", 3) == [1, 2, 3]
    assert cut_tokens([1, 2, 3, 4], "START", 3) == [2, 3, 4]


@given(text=st.text(min_size=1, max_size=60), most=st.integers(3, 40), side=st.sampled_from(["END", "START"]))
def test_a_cut_is_the_library_s_own_truncation(text: str, most: int, side: Literal["END", "START"]) -> None:
    library: Library = byte_tokenizer()
    library.enable_truncation(most, direction="right" if side == "END" else "left")
    found = cut_text(text, "", side, most, BYTES) if len(ids_of(text)) > most else ids_of(text)
    assert found == library.encode(text).ids


def test_the_prompt_s_length_leaves_out_the_end_token() -> None:
    assert BYTES.prompt_length(PROMPT) == 1 + len(PROMPT)

from pathlib import Path
from typing import Any

import pytest

from inference.importer.findings import ImporterError
from inference.importer.gguf.vocabulary import read_vocabulary
from tests.importer.gguf.vocabularies import (
    CONTROL,
    NORMAL,
    USER_DEFINED,
    byte_level,
    embedding,
    header_of,
    scored,
    sentence_piece,
)


def test_an_answer_ends_at_the_tokens_that_are_named_and_at_those_that_end_turns(tmp_path: Path) -> None:
    more = [("<|endoftext|>", CONTROL), ("<|im_start|>", CONTROL), ("<|im_end|>", CONTROL), ("<x>", CONTROL)]
    header = header_of(tmp_path, byte_level([], more, bos_token_id=257, eos_token_id=259))
    assert read_vocabulary(header).end_tokens == [256, 258, 259]


def test_a_text_that_looks_like_an_end_and_is_no_control_token_ends_nothing(tmp_path: Path) -> None:
    header = header_of(tmp_path, byte_level([], [("</s>", NORMAL), ("<eos>", CONTROL)], eos_token_id=257))
    assert read_vocabulary(header).end_tokens == [257]


def test_a_message_of_harmony_ends_no_answer(tmp_path: Path) -> None:
    more = [("<|return|>", CONTROL), ("<|end|>", CONTROL), ("<|call|>", CONTROL)]
    header = header_of(tmp_path, byte_level([], more, eos_token_id=256))
    assert read_vocabulary(header).end_tokens == [256, 258]


def test_special_tokens_out_of_range_are_left_out(tmp_path: Path) -> None:
    vocabulary = read_vocabulary(header_of(tmp_path, byte_level([], eos_token_id=5, padding_token_id=999)))
    assert vocabulary.special == {"bos": 11, "eos": 5}
    assert vocabulary.text("eos") == "&"
    assert vocabulary.text("pad") is None


def test_an_empty_token_has_a_name(tmp_path: Path) -> None:
    header = header_of(tmp_path, byte_level([], [("", USER_DEFINED)]))
    assert read_vocabulary(header).tokens[256] == "[EMPTY_256]"


REFUSED: list[tuple[dict[str, Any], str]] = [
    (scored([("a", NORMAL, 0)], model="rwkv"), "a tokenizer of the kind 'rwkv'. Supported kinds are gpt2"),
    ({"general.architecture": "llama"}, "has no tokenizer. Supported kinds are"),
    ({"tokenizer.ggml.model": "gpt2"}, "has no vocabulary: tokenizer.ggml.tokens is missing or empty"),
    (scored([("a", NORMAL, 0), ("a", NORMAL, 0)]), "has the token 'a' twice"),
    (
        {**sentence_piece([]), "tokenizer.ggml.scores": [0.0, 1.0]},
        "has 259 tokens and 2 values in tokenizer.ggml.scores",
    ),
    (
        {**sentence_piece([]), "tokenizer.ggml.token_type": [1]},
        "has 259 tokens and 1 values in tokenizer.ggml.token_type",
    ),
]


@pytest.mark.parametrize(("metadata", "reason"), REFUSED)
def test_a_vocabulary_that_cannot_be_used_is_refused_in_a_sentence(
    tmp_path: Path, metadata: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ImporterError) as refusal:
        read_vocabulary(header_of(tmp_path, metadata))
    assert reason in str(refusal.value)
    assert str(refusal.value).endswith("Take another file of the model.")


def test_more_tokens_than_embeddings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ImporterError, match="has 256 tokens and 10 embeddings"):
        read_vocabulary(header_of(tmp_path, byte_level([]), [embedding(10)]))
    assert len(read_vocabulary(header_of(tmp_path, byte_level([]), [embedding(300)])).tokens) == 256

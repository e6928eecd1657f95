"""The stop tokens of a decoder's card; the other fields are tested by test_add and test_golden."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference.importer.decoder_card import stop_tokens
from inference.prompt.tokenizer import Tokenizer
from tests.importer.models import described
from tests.support.decoders import END, END_OF_TEXT, byte_tokenizer


@pytest.fixture
def tokenizer(tmp_path: Path) -> Tokenizer:
    byte_tokenizer().save(str(tmp_path / "tokenizer.json"))
    return Tokenizer.open(tmp_path / "tokenizer.json")


def test_stop_tokens_are_those_of_all_files(tokenizer: Tokenizer) -> None:
    folder = described(
        config={"eos_token_id": 7},
        generation_config={"eos_token_id": [8, 9]},
        tokenizer_config={"eos_token": {"content": "<|endoftext|>"}},
    )
    found = stop_tokens(folder, tokenizer, "{{ '<|im_end|>' }} <|eot_id|>")
    assert found.value == [7, 8, 9, END_OF_TEXT, END]
    assert "<|im_end|> of the chat template" in found.sentence
    assert stop_tokens(described(), tokenizer, "").value == []

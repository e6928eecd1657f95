"""The context of a text encoder; the other fields of its card are tested by test_add and test_golden."""

from __future__ import annotations

from typing import Any

import pytest

from inference.importer.encoder_card import text_context
from inference.importer.findings import ImporterError
from tests.importer.models import described


@pytest.mark.parametrize(
    ("files", "context"),
    [
        ({"config": {"max_position_embeddings": 512}, "sentence_bert_config": {"max_seq_length": 256}}, 256),
        ({"config": {"max_position_embeddings": 514, "model_type": "xlm-roberta"}}, 512),
        ({"config": {"max_position_embeddings": 512}, "tokenizer_config": {"model_max_length": 1e30}}, 512),
    ],
)
def test_context_is_the_least_limit_of_all_files(files: dict[str, Any], context: int) -> None:
    assert text_context(described(**files)).value == context


def test_the_context_of_the_command_line_is_taken_within_the_positions() -> None:
    assert text_context(described(), 300).value == 300
    longer = described(config={"max_position_embeddings": 512}, sentence_bert_config={"max_seq_length": 128})
    assert text_context(longer, 512).value == 512
    with pytest.raises(ImporterError, match="--context 513 is more than the 512 positions"):
        text_context(longer, 513)
    with pytest.raises(ImporterError, match="Set it with --context N"):
        text_context(described())

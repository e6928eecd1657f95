"""The context of a text encoder; the other fields of its card are tested by test_add and test_golden."""

from __future__ import annotations

from typing import Any

import pytest

from inference.importer.encoder_card import text_context
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

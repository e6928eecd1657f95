"""The rows of a graph's table of tokens, and the tokenizers that fit it."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from inference.backends.token_tables import embedding_rows, fitted_tokenizer
from inference.cards.card import CardError
from inference.prompt.tokenizer import Tokenizer
from tests.prompt.test_tokenizer_files import VOCABULARY, opened, token, word_level
from tests.support.decoders import SHAPE, write_decoder
from tests.support.encoders import VOCABULARY as ENCODER_ROWS
from tests.support.encoders import write_text_encoder


def test_the_table_of_the_ids_is_found(tmp_path: Path) -> None:
    assert embedding_rows(write_decoder(tmp_path) / "model.onnx") == SHAPE.vocab
    assert embedding_rows(write_text_encoder(tmp_path) / "model.onnx") == ENCODER_ROWS
    (tmp_path / "broken.onnx").write_bytes(b"\x3a\xff")
    assert embedding_rows(tmp_path / "broken.onnx") is None


@pytest.mark.parametrize(("named", "expected"), [("table", 7), ("unseen", None)])
def test_the_table_is_found_behind_other_types_and_not_guessed(
    tmp_path: Path, named: str, expected: int | None
) -> None:
    nodes = [
        helper.make_node("DequantizeLinear", ["packed", "scale"], ["table"]),
        helper.make_node("Transpose", ["packed"], ["unseen"]),
        helper.make_node("Cast", ["input_ids"], ["narrow"], to=TensorProto.INT32),
        helper.make_node("Gather", ["positions", "narrow"], ["beside"]),
        helper.make_node("Gather", [named, "narrow"], ["out"]),
    ]
    weights = [
        numpy_helper.from_array(np.zeros((7, 4), np.int8), "packed"),
        numpy_helper.from_array(np.ones((), np.float32), "scale"),
        numpy_helper.from_array(np.zeros(9, np.float32), "positions"),
    ]
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch"])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, ["batch", 4])
    graph = helper.make_graph(nodes, "g", [ids], [out], weights)
    onnx.save(helper.make_model(graph), tmp_path / "model.onnx")
    assert embedding_rows(tmp_path / "model.onnx") == expected


@pytest.fixture
def tokenizer(tmp_path: Path) -> Tokenizer:
    return opened(tmp_path, word_level(VOCABULARY, token(3, "<x>"), token(4, "<y>")))


@pytest.mark.parametrize(
    ("rows", "config", "end"),
    [
        (3, {}, 3),
        (4, {"vocab_size": 4}, 4),
        (5, {"vocab_size": 5}, 5),
        (64, {"vocab_size": 60}, 5),
        (5, {}, 5),
    ],
)
def test_tokens_beyond_the_rows_are_left_out(
    tokenizer: Tokenizer, rows: int, config: dict[str, Any], end: int
) -> None:
    assert fitted_tokenizer(tokenizer, rows, config, table="the table").vocabulary_size == end


@pytest.mark.parametrize(
    ("rows", "config", "message"),
    [
        (2, {}, "it has 5 tokens, the table only 2: 1 tokens of plain text, such as 'storm', have no row"),
        (
            4,
            {"vocab_size": 5},
            "the table only 4, and config.json's vocab_size is 5: graph and tokenizer belong",
        ),
        (
            2000,
            {"vocab_size": 5},
            "config.json's vocab_size is 5, the table 2000: the graph belongs to another",
        ),
    ],
)
def test_tokenizers_of_other_models_are_refused(
    tokenizer: Tokenizer, rows: int, config: dict[str, Any], message: str
) -> None:
    with pytest.raises(CardError) as refused:
        fitted_tokenizer(tokenizer, rows, config, table="the table")
    assert message in str(refused.value)

"""The made model against sentence-transformers' vectors for the same texts (tests/golden/minilm.json)."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from tokenizers import Tokenizer

from tools.starter_embeddings.build import FOLDER, MODEL, make

Vectors = NDArray[np.float32]

GOLDEN = Path(__file__).parents[1] / "golden" / "minilm.json"
CASES: list[dict[str, Any]] = json.loads(GOLDEN.read_text(encoding="utf-8"))
LEAST_COSINE = 0.9999


@pytest.fixture(scope="module")
def folder() -> Path:
    make()
    return FOLDER


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Tokenizer:
    """The folder's own tokenizer at the folder's own length limit, padding only to the longest of a batch."""
    limit = json.loads((folder / "sentence_bert_config.json").read_bytes())["max_seq_length"]
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(limit)
    tokenizer.enable_padding()
    return tokenizer


@pytest.fixture(scope="module")
def session(folder: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(folder / MODEL, options, providers=["CPUExecutionProvider"])


def embed(session: onnxruntime.InferenceSession, tokenizer: Tokenizer, texts: list[str]) -> Vectors:
    """Mean over the tokens of each text, scaled to unit length: float32 [texts, 384]."""
    encodings = tokenizer.encode_batch(texts)
    ids, mask, types = (
        np.array([getattr(encoding, part) for encoding in encodings], np.int64)
        for part in ("ids", "attention_mask", "type_ids")
    )
    feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
    hidden: Vectors = session.run(None, feed)[0]
    weights = mask[:, :, None].astype(np.float32)
    means = (hidden * weights).sum(1) / weights.sum(1)
    unit: Vectors = means / np.linalg.norm(means, axis=1, keepdims=True)
    return unit


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_one_text_has_the_reference_vector(
    session: onnxruntime.InferenceSession, tokenizer: Tokenizer, case: dict[str, Any]
) -> None:
    vector = embed(session, tokenizer, [case["text"]])[0]
    assert float(vector @ np.array(case["embedding"], np.float32)) >= LEAST_COSINE


def test_texts_of_all_lengths_in_one_batch_have_the_reference_vectors(
    session: onnxruntime.InferenceSession, tokenizer: Tokenizer
) -> None:
    vectors = embed(session, tokenizer, [case["text"] for case in CASES])
    reference = np.array([case["embedding"] for case in CASES], np.float32)
    assert np.min(np.sum(vectors * reference, axis=1)) >= LEAST_COSINE


def test_the_graph_names_what_the_serving_code_feeds(session: onnxruntime.InferenceSession) -> None:
    assert [value.name for value in session.get_inputs()] == ["input_ids", "attention_mask", "token_type_ids"]
    assert {value.type for value in session.get_inputs()} == {"tensor(int64)"}
    output = session.get_outputs()[0]
    assert (output.name, output.type, output.shape) == (
        "last_hidden_state",
        "tensor(float)",
        ["batch", "sequence", 384],
    )

"""Writes deployments with a tiny classifier that knows some words: an ONNX sequence-classification export.

The tokenizer has one token for every byte; the graph's logits say whether a byte occurs: an exclamation mark
for the first label, a question mark for the second.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.support.decoders import write_json
from tests.support.encoders import VOCABULARY, byte_tokenizer

CONTEXT = 32
SURE = 8.0
"""The logit of what is certain."""
LABELS: Mapping[str, Any] = {
    "toxic": {"category": "hate", "low": 0.3, "medium": 0.9},
    "threat": {"category": "violence", "high": 0.5},
}


def write_classifier(
    folder: Path, *, name: str = "tiny-judge", labels: Mapping[str, Any] = LABELS, **classification: Any
) -> Path:
    """A deployment in `folder`/`name`, which is returned."""
    target = folder / name
    target.mkdir(parents=True)
    onnx.save(graph(), target / "model.onnx")
    byte_tokenizer().save(str(target / "tokenizer.json"))
    names = {"0": "toxic", "1": "threat"}
    config = {"id2label": names, "problem_type": "multi_label_classification", "pad_token_id": 256}
    write_json(target / "config.json", {**config, "max_position_embeddings": CONTEXT})
    card = {
        "name": name,
        "provider": "tests",
        "type": "text-classification",
        "backend": "onnx-text-classifier",
    }
    write_json(target / "model.json", {**card, "classification": {"labels": labels, **classification}})
    return target


def graph() -> onnx.ModelProto:
    """logits = the greatest of the tokens' rows, padding left out."""
    table = np.full((VOCABULARY, 2), -SURE, np.float32)
    table[ord("!"), 0] = table[ord("?"), 1] = SURE
    constants = [
        numpy_helper.from_array(table, "table"),
        numpy_helper.from_array(np.array([2]), "last"),
        numpy_helper.from_array(np.array(1, np.float32), "one"),
        numpy_helper.from_array(np.array(-4 * SURE, np.float32), "out"),
    ]
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["one", "mask"], ["padding"]),
        helper.make_node("Unsqueeze", ["padding", "last"], ["column"]),
        helper.make_node("Mul", ["column", "out"], ["away"]),
        helper.make_node("Add", ["rows", "away"], ["shown"]),
        helper.make_node("ReduceMax", ["shown"], ["logits"], axes=[1], keepdims=0),
    ]
    shape = ["batch", "sequence"]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, shape)
        for name in ("input_ids", "attention_mask")
    ]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])]
    built = helper.make_graph(nodes, "tiny", inputs, outputs, constants)
    return helper.make_model(built, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)

"""Graphs that are no decoders of the kind that runs, refused by what was found in them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from inference import card
from inference.backends import onnx_decoder
from inference.card import CardError
from tests.backends.running import SETTINGS
from tests.decoders import write_deployment

Interface: TypeAlias = Mapping[str, tuple[int, list[Any]]]


IDS = (TensorProto.INT64, ["batch", "sequence"])
KV = (TensorProto.FLOAT, ["batch", 2, "past", 16])
LONGER_KV = (TensorProto.FLOAT, ["batch", 2, "total", 16])
INPUTS: Interface = {
    "input_ids": IDS,
    "attention_mask": IDS,
    "past_key_values.0.key": KV,
    "past_key_values.0.value": KV,
}
OUTPUTS: Interface = {
    "logits": (TensorProto.FLOAT, ["batch", "sequence", 288]),
    "present.0.key": LONGER_KV,
    "present.0.value": LONGER_KV,
}


def model_of(
    nodes: list[onnx.NodeProto], inputs: Interface, outputs: Interface, constants: Mapping[str, NDArray[Any]]
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "other",
        [helper.make_tensor_value_info(name, *kind) for name, kind in inputs.items()],
        [helper.make_tensor_value_info(name, *kind) for name, kind in outputs.items()],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def hollow_graph(inputs: Interface, outputs: Interface) -> onnx.ModelProto:
    """A graph that has its inputs and outputs and nothing to do."""
    nodes = [
        helper.make_node("ConstantOfShape", ["one"], [name], value=helper.make_tensor("v", kind[0], [1], [0]))
        for name, kind in outputs.items()
    ]
    return model_of(nodes, inputs, outputs, {"one": np.ones(3, np.int64)})


def concatenating_graph() -> onnx.ModelProto:
    """One that returns its past with the new token's state appended."""
    nodes = [
        helper.make_node("Concat", ["past_key_values.0.key", "state"], ["present.0.key"], axis=2),
        helper.make_node("Concat", ["past_key_values.0.value", "state"], ["present.0.value"], axis=2),
        helper.make_node("Cast", ["input_ids"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["floats", "last"], ["column"]),
        helper.make_node("MatMul", ["column", "head"], ["logits"]),
    ]
    constants: dict[str, NDArray[Any]] = {
        "state": np.ones((1, 2, 1, 16), np.float32),
        "head": np.ones((1, 288), np.float32),
        "last": np.array([2], np.int64),
    }
    return model_of(nodes, INPUTS, OUTPUTS, constants)


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        ({"encoder_hidden_states": KV}, {}, r"encoder-decoder \(input encoder_hidden_states\)"),
        ({"past_key_values.0.encoder.key": KV}, {}, "encoder-decoder"),
        ({"past_conv.0": KV}, {}, r"convolution state \(input past_conv\.0\)"),
        ({"past_recurrent.0": KV}, {}, "recurrent state"),
        ({"use_cache_branch": (TensorProto.BOOL, [1])}, {}, "merges two graphs"),
        ({"inputs_embeds": KV}, {}, "embeddings in place of token ids"),
        ({"pixel_values": KV}, {}, "nobody knows what to feed its input pixel_values"),
        ({"attention_mask": None}, {}, "the graph has no input attention_mask; it has input_ids, past"),
        ({"input_ids": (TensorProto.INT32, ["b", "s"])}, {}, r"input_ids is tensor\(int32\), not int64"),
        ({"past_key_values.0.key": None, "past_key_values.0.value": None}, {}, "it has no KV cache"),
        ({"past_key_values.0.key": (TensorProto.FLOAT, ["b", "p", 32])}, {}, "key has the shape"),
        ({"past_key_values.0.key": (TensorProto.FLOAT, ["b", "h", "p", 16])}, {}, "key has the shape"),
        ({"past_key_values.0.key": (TensorProto.INT8, ["b", 2, "p", 16])}, {}, r"tensor\(int8\), not float"),
        (
            {"past_key_values.0.key": (TensorProto.FLOAT16, ["b", 2, "p", 16])},
            {},
            "mixes float32 and float16",
        ),
        ({}, {"present.0.value": None}, r"the graph has no output present\.0\.value"),
        ({}, {"logits": None}, "the graph has no output logits"),
        ({}, {"logits": (TensorProto.INT64, ["b", "s", 288])}, r"logits is tensor\(int64\)"),
    ],
)
def test_graphs_of_other_kinds_are_refused_by_what_was_found(
    tmp_path: Path, inputs: dict[str, Any], outputs: dict[str, Any], message: str
) -> None:
    taken = {name: kind for name, kind in {**INPUTS, **inputs}.items() if kind}
    given = {name: kind for name, kind in {**OUTPUTS, **outputs}.items() if kind}
    folder = write_deployment(tmp_path, hollow_graph(taken, given))
    with pytest.raises(CardError, match=message):
        onnx_decoder.open(card.load(folder), SETTINGS)


@pytest.mark.usefixtures("capfd")
def test_a_graph_that_concatenates_its_cache_is_refused(tmp_path: Path) -> None:
    folder = write_deployment(tmp_path, concatenating_graph())
    with pytest.raises(CardError, match="does not run over a KV cache in place"):
        onnx_decoder.open(card.load(folder), SETTINGS)

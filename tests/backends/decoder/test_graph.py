"""Graphs that the backend cannot run, refused by their inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from inference.backends.decoder import opening
from inference.cards import card
from inference.cards.card import CardError
from tests.backends.decoder.running import SETTINGS
from tests.support.decoders import write_deployment

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
    """Return a graph of these inputs and outputs that computes zeros."""
    nodes = [
        helper.make_node("ConstantOfShape", ["one"], [name], value=helper.make_tensor("v", kind[0], [1], [0]))
        for name, kind in outputs.items()
    ]
    return model_of(nodes, inputs, outputs, {"one": np.ones(3, np.int64)})


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        ({"encoder_hidden_states": KV}, {}, r"encoder-decoder \(input encoder_hidden_states\)"),
        ({"past_key_values.0.encoder.key": KV}, {}, "encoder-decoder"),
        ({"past_recurrent.0": KV}, {}, "recurrent state"),
        ({"past_conv.0": KV}, {}, r"convolution state .* \(input past_conv\.0\)"),
        ({"conv_cache.0": KV}, {}, r"convolution state .* \(input conv_cache\.0\)"),
        ({"past_ssm.0": KV}, {}, "recurrent state"),
        ({"past_key_values.0.key_value": KV}, {}, "keys and values in one tensor"),
        ({"token_type_ids": IDS}, {}, "its input token_type_ids is unknown"),
        ({"input_ids": (TensorProto.INT64, ["b", 1])}, {}, "second of a pair .* decoder_model_merged.onnx"),
        ({"inputs_embeds": KV}, {}, "embeddings in place of token ids"),
        ({"pixel_values": KV}, {}, "its input pixel_values is unknown"),
        ({"attention_mask": None}, {}, "the graph has no input attention_mask; it has input_ids, past"),
        ({"input_ids": (TensorProto.INT32, ["b", "s"])}, {}, r"input_ids is tensor\(int32\), not int64"),
        (
            {"past_key_values.0.key": None, "past_key_values.0.value": None},
            {},
            "no KV cache: .* first of a pair of files: name decoder_model_merged.onnx",
        ),
        (
            {"past_key_values.0.key": None, "past_key_values.0.value": None},
            {"present.0.key": None, "present.0.value": None},
            "it has no KV cache: no input's name starts with 'past_key_values.'$",
        ),
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
def test_graph_of_another_kind_is_refused_by_its_inputs_and_outputs(
    tmp_path: Path, inputs: dict[str, Any], outputs: dict[str, Any], message: str
) -> None:
    with_inputs = {name: kind for name, kind in {**INPUTS, **inputs}.items() if kind}
    with_outputs = {name: kind for name, kind in {**OUTPUTS, **outputs}.items() if kind}
    folder = write_deployment(tmp_path, hollow_graph(with_inputs, with_outputs))
    with pytest.raises(CardError, match=message):
        opening.open(card.load(folder), SETTINGS)


def test_graph_that_updates_its_cache_in_neither_way_is_refused(tmp_path: Path) -> None:
    folder = write_deployment(tmp_path, hollow_graph(INPUTS, OUTPUTS))
    with pytest.raises(CardError, match=r"neither over a KV cache in place.*, nor .* longer \(present\.0"):
        opening.open(card.load(folder), SETTINGS)


def test_head_size_that_no_file_states_is_refused(tmp_path: Path) -> None:
    open_kv = (TensorProto.FLOAT, ["batch", 2, "past", "size"])
    past = {"past_key_values.0.key": open_kv, "past_key_values.0.value": open_kv}
    folder = write_deployment(tmp_path, hollow_graph({**INPUTS, **past}, OUTPUTS))
    with pytest.raises(
        CardError,
        match=r"has the shape .*'size'\], and neither genai_config\.json \(head_size\) nor config\.json",
    ):
        opening.open(card.load(folder), SETTINGS)

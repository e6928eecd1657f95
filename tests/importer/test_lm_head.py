"""The edit changes what is computed and no number of it; where it is not certain, nothing is written."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from inference.backends.decoder.row_decoder import RowDecoder
from inference.importer.lm_head import OnnxMissing, add_indices, gather_before_lm_head
from starters.decoder_graph import decoder_graph, random_weights
from tests.backends.decoder.running import bare, random_prompt
from tests.backends.decoder.test_golden import GOLDEN, NAMES
from tests.support.decoders import SHAPE, write_deployment

CONTEXT, VOCABULARY = 128, 128
"""Of the golden decoders; Phi-3 has its short angles in that context."""
MERGED = {name for name in NAMES if name.endswith("merged")}
WEIGHTS = random_weights(SHAPE, 0)
Edit = Callable[[onnx.ModelProto], None]


def everything(decoder: RowDecoder, vocabulary: int) -> list[NDArray[np.float32]]:
    """Logits of every kind of run."""
    first, second = (
        tuple(token % vocabulary for token in random_prompt(length, seed=1)) for length in (70, 9)
    )
    found = [decoder.prefill(0, first, 0).copy(), decoder.prefill(1, second, 0).copy()]
    tokens, lengths = np.array([5, 6]), np.array([71, 10])
    found += [decoder.decode(tokens[:count], lengths[:count]).copy() for count in (1, 2)]
    found.append(decoder.score(2, first, 0).copy())
    found.append(decoder.prefill_together(2, [second, first]).copy())
    return found


@pytest.mark.parametrize("name", sorted(set(NAMES) - MERGED))
def test_every_logit_of_every_kind_of_decoder_is_the_same_bit_for_bit(tmp_path: Path, name: str) -> None:
    shutil.copy(GOLDEN / name / "config.json", tmp_path)
    assert gather_before_lm_head(GOLDEN / name / "model.onnx", tmp_path / "model.onnx")
    with (
        bare(GOLDEN / name / "model.onnx", context=CONTEXT) as (plain, _),
        bare(tmp_path / "model.onnx", context=CONTEXT) as (edited, _),
    ):
        assert edited.traits == plain.traits
        expected, found = everything(plain, VOCABULARY), everything(edited, VOCABULARY)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def in_float_activations(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name == "accuracy_level":
                attribute.i = 0


def capped(model: onnx.ModelProto) -> None:
    """30 tanh(logits / 30) with a bias before it, in a type of its own."""
    graph = model.graph
    graph.node[-1].output[0] = "head"
    bias = np.linspace(-1, 1, SHAPE.vocab, dtype=np.float32)
    graph.initializer.append(numpy_helper.from_array(bias, "bias"))
    graph.initializer.append(numpy_helper.from_array(np.array(30, np.float32), "cap"))
    graph.node.extend(
        [
            helper.make_node("Add", ["bias", "head"], ["biased"]),
            helper.make_node("Div", ["biased", "cap"], ["divided"]),
            helper.make_node("Tanh", ["divided"], ["squashed"]),
            helper.make_node("Cast", ["squashed"], ["cast"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["cast", "cap"], ["logits"]),
        ]
    )


@pytest.mark.parametrize(
    ("bits", "change"),
    [(32, lambda _: None), (8, lambda _: None), (8, in_float_activations), (32, capped), (8, capped)],
)
def test_heads_of_blocks_biases_and_caps_too(tmp_path: Path, bits: Any, change: Edit) -> None:
    model = decoder_graph(SHAPE, WEIGHTS, bits=bits)
    change(model)
    plain = write_deployment(tmp_path, model) / "model.onnx"
    edited = plain.with_name("edited.onnx")
    assert gather_before_lm_head(plain, edited)
    with bare(plain) as (decoder, _):
        expected = everything(decoder, 250)
    with bare(edited) as (decoder, _):
        assert decoder.traits.batches
        for one, other in zip(everything(decoder, 250), expected, strict=True):
            np.testing.assert_array_equal(one, other)


def twice_read(model: onnx.ModelProto) -> None:
    capped(model)
    model.graph.node.append(helper.make_node("Shape", ["biased"], ["shape"]))
    model.graph.output.append(helper.make_tensor_value_info("shape", TensorProto.INT64, [3]))


def by_position(model: onnx.ModelProto) -> None:
    capped(model)
    model.graph.initializer[-1].CopyFrom(numpy_helper.from_array(np.full((1, 1, 1), 30, np.float32), "cap"))


def with_keep(model: onnx.ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("num_logits_to_keep", TensorProto.INT64, []))


def unknown_tail(model: onnx.ModelProto) -> None:
    model.graph.node[-1].output[0] = "head"
    model.graph.node.append(helper.make_node("Softmax", ["head"], ["logits"]))


def by_an_input(model: onnx.ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("table", TensorProto.FLOAT, [64, 288]))
    model.graph.node[-1].input[1] = "table"


def in_large_blocks(model: onnx.ModelProto) -> None:
    """What a row's logits are depends on how many rows there are."""
    head = model.graph.node[-1]
    for attribute in head.attribute:
        if attribute.name == "block_size":
            attribute.i = 64


@pytest.mark.parametrize(
    ("bits", "change"),
    [
        (32, twice_read),
        (32, by_position),
        (32, with_keep),
        (32, unknown_tail),
        (32, by_an_input),
        (8, in_large_blocks),
    ],
)
def test_what_is_not_certain_is_left_alone(bits: Any, change: Edit) -> None:
    model = decoder_graph(SHAPE, WEIGHTS, bits=bits)
    change(model)
    before = model.SerializeToString(deterministic=True)
    assert not add_indices(model)
    assert model.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize("name", sorted(MERGED))
def test_where_it_does_not_fit_nothing_is_written(tmp_path: Path, name: str) -> None:
    assert not gather_before_lm_head(GOLDEN / name / "model.onnx", tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_an_edited_graph_is_not_edited_again(tmp_path: Path) -> None:
    model = decoder_graph(SHAPE, WEIGHTS)
    assert add_indices(model)
    assert not add_indices(model)


def test_weights_beside_the_graph_stay_beside_it(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    model = decoder_graph(SHAPE, WEIGHTS)
    beside: dict[str, Any] = {"save_as_external_data": True, "location": "model.data", "size_threshold": 0}
    onnx.save(model, source / "model.onnx", **beside)
    assert gather_before_lm_head(source / "model.onnx", target / "model.onnx")
    assert sorted(path.name for path in target.iterdir()) == ["model.data", "model.onnx"]
    assert (target / "model.data").samefile(source / "model.data")
    assert (target / "model.onnx").stat().st_size < (source / "model.data").stat().st_size / 4
    assert gather_before_lm_head(source / "model.onnx", source / "edited.onnx")
    assert (source / "model.data").stat().st_nlink == 2


def test_weights_outside_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    model = decoder_graph(SHAPE, WEIGHTS)
    entry = model.graph.initializer[0].external_data.add()
    entry.key, entry.value = "location", "../secret"
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    assert not gather_before_lm_head(tmp_path / "model.onnx", tmp_path / "edited.onnx")


def test_without_the_package_it_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(OnnxMissing, match="pip install onnx"):
        gather_before_lm_head(tmp_path / "model.onnx", tmp_path / "edited.onnx")

"""The lm_head edit changes no number, and graphs with an unknown end are left alone."""

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
from tests.backends.decoder.running import bare, random_prompt
from tests.backends.decoder.test_golden import GOLDEN, NAMES
from tests.support.decoders import SHAPE, write_deployment
from tools.graphs.decoder_graph import decoder_graph, random_weights

CONTEXT, VOCABULARY = 128, 128
"""Sizes of the golden decoders; Phi-3 uses its short angles in that context."""
MERGED = {name for name in NAMES if name.endswith("merged")}
WEIGHTS = random_weights(SHAPE, 0)
Edit = Callable[[onnx.ModelProto], None]


def all_logits(decoder: RowDecoder, vocabulary: int) -> list[NDArray[np.float32]]:
    """Return the logits of every kind of run."""
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
def test_logits_of_every_decoder_are_the_same_bit_for_bit(tmp_path: Path, name: str) -> None:
    shutil.copy(GOLDEN / name / "config.json", tmp_path)
    assert gather_before_lm_head(GOLDEN / name / "model.onnx", tmp_path / "model.onnx")
    with (
        bare(GOLDEN / name / "model.onnx", context=CONTEXT) as (plain, _),
        bare(tmp_path / "model.onnx", context=CONTEXT) as (edited, _),
    ):
        assert edited.traits == plain.traits
        expected, found = all_logits(plain, VOCABULARY), all_logits(edited, VOCABULARY)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def in_float_activations(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name == "accuracy_level":
                attribute.i = 0


def capped(model: onnx.ModelProto) -> None:
    """Add a bias and a soft cap, 30 tanh(logits / 30), with a cast of its own."""
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
def test_lm_heads_in_blocks_with_bias_and_cap_are_edited(tmp_path: Path, bits: Any, change: Edit) -> None:
    model = decoder_graph(SHAPE, WEIGHTS, bits=bits)
    change(model)
    plain = write_deployment(tmp_path, model) / "model.onnx"
    edited = plain.with_name("edited.onnx")
    assert gather_before_lm_head(plain, edited)
    with bare(plain) as (decoder, _):
        expected = all_logits(decoder, 250)
    with bare(edited) as (decoder, _):
        assert decoder.traits.batches
        for one, other in zip(all_logits(decoder, 250), expected, strict=True):
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
    """Make a row's logits depend on the number of rows."""
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
def test_a_graph_with_an_unknown_end_is_left_alone(bits: Any, change: Edit) -> None:
    model = decoder_graph(SHAPE, WEIGHTS, bits=bits)
    change(model)
    before = model.SerializeToString(deterministic=True)
    assert not add_indices(model)
    assert model.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize("name", sorted(MERGED))
def test_nothing_is_written_for_a_graph_that_cannot_be_edited(tmp_path: Path, name: str) -> None:
    assert not gather_before_lm_head(GOLDEN / name / "model.onnx", tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_an_edited_graph_is_not_edited_again(tmp_path: Path) -> None:
    model = decoder_graph(SHAPE, WEIGHTS)
    assert add_indices(model)
    assert not add_indices(model)


def test_external_data_stays_external(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    model = decoder_graph(SHAPE, WEIGHTS)
    external: dict[str, Any] = {"save_as_external_data": True, "location": "model.data", "size_threshold": 0}
    onnx.save(model, source / "model.onnx", **external)
    assert gather_before_lm_head(source / "model.onnx", target / "model.onnx")
    assert sorted(path.name for path in target.iterdir()) == ["model.data", "model.onnx"]
    assert (target / "model.data").samefile(source / "model.data")
    assert (target / "model.onnx").stat().st_size < (source / "model.data").stat().st_size / 4
    assert gather_before_lm_head(source / "model.onnx", source / "edited.onnx")
    assert (source / "model.data").stat().st_nlink == 2


def test_external_data_outside_the_folder_is_refused(tmp_path: Path) -> None:
    model = decoder_graph(SHAPE, WEIGHTS)
    entry = model.graph.initializer[0].external_data.add()
    entry.key, entry.value = "location", "../secret"
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    assert not gather_before_lm_head(tmp_path / "model.onnx", tmp_path / "edited.onnx")


def test_a_missing_onnx_package_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(OnnxMissing, match="pip install onnx"):
        gather_before_lm_head(tmp_path / "model.onnx", tmp_path / "edited.onnx")

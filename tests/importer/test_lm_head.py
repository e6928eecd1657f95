"""The lm_head edit changes no number, and graphs with an unknown end are left alone."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from inference.backends.decoder.row_decoder import RowDecoder
from inference.importer import lm_head_search
from inference.importer.lm_head import OnnxMissing, add_indices, gather_before_lm_head
from tests.backends.decoder.running import bare, random_prompt
from tests.backends.decoder.test_golden import GOLDEN, NAMES
from tests.support.decoders import SHAPE, write_deployment
from tools.graphs.decoder_graph import decoder_graph, random_weights

CONTEXT, VOCABULARY = 128, 128
"""Sizes of the golden decoders; Phi-3 uses its short angles in that context."""
LEFT_ALONE = {name for name in NAMES if name.endswith(("merged", "pruned"))}
"""Graphs of two branches, and those with the logits of the last position alone."""
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


@pytest.mark.parametrize("name", sorted(set(NAMES) - LEFT_ALONE))
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


DEEP = 64
TAILS: dict[str, list[tuple[str, tuple[str, ...]]]] = {
    "scaled by division": [("Div", ("{}", "number"))],
    "scaled by product": [("Mul", ("number", "{}"))],
    "capped": [("Div", ("{}", "number")), ("Tanh", ("{}",)), ("Mul", ("{}", "number"))],
    "biased": [("Add", ("{}", "bias"))],
    "biased and scaled": [("Add", ("bias", "{}")), ("Mul", ("{}", "number"))],
    "passed on": [("Identity", ("{}",))] * 5000,
    "unknown": [("Mul", ("{}", "number")), ("Erf", ("{}",))],
    "squared": [("Mul", ("{}", "{}"))],
}


def deep_graph(tail: str, *, head: str = "MatMul") -> onnx.ModelProto:
    """Build a graph of `DEEP` layers without fusions, each of which reads its input four times."""
    nodes, states = [], "states"
    for layer in range(DEEP):
        for part, (one, other) in enumerate(
            [(states, states), (f"{layer}.0", states), (f"{layer}.1", states)]
        ):
            nodes.append(helper.make_node("Add", [one, other], [f"{layer}.{part}"]))
        states = f"{layer}.2"
    weights = [
        numpy_helper.from_array(np.ones((8, 16), np.float32), "weight"),
        numpy_helper.from_array(np.array(7, np.float32), "number"),
        numpy_helper.from_array(np.ones(16, np.float32), "bias"),
        numpy_helper.from_array(np.array([1, -1, 16]), "shape"),
    ]
    nodes += HEADS[head](states)
    name = "head"
    for index, (operator, names) in enumerate(TAILS[tail]):
        nodes.append(helper.make_node(operator, [one.format(name) for one in names], [f"tail{index}"]))
        name = f"tail{index}"
    nodes[-1].output[0] = "logits"
    sizes = ["batch", "sequence"]
    inputs = [helper.make_tensor_value_info("states", TensorProto.FLOAT, [*sizes, 8])]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [*sizes, 16])]
    graph = helper.make_graph(nodes, "deep", inputs, outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def dynamically_quantized(states: str) -> list[onnx.NodeProto]:
    """Round the activations with one scale for all positions, as onnxruntime's quantizer does."""
    levels = numpy_helper.from_array(np.ones((8, 16), np.uint8))
    return [
        helper.make_node("Constant", [], ["levels"], value=levels),
        helper.make_node("DynamicQuantizeLinear", [states], ["q", "scale", "zero"]),
        helper.make_node("MatMulInteger", ["q", "levels", "zero"], ["sums"]),
        helper.make_node("Cast", ["sums"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["scale", "number"], ["scales"]),
        helper.make_node("Mul", ["floats", "scales"], ["head"]),
    ]


def reshaped(states: str) -> list[onnx.NodeProto]:
    """Multiply flattened states, with a bias, as exporters of linear layers do."""
    return [
        helper.make_node("Constant", [], ["flat"], value_ints=[-1, 8]),
        helper.make_node("Reshape", [states, "flat"], ["rows"]),
        helper.make_node("Gemm", ["rows", "weight", "bias"], ["products"]),
        helper.make_node("Reshape", ["products", "shape"], ["head"]),
    ]


HEADS: dict[str, Callable[[str], list[onnx.NodeProto]]] = {
    "MatMul": lambda states: [helper.make_node("MatMul", [states, "weight"], ["head"])],
    "Gemm": reshaped,
    "quantized": dynamically_quantized,
}
LOOKS = 3
"""Most times that a node may be looked at."""


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("tail", TAILS)
def test_a_deep_graph_is_searched_once(monkeypatch: pytest.MonkeyPatch, tail: str, head: str) -> None:
    model = deep_graph(tail, head=head)
    nodes, looked, find = len(model.graph.node), [], lm_head_search.attribute

    def counted(node: onnx.NodeProto, name: str) -> Any:
        looked.append(name)
        return find(node, name)

    monkeypatch.setattr(lm_head_search, "attribute", counted)
    counting = CountingNodes(model.graph)
    found = lm_head_search.find_lm_head(cast("onnx.GraphProto", counting))
    assert (found is not None) is (head != "quantized" and tail not in ("unknown", "squared"))
    assert counting.yielded <= LOOKS * nodes
    assert len(looked) <= LOOKS * nodes


class CountingNodes:
    """A graph that counts how often its nodes are read."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        self.yielded = 0

    @property
    def node(self) -> Iterator[onnx.NodeProto]:
        for node in self._graph.node:
            self.yielded += 1
            yield node

    def __getattr__(self, name: str) -> Any:
        return getattr(self._graph, name)


@pytest.mark.parametrize("head", ["MatMul", "Gemm"])
@pytest.mark.parametrize("tail", sorted(TAILS.keys() - {"unknown", "squared", "passed on"}))
def test_logits_of_a_deep_graph_are_the_same(tail: str, head: str) -> None:
    model = deep_graph(tail, head=head)
    states = np.random.default_rng(0).normal(size=(2, 5, 8), scale=2.0**-130).astype(np.float32)
    expected = run(model, {"states": states}).reshape(1, 10, 16)
    assert add_indices(model)
    chosen = np.array([9, 0, 4])
    np.testing.assert_array_equal(
        run(model, {"states": states, "logits_indices": chosen}), expected[:, chosen]
    )


def run(model: onnx.ModelProto, feeds: dict[str, Any]) -> NDArray[np.float32]:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found: NDArray[np.float32] = session.run(["logits"], feeds)[0]
    return found


def last_position_alone(model: onnx.ModelProto) -> None:
    """Compute the logits of the last position, as the builder does with `prune_lm_head`."""
    graph, head = model.graph, model.graph.node[-1]
    graph.initializer.append(numpy_helper.from_array(np.array([-1]), "last"))
    graph.node.insert(
        len(graph.node) - 1, helper.make_node("Gather", [head.input[0], "last"], ["one"], axis=1)
    )
    head = graph.node[-1]
    head.input[0] = "one"
    graph.output[0].type.tensor_type.shape.dim[1].dim_value = 1


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
        (32, last_position_alone),
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


@pytest.mark.parametrize("name", sorted(LEFT_ALONE))
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
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../secret"
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    assert not gather_before_lm_head(tmp_path / "model.onnx", tmp_path / "edited.onnx")


def test_a_missing_onnx_package_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(OnnxMissing, match="pip install onnx"):
        gather_before_lm_head(tmp_path / "model.onnx", tmp_path / "edited.onnx")

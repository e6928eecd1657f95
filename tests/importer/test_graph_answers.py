"""An edited graph is compared with its original by its answers to a few tokens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from inference.importer import lm_head, rewrite
from inference.importer.graph_answers import GraphSizes, answer_alike
from inference.importer.lm_head import add_indices
from inference.importer.lm_head_search import LmHead, find_lm_head
from inference.settings import Settings
from tests.importer.models import added, card, decoder
from tests.support.decoders import SHAPE
from tools.graphs.decoder_graph import decoder_graph, random_weights

SIZES = GraphSizes(None, 64)
SETTINGS = Settings(threads=1)
Change = Callable[[onnx.ModelProto], None]


def keep(model: onnx.ModelProto) -> None:
    assert add_indices(model)


def shift_positions(model: onnx.ModelProto) -> None:
    """Gather the states of the token before."""
    keep(model)
    gather = next(
        node for node in model.graph.node if node.op_type == "Gather" and node.input[1] == "logits_indices"
    )
    index = list(model.graph.node).index(gather)
    model.graph.initializer.append(numpy_helper.from_array(np.array(1), "one"))
    model.graph.node.insert(index, helper.make_node("Sub", ["logits_indices", "one"], ["before"]))
    gather.input[1] = "before"


def scale(model: onnx.ModelProto) -> None:
    model.graph.node[-1].output[0] = "head"
    model.graph.initializer.append(numpy_helper.from_array(np.array(1.01, np.float32), "factor"))
    model.graph.node.append(helper.make_node("Mul", ["head", "factor"], ["logits"]))


def fail(model: onnx.ModelProto) -> None:
    """Refuse every run of more than one token, as a graph does whose states are those of the last one."""
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, 1, 288]), "shape"))
    model.graph.node[-1].output[0] = "head"
    model.graph.node.append(helper.make_node("Reshape", ["head", "shape"], ["logits"]))


def spoil(model: onnx.ModelProto) -> None:
    del model.graph.node[:]


@pytest.mark.parametrize(
    ("change", "alike"),
    [
        (lambda _: None, True),
        (keep, True),
        (shift_positions, False),
        (scale, False),
        (fail, False),
        (spoil, False),
    ],
    ids=["unchanged", "edited", "shifted", "scaled", "failing", "unreadable"],
)
def test_graphs_are_alike_by_their_logits(tmp_path: Path, change: Change, alike: bool) -> None:
    original, edited = tmp_path / "original.onnx", tmp_path / "edited.onnx"
    model = decoder_graph(SHAPE, random_weights(SHAPE, 0))
    onnx.save(model, original)
    change(model)
    edited.write_bytes(model.SerializeToString())
    assert answer_alike(original, edited, SIZES, SETTINGS) is alike
    assert answer_alike(edited, original, SIZES, SETTINGS) is alike


def test_an_edit_with_other_answers_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def swapped(graph: onnx.GraphProto) -> LmHead | None:
        """Find the product before the lm_head's, and call it that."""
        head = find_lm_head(graph)
        assert head is not None
        head.node.input[1] = "other"
        width = head.hidden_size, head.width
        graph.initializer.append(numpy_helper.from_array(np.ones(width, np.float32), "other"))
        return head

    monkeypatch.setattr(lm_head, "find_lm_head", swapped)
    reports: list[str] = []
    made = added(decoder(tmp_path), tmp_path / "deployments", reports)
    assert card(made)["files"]["model"] == "model.onnx"
    assert not (made / "model_gathered.onnx").exists()
    assert any("an edit that saves the needless ones did not answer as it does" in one for one in reports)


def test_a_graph_that_is_not_opened_is_not_edited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewrite, "gather_before_lm_head", lambda *_: pytest.fail("edited"))
    reports: list[str] = []
    made = added(decoder(tmp_path), tmp_path / "deployments", reports, opens=False)
    assert card(made)["files"]["model"] == "model.onnx"
    assert any("stays as it is (--no-open)" in one for one in reports)


@pytest.mark.parametrize("declared", [True, False])
def test_a_graph_with_logits_of_the_last_position_alone_serves_as_it_is(
    tmp_path: Path, declared: bool
) -> None:
    source = decoder(tmp_path)
    model = onnx.load(source / "model.onnx")
    graph, head = model.graph, model.graph.node[-1]
    graph.initializer.append(numpy_helper.from_array(np.array([-1]), "last"))
    gather = helper.make_node("Gather", [head.input[0], "last"], ["state"], axis=1)
    head.input[0] = "state"
    graph.node.insert(len(graph.node) - 1, gather)
    if declared:
        graph.output[0].type.tensor_type.shape.dim[1].dim_value = 1
    onnx.save(model, source / "model.onnx")
    assert card(added(source, tmp_path / "deployments"))["files"]["model"] == "model.onnx"

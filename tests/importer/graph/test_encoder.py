"""A BERT that the importer writes, against the hidden states of transformers (`make_graphs`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.backends.session import open_session
from inference.importer.findings import ImporterError
from inference.importer.graph.checkpoint_graph import write_graph
from inference.importer.graph.weights import WeightSource
from inference.settings import Settings
from tests.importer.graph.sources import Blocks, Tensors, golden, golden_weights

CASE = golden("encoders/bert")
TOKENS = np.array(CASE["inputs"]["attention_mask"], bool)


def states(folder: Path, weights: WeightSource, **config: Any) -> NDArray[np.float32]:
    path = folder / "model.onnx"
    write_graph({**CASE["config"], **config}, weights, path, progress=lambda _: None)
    inputs = {name: np.array(values) for name, values in CASE["inputs"].items()}
    found: NDArray[np.float32] = open_session(path, Settings(threads=1)).run(None, inputs)[0]
    return found


def test_hidden_states_are_those_of_transformers_and_padding_has_no_part(tmp_path: Path) -> None:
    found = states(tmp_path, golden_weights(CASE))
    np.testing.assert_allclose(found[TOKENS], np.array(CASE["states"])[TOKENS], atol=2e-4)


def test_names_under_the_towers_prefix_are_found(tmp_path: Path) -> None:
    arrays = {f"bert.{name}": values for name, values in golden_weights(CASE).arrays.items()}
    arrays["cls.predictions.bias"] = np.zeros(64, np.float32)
    found = states(tmp_path, Tensors(arrays))
    np.testing.assert_allclose(found[TOKENS], np.array(CASE["states"])[TOKENS], atol=2e-4)


@pytest.mark.parametrize("bits", [4, 8])
def test_blocks_are_near_their_floats(tmp_path: Path, bits: Literal[4, 8]) -> None:
    blocks = Blocks(golden_weights(CASE), bits)
    found, exact = states(tmp_path, blocks), states(tmp_path, blocks.unpacked)
    assert (found - exact)[TOKENS].std() < 0.05 * exact[TOKENS].std()


def test_what_the_graph_cannot_express_is_refused(tmp_path: Path) -> None:
    for config, problem in (
        ({"hidden_act": "relu"}, "activation gelu and absolute positions only"),
        ({"num_hidden_layers": 0}, "no num_hidden_layers above 0"),
        ({"type_vocab_size": 3}, r"token_type_embeddings.weight has the shape \[2, 32\]"),
    ):
        with pytest.raises(ImporterError, match=problem):
            states(tmp_path, golden_weights(CASE), **config)
    assert list(tmp_path.iterdir()) == []

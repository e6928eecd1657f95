"""Cards of image encoders: the pooling of hidden states, and what a text tower declares."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from inference.backends.vision.image_encoder import open as open_encoder
from inference.cards.card import load
from inference.importer.findings import ImporterError
from inference.settings import Settings
from tests.importer.models import added, bare, card
from tests.support.decoders import write_json
from tests.support.encoders import DIMENSIONS, EDGE, PATCH, write_image_encoder

IMAGE = np.random.default_rng(3).integers(0, 255, (EDGE, EDGE, 3), np.uint8)


def hidden_states(folder: Path, *others: str) -> Path:
    """Write a vision graph as a ViT has it: [batch, patches, dimensions], and outputs of one vector."""
    source = bare(write_image_encoder(folder, with_text=False))
    kernel = np.random.default_rng(1).standard_normal((DIMENSIONS, 3, PATCH, PATCH)).astype(np.float32)
    batch, size = "batch", DIMENSIONS
    nodes = [
        helper.make_node("Conv", ["pixel_values", "kernel"], ["patches"], strides=[PATCH, PATCH]),
        helper.make_node("Reshape", ["patches", "shape"], ["flat"]),
        helper.make_node("Transpose", ["flat"], ["last_hidden_state"], perm=[0, 2, 1]),
        *(helper.make_node("ReduceMax", ["flat"], [name], axes=[2], keepdims=0) for name in others),
    ]
    graph = helper.make_graph(
        nodes,
        "vit",
        [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, [batch, 3, EDGE, EDGE])],
        [
            helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, [batch, "tokens", size]),
            *(helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, size]) for name in others),
        ],
        [
            onnx.numpy_helper.from_array(kernel, "kernel"),
            onnx.numpy_helper.from_array(np.array([0, size, -1]), "shape"),
        ],
    )
    (source / "vision_model.onnx").unlink()
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(source / "model.onnx"))
    return source


def config(source: Path, **content: Any) -> None:
    write_json(source / "config.json", content)


async def vector(deployment: Path) -> np.ndarray[Any, Any]:
    model = open_encoder(load(deployment), Settings(models=()))
    try:
        return np.asarray((await model.embedder.embed_images([IMAGE]))[0])
    finally:
        model.embedder.close()


def expected(deployment: Path, pool: Any) -> np.ndarray[Any, Any]:
    """Return the vector that numpy makes of the graph's own hidden states."""
    from inference.backends.vision.preprocessing import Preprocessor

    pixels = Preprocessor.open(deployment / "preprocessor_config.json")(IMAGE)[None]
    session = ort.InferenceSession(str(deployment / "model.onnx"))
    (hidden,) = session.run(["last_hidden_state"], {"pixel_values": pixels})
    pooled = pool(np.asarray(hidden)[0])
    return np.asarray(pooled / np.linalg.norm(pooled))


@pytest.mark.parametrize("family", ["dinov2", "vit"])
def test_the_first_token_is_taken_where_the_family_says_so(tmp_path: Path, family: str) -> None:
    source = hidden_states(tmp_path)
    config(source, model_type=family)
    made = added(source, tmp_path / "deployments")
    assert card(made)["embedding"] == {"normalize": True, "pooling": "cls", "dimensions": DIMENSIONS}
    found = asyncio.run(vector(made))
    np.testing.assert_allclose(found, expected(made, lambda hidden: hidden[0]), atol=1e-6)


def test_the_pooling_of_the_command_line_is_taken(tmp_path: Path) -> None:
    source = hidden_states(tmp_path, "pooler_output")
    config(source, model_type="dinov2")
    made = added(source, tmp_path / "deployments", pooling="mean")
    assert card(made)["embedding"]["pooling"] == "mean"
    found = asyncio.run(vector(made))
    np.testing.assert_allclose(found, expected(made, lambda hidden: hidden.mean(axis=0)), atol=1e-6)


def test_hidden_states_without_a_known_pooling_are_refused_with_the_option(tmp_path: Path) -> None:
    source = hidden_states(tmp_path)
    config(source, model_type="resnet")
    with pytest.raises(ImporterError, match="Set it with --pooling cls, the first one, or --pooling mean"):
        added(source, tmp_path / "deployments")


def test_a_pooled_output_goes_before_hidden_states(tmp_path: Path) -> None:
    source = hidden_states(tmp_path, "pooler_output")
    config(source, model_type="vit")
    assert "pooling" not in card(added(source, tmp_path / "deployments"))["embedding"]


def test_a_pooling_needs_hidden_states(tmp_path: Path) -> None:
    source = bare(write_image_encoder(tmp_path, with_text=False))
    with pytest.raises(ImporterError, match="is for graphs with the output last_hidden_state"):
        added(source, tmp_path / "deployments", pooling="cls")


def test_a_text_tower_declares_what_embeddings_honour(tmp_path: Path) -> None:
    made = card(added(bare(write_image_encoder(tmp_path)), tmp_path / "deployments"))
    assert made["extras"] == {"truncate": {}}
    alone = card(added(bare(write_image_encoder(tmp_path, name="alone", with_text=False)), tmp_path / "d"))
    assert alone["extras"] == {}


def test_the_context_of_a_text_tower_is_that_of_the_command_line(tmp_path: Path) -> None:
    source = bare(write_image_encoder(tmp_path))
    config(source, vision_config={}, text_config={})
    with pytest.raises(ImporterError, match="Set it with --context N"):
        added(source, tmp_path / "deployments")
    assert card(added(source, tmp_path / "deployments", context=20))["context"] == 20

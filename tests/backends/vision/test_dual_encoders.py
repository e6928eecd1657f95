"""Exports of CLIP, SigLIP and SigLIP 2 against transformers: see tests/golden/make_dual_encoders.py."""

import asyncio
import json
import shutil
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

from inference.backends import BACKENDS
from inference.backends.loaded_models import ImageEmbeddingModel, LoadedModel
from inference.cards.card import CardError, load
from inference.images.decode import decode_image
from inference.pipeline.image_embedding import combined
from inference.settings import Settings
from tests.golden.make_dual_encoders import CONTEXT, EDGE, FAMILIES, GOLDEN, HIDDEN, IMAGE_SIZES, PATCH, TEXTS
from tests.golden.make_preprocessing import sample_image
from tests.support import models
from tests.support.decoders import write_json

TOLERANCE = 2e-5
"""The difference in each number of a unit vector: float32 arithmetic in another order."""
EXPORTS = {
    "joint": {"model": "model.onnx", "text_model": "model.onnx"},
    "split": {"model": "vision_model.onnx", "text_model": "text_model.onnx"},
    "mixed": {"model": "vision_model.onnx", "text_model": "model.onnx"},
}

CASES = [(family, export) for family in FAMILIES for export in ("joint", "split")] + [("clip", "mixed")]


def deployment(root: Path, family: str, files: dict[str, str]) -> Path:
    folder = root / family
    shutil.copytree(GOLDEN / family, folder)
    card = {"name": family, "provider": "tests", "type": "image-embeddings", "backend": "onnx-image-encoder"}
    write_json(folder / "model.json", {**card, "files": files})
    return folder


def opened(folder: Path) -> LoadedModel:
    found = load(folder)
    return BACKENDS[found.card.backend].open(found, Settings(threads=1))


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    family, export = request.param
    model = opened(deployment(tmp_path_factory.mktemp(export), family, EXPORTS[export]))
    with np.load(GOLDEN / family / "expected.npz") as expected:
        yield model, dict(expected)
    model.close()


def images_of(model: LoadedModel) -> Any:
    return models.image_embedder(model)


async def vectors_of(model: LoadedModel, texts: list[str]) -> Any:
    return await models.text_embedder(model).embed(
        models.text_tokenizer(model).encode_batch(texts, special=True)
    )


async def test_images_match_the_reference(case: Any) -> None:
    model, expected = case
    images = [sample_image(*size) for size in IMAGE_SIZES]
    together = await images_of(model).embed_images(images)
    alone = np.concatenate([await images_of(model).embed_images([one]) for one in images])
    np.testing.assert_allclose(together, expected["images"], atol=TOLERANCE)
    np.testing.assert_allclose(alone, expected["images"], atol=TOLERANCE)


async def test_images_from_files_match_the_reference(case: Any) -> None:
    """The pixels come from the bytes of a file."""
    model, expected = case
    files = []
    for size in IMAGE_SIZES:
        file = BytesIO()
        Image.fromarray(sample_image(*size)).save(file, "PNG")
        files.append(decode_image(file.getvalue(), 10_000))
    vectors = await images_of(model).embed_images(files)
    np.testing.assert_allclose(vectors, expected["images"], atol=TOLERANCE)


async def test_texts_match_the_reference(case: Any) -> None:
    model, expected = case
    ids = models.text_tokenizer(model).encode_batch(list(TEXTS), special=True)
    assert [len(one) for one in ids] == expected["lengths"].tolist()
    np.testing.assert_allclose(await vectors_of(model, list(TEXTS)), expected["texts"], atol=TOLERANCE)
    alone = np.concatenate([await vectors_of(model, [text]) for text in TEXTS])
    np.testing.assert_allclose(alone, expected["texts"], atol=TOLERANCE)


async def test_both_towers_of_one_graph_run_at_once(case: Any) -> None:
    model, expected = case
    pixels = [sample_image(*size) for size in IMAGE_SIZES]
    for _ in range(5):
        images, texts = await asyncio.gather(
            images_of(model).embed_images(pixels), vectors_of(model, list(TEXTS))
        )
        np.testing.assert_allclose(images, expected["images"], atol=TOLERANCE)
        np.testing.assert_allclose(texts, expected["texts"], atol=TOLERANCE)


def test_dimensions_patches_and_context_are_discovered(case: Any) -> None:
    model, _ = case
    assert (images_of(model).dimensions, images_of(model).patches) == (HIDDEN, (EDGE // PATCH) ** 2)
    assert (models.text_embedder(model).dimensions, models.text_embedder(model).context) == (HIDDEN, CONTEXT)


def test_the_golden_vectors_differ_between_inputs() -> None:
    """A tower that ignores its input would otherwise pass."""
    for family in FAMILIES:
        with np.load(GOLDEN / family / "expected.npz") as expected:
            for vectors in (expected["images"], expected["texts"]):
                gaps = np.abs(vectors[:, None] - vectors).max(axis=2) + np.eye(len(vectors))
                assert gaps.min() > 100 * TOLERANCE


async def test_a_joint_graph_without_a_declared_text_tower_embeds_images(tmp_path: Path) -> None:
    model = opened(deployment(tmp_path, "clip", {"model": "model.onnx"}))
    with np.load(GOLDEN / "clip" / "expected.npz") as expected:
        vectors = await images_of(model).embed_images([sample_image(*size) for size in IMAGE_SIZES])
        np.testing.assert_allclose(vectors, expected["images"], atol=TOLERANCE)
    assert isinstance(model, ImageEmbeddingModel)
    assert model.text is None
    model.close()


def test_towers_with_and_without_a_projection_share_no_space(tmp_path: Path) -> None:
    folder = deployment(tmp_path, "clip", EXPORTS["split"])
    graph = onnx.load(folder / "vision_model.onnx")
    for node in graph.graph.node:
        node.output[:] = ["pooler_output" if name == "image_embeds" else name for name in node.output]
    graph.graph.output[0].name = "pooler_output"
    onnx.save(graph, folder / "vision_model.onnx")
    with pytest.raises(CardError, match="they share no space"):
        opened(folder)


def test_golden_folders_stay_small() -> None:
    sizes = [sum(path.stat().st_size for path in (GOLDEN / family).iterdir()) for family in FAMILIES]
    assert max(sizes) < 200_000
    assert sum(sizes) < 1_000_000


async def test_an_image_with_a_text_is_the_mean_of_unit_vectors_at_length_one() -> None:
    rng = np.random.default_rng(0)
    images, texts = (rng.normal(size=(count, 8)).astype(np.float32) for count in (3, 2))
    unit = [rows / np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True) for rows in (images, texts)]
    means = (unit[0][[2, 0]] + unit[1]) / 2
    expected = unit[0].copy()
    expected[[2, 0]] = means / np.linalg.norm(means, axis=1, keepdims=True)
    made = combined(images, texts, [2, 0])
    np.testing.assert_allclose(made, expected, atol=1e-6)
    # Neither outweighs the other: both stand at the same angle to their mean.
    to_images, to_texts = ((made[[2, 0]] * rows).sum(axis=1) for rows in (unit[0][[2, 0]], unit[1]))
    np.testing.assert_allclose(to_images, to_texts, atol=1e-6)


def test_the_files_are_what_transformers_saves() -> None:
    config = json.loads((GOLDEN / "clip" / "preprocessor_config.json").read_text())
    assert config["image_processor_type"] == "CLIPImageProcessor"

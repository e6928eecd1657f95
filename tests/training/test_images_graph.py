"""The towers' graphs on seeded weights: unit vectors, rows independent of each other and of padding."""

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from training.images.graph import text_model, vision_model
from training.images.shape import EMBEDDING, EPSILON, MAX_TOKENS, VOCABULARY, weight_shapes

Array = NDArray[np.float32]


def seeded_weights() -> dict[str, Array]:
    generator = np.random.default_rng(1)
    weights = {name: generator.standard_normal(shape, np.float32) * 0.2 for name, shape in weight_shapes()}
    return {name: abs(array) + 0.5 if name.endswith("variance") else array for name, array in weights.items()}


WEIGHTS = seeded_weights()


def opened(model: bytes) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def vision() -> onnxruntime.InferenceSession:
    return opened(vision_model(WEIGHTS).SerializeToString())


@pytest.fixture(scope="module")
def text() -> onnxruntime.InferenceSession:
    return opened(text_model(WEIGHTS).SerializeToString())


def embed_text(session: onnxruntime.InferenceSession, rows: list[list[int]], lengths: list[int]) -> Array:
    ids = np.array(rows, np.int64)
    mask = (np.arange(ids.shape[1]) < np.array(lengths)[:, None]).astype(np.int64)
    return np.asarray(session.run(None, {"input_ids": ids, "attention_mask": mask})[0])


def test_a_picture_has_one_unit_vector_whatever_its_batch(vision: onnxruntime.InferenceSession) -> None:
    pixels = np.random.default_rng(2).standard_normal((3, 3, 64, 64), np.float32)
    together = np.asarray(vision.run(None, {"pixel_values": pixels})[0])
    alone = np.asarray(vision.run(None, {"pixel_values": pixels[1:2]})[0])
    assert together.shape == (3, EMBEDDING)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(together[1:2], alone, atol=1e-5)
    assert np.abs(together[0] - together[1]).max() > 1e-3


def test_a_text_has_one_unit_vector_whatever_its_padding(text: onnxruntime.InferenceSession) -> None:
    together = embed_text(text, [[1, 40, 41, 2, 0, 0], [1, 50, 51, 52, 53, 2]], [4, 6])
    alone = embed_text(text, [[1, 40, 41, 2]], [4])
    assert together.shape == (2, EMBEDDING)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(together[:1], alone, atol=1e-5)


def test_the_order_of_words_matters(text: onnxruntime.InferenceSession) -> None:
    vectors = embed_text(text, [[1, 40, 41, 2], [1, 41, 40, 2]], [4, 4])
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-3


def test_the_longest_text_fits(text: onnxruntime.InferenceSession) -> None:
    row = [1, *range(3, MAX_TOKENS + 1), 2]
    assert max(row) < VOCABULARY
    assert embed_text(text, [row], [MAX_TOKENS]).shape == (1, EMBEDDING)


def test_the_batch_norm_is_folded_into_the_convolution() -> None:
    model = vision_model(WEIGHTS)
    bias = next(tensor for tensor in model.graph.initializer if tensor.name == "stem.0.bias")
    gain = WEIGHTS["stem.0.scale"] / np.sqrt(WEIGHTS["stem.0.variance"] + EPSILON)
    expected = WEIGHTS["stem.0.bias"] - WEIGHTS["stem.0.mean"] * gain
    np.testing.assert_allclose(np.frombuffer(bias.raw_data, np.float32), expected, rtol=1e-6)

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper

from inference.backends import BACKENDS
from inference.backends.encoder.text_encoder import TextEncoder
from inference.backends.loaded_models import ImageEmbeddingModel, LoadedModel
from inference.backends.vision.image_encoder import ImageEncoder
from inference.backends.vision.preprocessing import Preprocessor
from inference.cards.card import CardError, load
from inference.settings import PROJECT, Settings
from tests.support import models
from tests.support.decoders import write_json
from tests.support.encoders import (
    CLS,
    CONTEXT,
    DIMENSIONS,
    EDGE,
    PAD,
    PATCHES,
    PREPROCESSOR,
    SEP,
    text_graph,
    vision_graph,
    write_image_encoder,
)

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

TOLERANCE = 1e-5
STARTER = PROJECT / "models" / "starter-images"


@contextmanager
def opened(folder: Path) -> Iterator[LoadedModel]:
    deployment = load(folder)
    model = BACKENDS[deployment.card.backend].open(deployment, Settings(threads=1))
    try:
        yield model
    finally:
        model.close()


def refusal(folder: Path) -> str:
    with pytest.raises(CardError) as error, opened(folder):
        pass
    return str(error.value)


def encoder_of(model: LoadedModel) -> ImageEncoder:
    encoder = models.image_embedder(model)
    assert isinstance(encoder, ImageEncoder)
    return encoder


def text_encoder_of(model: LoadedModel) -> TextEncoder:
    encoder = models.text_embedder(model)
    assert isinstance(encoder, TextEncoder)
    return encoder


def image(height: int, width: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_image_encoder(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def model(folder: Path) -> Iterator[LoadedModel]:
    with opened(folder) as model:
        yield model


async def test_an_image_gives_the_graph_s_vector_at_length_one(folder: Path, model: LoadedModel) -> None:
    pixels = Preprocessor.open(folder / "preprocessor_config.json")(image(40, 60))
    session = ort.InferenceSession(folder / "vision_model.onnx", providers=["CPUExecutionProvider"])
    (raw,) = session.run(None, {"pixel_values": pixels[None]})
    vectors = await encoder_of(model).embed_images([image(40, 60)])
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, raw / np.linalg.norm(raw), atol=TOLERANCE)


def test_dimensions_patches_and_context_are_discovered(model: LoadedModel) -> None:
    encoder = encoder_of(model)
    assert (encoder.dimensions, encoder.patches) == (DIMENSIONS, PATCHES)
    assert (text_encoder_of(model).dimensions, text_encoder_of(model).context) == (DIMENSIONS, CONTEXT)


@settings(deadline=None)
@given(sizes=st.lists(st.tuples(st.integers(1, 80), st.integers(1, 80)), min_size=1, max_size=9))
def test_a_batch_gives_the_vectors_of_single_images_in_order(
    model: LoadedModel, sizes: list[tuple[int, int]]
) -> None:
    images = [image(height, width, place) for place, (height, width) in enumerate(sizes)]

    async def alone() -> Floats:
        return np.concatenate([await encoder_of(model).embed_images([one]) for one in images])

    together = asyncio.run(encoder_of(model).embed_images(images))
    np.testing.assert_allclose(together, asyncio.run(alone()), atol=TOLERANCE)


async def test_concurrent_requests_get_their_own_vectors(model: LoadedModel) -> None:
    requests = [[image(20, 30, 10 * number + n) for n in range(3)] for number in range(8)]
    alone = [await encoder_of(model).embed_images(request) for request in requests]
    together = await asyncio.gather(*(encoder_of(model).embed_images(request) for request in requests))
    np.testing.assert_allclose(np.stack(together), np.stack(alone), atol=TOLERANCE)


async def test_no_images_give_no_rows(model: LoadedModel) -> None:
    assert (await encoder_of(model).embed_images([])).shape == (0, DIMENSIONS)


async def test_texts_have_vectors_of_the_same_size_at_length_one(model: LoadedModel) -> None:
    ids = models.text_tokenizer(model).encode_batch(["a ship", "the lighthouse"], special=True)
    vectors = await text_encoder_of(model).embed(ids)
    assert vectors.shape == (2, DIMENSIONS)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=TOLERANCE)


async def test_a_text_tower_without_a_mask_gets_texts_padded_to_the_context(tmp_path: Path) -> None:
    """SigLIP was trained so, and CLIP is indifferent, because its attention is causal."""
    tokens = [CLS, 65, 66, SEP]
    padded = np.array([tokens + [PAD] * (CONTEXT - len(tokens))])
    folder = write_image_encoder(tmp_path, text_inputs=("input_ids",))
    session = ort.InferenceSession(folder / "text_model.onnx", providers=["CPUExecutionProvider"])
    (raw,) = session.run(None, {"input_ids": padded})
    with opened(folder) as model:
        vectors = await text_encoder_of(model).embed([tokens, [CLS, SEP]])
    np.testing.assert_allclose(vectors[0], raw[0] / np.linalg.norm(raw), atol=TOLERANCE)


async def test_the_tokenizer_s_own_pad_token_is_used(tmp_path: Path) -> None:
    folder = write_image_encoder(tmp_path, text_inputs=("input_ids",))
    with opened(folder) as model:
        before = await text_encoder_of(model).embed([[CLS, SEP]])
    write_json(folder / "tokenizer_config.json", {"pad_token": {"content": "[SEP]"}})
    with opened(folder) as model:
        after = await text_encoder_of(model).embed([[CLS, SEP]])
    assert np.abs(before - after).max() > 0.01


def test_a_vision_tower_alone_embeds_no_text(tmp_path: Path) -> None:
    with opened(write_image_encoder(tmp_path, with_text=False)) as model:
        assert isinstance(model, ImageEmbeddingModel)
        assert model.text is None
        assert encoder_of(model).dimensions == DIMENSIONS


def test_an_image_is_one_patch_without_a_patch_size(tmp_path: Path) -> None:
    folder = write_image_encoder(tmp_path, with_text=False)
    (folder / "config.json").unlink()
    with opened(folder) as model:
        assert encoder_of(model).patches == 1


async def test_a_graph_for_one_image_gets_one_at_a_time(tmp_path: Path, model: LoadedModel) -> None:
    folder = write_image_encoder(tmp_path)
    onnx.save(with_pixels(1, 3, EDGE, EDGE), folder / "vision_model.onnx")
    images = [image(40, 40, seed) for seed in range(3)]
    with opened(folder) as single:
        vectors = await encoder_of(single).embed_images(images)
    np.testing.assert_allclose(vectors, await encoder_of(model).embed_images(images), atol=TOLERANCE)


def with_pixels(*shape: int | str) -> onnx.ModelProto:
    graph = vision_graph(0)
    graph.graph.input[0].CopyFrom(
        helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, list(shape))
    )
    return graph


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [
        (
            ("batch", 3, 64, 64),
            r"the graph takes images of [3, 64, 64], the preprocessor makes [3, 32, 32]",
        ),
        (("batch", 1, EDGE, EDGE), "the graph takes images of [1, 32, 32]"),
        ((4, 3, EDGE, EDGE), "takes exactly 4 images a run"),
    ],
)
def test_graphs_of_other_image_sizes_are_refused(
    tmp_path: Path, shape: tuple[int | str, ...], sentence: str
) -> None:
    folder = write_image_encoder(tmp_path)
    onnx.save(with_pixels(*shape), folder / "vision_model.onnx")
    assert sentence in refusal(folder)


def test_a_graph_of_video_frames_is_refused(tmp_path: Path) -> None:
    folder = write_image_encoder(tmp_path)
    frames = helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["batch", 8, 3, EDGE, EDGE])
    vector = helper.make_tensor_value_info("image_embeds", TensorProto.FLOAT, ["batch", "numbers"])
    node = helper.make_node("Flatten", ["pixel_values"], ["image_embeds"])
    graph = helper.make_graph([node], "film", [frames], [vector])
    onnx.save(
        helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]),
        folder / "vision_model.onnx",
    )
    assert "the graph takes images of [8, 3, 32, 32]" in refusal(folder)


def test_other_inputs_than_pixels_are_refused(tmp_path: Path) -> None:
    folder = write_image_encoder(tmp_path)
    graph = vision_graph(0)
    graph.graph.input.append(helper.make_tensor_value_info("bbox", TensorProto.FLOAT, ["batch", 4]))
    onnx.save(graph, folder / "vision_model.onnx")
    assert "the graph has the inputs bbox; it must have pixel_values alone" in refusal(folder)


def test_an_output_that_is_not_one_vector_an_image_is_refused(tmp_path: Path) -> None:
    folder = write_image_encoder(tmp_path)
    graph = vision_graph(0)
    patches = next(node.output[0] for node in graph.graph.node if node.op_type == "Tanh")
    graph.graph.node[-1].input[0] = patches
    graph.graph.output[0].CopyFrom(helper.make_tensor_value_info("image_embeds", TensorProto.FLOAT, None))
    onnx.save(graph, folder / "vision_model.onnx")
    assert "image_embeds is [1, 16, 4, 4], not one vector an image" in refusal(folder)


def test_towers_of_different_spaces_are_refused(tmp_path: Path) -> None:
    folder = write_image_encoder(tmp_path)
    onnx.save(text_graph(0, output="last_hidden_state"), folder / "text_model.onnx")
    assert "a text becomes [2, 16] numbers, an image 16" in refusal(folder)


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        ("vision_model.onnx", "files.model"),
        ("text_model.onnx", "files.text_model"),
        ("tokenizer.json", "files.tokenizer"),
        ("preprocessor_config.json", "files.preprocessor"),
    ],
)
def test_a_missing_file_is_named(tmp_path: Path, missing: str, sentence: str) -> None:
    folder = write_image_encoder(tmp_path)
    (folder / missing).unlink()
    assert sentence in refusal(folder)


def test_an_unsupported_preprocessor_is_refused(tmp_path: Path) -> None:
    config: dict[str, Any] = {**PREPROCESSOR, "do_pad": True}
    assert "do_pad" in refusal(write_image_encoder(tmp_path, preprocessor=config))


async def test_the_starter_s_towers_share_a_space() -> None:
    """A red circle is nearer to its own words than to those of another image."""
    y, x = np.mgrid[:64, :64]
    disc = (y - 32) ** 2 + (x - 32) ** 2 < 20**2
    red = np.full((64, 64, 3), 255, np.uint8)
    blue = red.copy()
    red[disc] = (220, 40, 40)
    blue[12:52, 12:52] = (40, 70, 220)
    with opened(STARTER) as model:
        ids = models.text_tokenizer(model).encode_batch(["a red circle", "a blue square"], special=True)
        texts = await text_encoder_of(model).embed(ids)
        images = await encoder_of(model).embed_images([red, blue])
        assert encoder_of(model).patches == 64
    scores = images @ texts.T
    assert scores.argmax(axis=1).tolist() == [0, 1]

"""Images, and texts beside some of them, become vectors."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from inference.api.embeddings import ImageEmbeddingsRequest
from inference.api.validation import validate
from inference.backends.loaded_models import ImageEmbeddingModel, TextEmbeddingModel
from inference.cards.card import Card
from inference.contracts import TokenIds
from inference.errors import ContentFiltered, GenerationFailed, InvalidInput, ParameterNotSupported
from inference.pipeline.image_embedding import ImageInputs, combined, load_images, lower_images
from inference.pipeline.request_check import UNCHECKED, RequestCheck
from inference.prompt.tokenizer import Tokenizer
from inference.settings import Settings
from tests.http.pictures import data_url
from tests.support.cards import IMAGES
from tests.support.embedders import FixedImageEmbedder, FixedTextEmbedder
from tests.support.encoders import CLS, SEP, byte_tokenizer

SMALL, LARGE = data_url("red", 8), data_url("blue", 12)
PLAIN = [{"image": SMALL}, {"image": LARGE}]
MIXED = [{"image": SMALL, "text": "hi"}, {"image": LARGE}, {"image": SMALL, "text": "abc"}]


def ids_of(text: str) -> list[int]:
    return [CLS, *text.encode(), SEP]


def model_of(texts: FixedTextEmbedder | None = None) -> ImageEmbeddingModel:
    """Return a model of images, with a text tower around the given embedder."""
    tower = None
    if texts is not None:
        prompts = {"query": "q: "}
        tower = TextEmbeddingModel(embedder=texts, tokenizer=Tokenizer(byte_tokenizer()), prompts=prompts)
    return ImageEmbeddingModel(embedder=FixedImageEmbedder(), text=tower)


async def lowered(
    inputs: Any, model: ImageEmbeddingModel, *, embedding: dict[str, Any] | None = None, **body: Any
) -> ImageInputs:
    request = validate(ImageEmbeddingsRequest, {"input": inputs, **body})
    card = Card.model_validate({**IMAGES, "embedding": embedding or {}})
    return await lower_images(request, card, model, Settings())


async def test_images_are_decoded_in_order_and_count_their_patches() -> None:
    plan = await lowered(PLAIN, model_of())
    assert [image.shape for image in plan.images] == [(8, 8, 3), (12, 12, 3)]
    assert [tuple(image[0, 0]) for image in plan.images] == [(255, 0, 0), (0, 0, 255)]
    assert (plan.texts, list(plan.rows)) == (None, [])
    assert plan.room() == {"prompt_tokens": [4, 4]}


async def test_images_alone_have_the_vectors_of_the_model_as_they_are() -> None:
    embedded = await (await lowered(PLAIN, model_of())).embed(UNCHECKED)
    assert embedded.vectors.tolist() == [[3, 4], [3, 4]]
    assert (embedded.tokens, embedded.patches) == (8, 8)


async def test_texts_beside_images_are_tokenised_with_their_prompt_and_counted() -> None:
    texts = FixedTextEmbedder((0, 2))
    plan = await lowered(MIXED, model_of(texts), input_type="query")
    assert plan.texts is not None
    assert (plan.texts.ids, plan.texts.prompt) == ([ids_of("q: hi"), ids_of("q: abc")], 4)
    assert list(plan.rows) == [0, 2]
    assert plan.tokens() == [4 + 7, 4, 4 + 8]
    await plan.embed(UNCHECKED)
    assert texts.inputs == [(plan.texts.ids, 4)]


async def test_an_image_and_its_text_share_the_mean_of_their_unit_vectors() -> None:
    texts = FixedTextEmbedder((0, 2))
    embedded = await (await lowered(MIXED, model_of(texts))).embed(UNCHECKED)
    shared = [0.6 / np.hypot(0.6, 1.8), 1.8 / np.hypot(0.6, 1.8)]
    np.testing.assert_allclose(embedded.vectors, np.array([shared, [0.6, 0.8], shared]), rtol=1e-6)
    assert (embedded.tokens, embedded.patches) == (4 + 4 + 4 + 4 + 5, 12)
    assert texts.inputs == [([ids_of("hi"), ids_of("abc")], 0)]


def test_rows_name_the_images_that_their_texts_are_combined_with() -> None:
    images = np.array([[2, 0], [0, 5], [3, 4]], np.float32)
    texts = np.array([[0, 1], [1, 0]], np.float32)
    half = np.sqrt(0.5)
    of_1_and_0 = np.array([[1, 0], [0, 1], [0.6, 0.8]])
    of_0_and_1 = np.array([[half, half], [half, half], [0.6, 0.8]])
    np.testing.assert_allclose(combined(images, texts, [1, 0]), of_1_and_0, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(combined(images, texts, [0, 1]), of_0_and_1, rtol=1e-6)
    assert images.tolist() == [[2, 0], [0, 5], [3, 4]]


async def test_a_text_that_is_too_long_is_refused_at_its_place_or_cut_where_the_card_cuts() -> None:
    inputs = [{"image": SMALL}, {"image": SMALL, "text": "abcdef"}]
    with pytest.raises(ParameterNotSupported) as refusal:
        await lowered(inputs, model_of(FixedTextEmbedder((1, 0), context=5)))
    [offender] = refusal.value.offenders
    assert (offender.loc, offender.input) == (("body", "input", 1, "text"), "abcdef")
    model = model_of(FixedTextEmbedder((1, 0), context=5))
    plan = await lowered(inputs, model, embedding={"truncate": "START"})
    assert plan.texts is not None
    assert plan.texts.ids == [ids_of("def")]


async def test_an_empty_text_beside_an_image_is_refused_at_its_place() -> None:
    with pytest.raises(InvalidInput) as refusal:
        await lowered([{"image": SMALL, "text": ""}], model_of(FixedTextEmbedder((1, 0))))
    assert refusal.value.offenders[0].loc == ("body", "input", 0, "text")


async def test_images_that_cannot_be_read_are_refused_at_their_places() -> None:
    inputs = [{"image": "data:image/png;base64,AAAA"}, {"image": SMALL}, {"image": "https://a.test/b.png"}]
    request = validate(ImageEmbeddingsRequest, {"input": inputs})
    with pytest.raises(InvalidInput) as refusal:
        await load_images(request, Settings())
    assert [offender.loc for offender in refusal.value.offenders] == [
        ("body", "input", 0, "image"),
        ("body", "input", 2, "image"),
    ]


async def test_vectors_of_a_refused_request_are_withheld() -> None:
    async def judge() -> Any:
        raise ContentFiltered("input", {})

    task = asyncio.create_task(judge())
    with pytest.raises(ContentFiltered):
        await (await lowered(PLAIN, model_of())).embed(RequestCheck(task))


async def test_a_tower_that_fails_gives_up_the_other() -> None:
    given_up = asyncio.Event()

    class Endless(FixedTextEmbedder):
        async def embed(self, inputs: Sequence[TokenIds], *, prompt: int = 0, task: int = 0) -> Any:
            try:
                await asyncio.Event().wait()
            finally:
                given_up.set()

    class Failing(FixedImageEmbedder):
        async def embed_images(self, images: Any) -> Any:
            await asyncio.sleep(0)
            raise GenerationFailed("NaN")

    tower = TextEmbeddingModel(embedder=Endless((1, 0)), tokenizer=Tokenizer(byte_tokenizer()))
    plan = await lowered(MIXED, ImageEmbeddingModel(embedder=Failing(), text=tower))
    with pytest.raises(GenerationFailed):
        await plan.embed(UNCHECKED)
    await asyncio.wait_for(given_up.wait(), 10)

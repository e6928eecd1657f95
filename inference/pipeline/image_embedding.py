"""The stages lower and run of an order for vectors of pictures, with texts beside them where there are any.

A picture and the text beside it become one vector: the mean of the picture's and the text's own vectors, each
at length one, brought to length one again. Both towers were trained so that the angle between their vectors
says how well picture and text belong together; the mean at length one is the direction nearest to both, in
which neither outweighs the other, and it can be compared with every other vector of the space. The text's own
vector is what `/embeddings` gives for it, with the prompt of the request's `input_type`; pictures have none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inference.api.embeddings import ImageEmbeddingsRequest, InputType
from inference.backends.loaded_models import LoadedModel
from inference.cards.card import Card
from inference.contracts import Embeddings
from inference.images.load import read_images
from inference.pipeline.text_embedding import INPUT, WHOLE, TextInputs, tokens_of
from inference.settings import Settings

if TYPE_CHECKING:
    from inference.contracts import ImageArray, Vectors


@dataclass(frozen=True, slots=True)
class ImageInputs:
    """What a request brings to look at."""

    pictures: Sequence[ImageArray]
    texts: Mapping[int, list[int]]
    """The token ids of the text beside a picture, by the input's index."""
    prompt: int = 0
    """How many of each text's ids, the first ones, are its prompt's."""


async def lower_images(
    request: ImageEmbeddingsRequest, card: Card, model: LoadedModel, settings: Settings
) -> ImageInputs:
    """The decoded pictures, fetched where they are not in the request, and the texts' tokens.

    Raises `InvalidInput`, `ParameterNotSupported` for a text longer than the tower reads, `RequestTooLarge`.
    """
    texts = {index: one.text for index, one in enumerate(request.input) if one.text is not None}
    read = (
        await asyncio.to_thread(_tokens, texts, request.input_type, card, model) if texts else TextInputs([])
    )
    places = [(*INPUT, index, "image") for index in range(len(request.input))]
    urls = [one.image for one in request.input]
    pictures = await read_images(list(zip(places, urls, strict=True)), settings)
    return ImageInputs(pictures, dict(zip(texts, read.ids, strict=True)), read.prompt)


async def embed_images(seen: ImageInputs, model: LoadedModel) -> Embeddings:
    """A picture counts as many tokens as the patches it is cut into, and its text as many as it has."""
    assert model.image_embedder is not None
    looking = model.image_embedder.embed_images(seen.pictures)
    if seen.texts:
        assert model.text_embedder is not None
        reading = model.text_embedder.embed(list(seen.texts.values()), prompt=seen.prompt)
        images, texts = await _both(looking, reading)
        vectors = combined(images, texts, list(seen.texts))
    else:
        vectors = await looking
    patches = model.image_embedder.patches * len(seen.pictures)
    return Embeddings(vectors, sum(count_of(seen, model)), patches)


def count_of(seen: ImageInputs, model: LoadedModel) -> list[int]:
    """The tokens that each input counts for."""
    assert model.image_embedder is not None
    patches = model.image_embedder.patches
    return [patches + len(seen.texts.get(index, ())) for index in range(len(seen.pictures))]


def combined(images: Vectors, texts: Vectors, rows: Sequence[int]) -> Vectors:
    """The images' vectors, in `rows` the mean with the texts' at length one: float32 [images, dimensions]."""
    from inference.backends.encoder.pooling import normalized

    vectors = normalized(images)
    vectors[list(rows)] = normalized(vectors[list(rows)] + normalized(texts))
    return vectors


async def _both(looking: Awaitable[Vectors], reading: Awaitable[Vectors]) -> tuple[Vectors, Vectors]:
    """Both towers' vectors; where one fails the other is given up."""
    tasks = [asyncio.ensure_future(looking), asyncio.ensure_future(reading)]
    try:
        images, texts = await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
    return images, texts


def _tokens(texts: Mapping[int, str], input_type: InputType, card: Card, model: LoadedModel) -> TextInputs:
    places = [(*INPUT, index, "text") for index in texts]
    side = card.embedding.truncate or WHOLE
    return tokens_of(list(texts.values()), places, card, model, input_type=input_type, side=side)

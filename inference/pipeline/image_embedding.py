"""Vectors of images, with texts beside them where there are any.

An image and the text beside it become one vector: the mean of the image's and the text's own vectors, each
at length one, brought to length one again. Both towers were trained so that the angle between their vectors
shows how well image and text belong together; the mean at length one is the direction nearest to both, in
which neither outweighs the other, and it can be compared with every other vector of the space. The text's own
vector is the one that `/embeddings` has for it, with the prompt of the `input_type`; images have none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inference.api.embeddings import INPUT, ImageEmbeddingsRequest, InputType
from inference.backends.loaded_models import ImageEmbeddingModel, TextEmbeddingModel
from inference.cancellation import cancel
from inference.cards.card import Card
from inference.contracts import Embeddings
from inference.images.load import read_images
from inference.pipeline.request_check import RequestCheck
from inference.pipeline.text_embedding import WHOLE, LocatedInput, TextInputs, tokenize_inputs
from inference.settings import Settings

if TYPE_CHECKING:
    from inference.contracts import ImageArray, Vectors


@dataclass(frozen=True, slots=True)
class ImageInputs:
    """Decoded images ready to embed, and the texts beside some of them, by the input's index."""

    images: Sequence[ImageArray]
    model: ImageEmbeddingModel
    texts: TextInputs | None = None
    rows: Sequence[int] = ()
    """The indexes of the inputs that have a text."""

    async def embed(self, check: RequestCheck) -> Embeddings:
        """Return the vectors, once the request passed the content filter too.

        An image counts as many tokens as the patches it is cut into, and its text as many as it has.
        """
        vectors = await check.confirmed(self._vectors())
        return Embeddings(vectors, sum(self.tokens()), self.model.embedder.patches * len(self.images))

    def tokens(self) -> list[int]:
        """Return the number of tokens that each input counts for."""
        counts = [self.model.embedder.patches] * len(self.images)
        for row, ids in zip(self.rows, self.texts.ids if self.texts else (), strict=True):
            counts[row] += len(ids)
        return counts

    def room(self) -> dict[str, Any]:
        """Return, for a dry run, the tokens of each input."""
        return {"prompt_tokens": self.tokens()}

    async def _vectors(self) -> Vectors:
        images = self.model.embedder.embed_images(self.images)
        if self.texts is None:
            return await images
        texts = self.texts.model.embedder.embed(self.texts.ids, prompt=self.texts.prompt)
        return combined(*await _both(images, texts), self.rows)


async def lower_images(
    request: ImageEmbeddingsRequest, card: Card, model: ImageEmbeddingModel, settings: Settings
) -> ImageInputs:
    """Return the decoded images, fetched where they are not in the request, and the texts' tokens.

    Raises `InvalidInput`, `ParameterNotSupported` for a text longer than the tower reads, `RequestTooLarge`.
    """
    texts = {index: one.text for index, one in enumerate(request.input) if one.text is not None}
    tokens = None
    if texts and model.text is not None:
        tokens = await asyncio.to_thread(_tokens, texts, request.input_type, card, model.text)
    return ImageInputs(await load_images(request, settings), model, tokens, list(texts))


async def load_images(request: ImageEmbeddingsRequest, settings: Settings) -> list[ImageArray]:
    """Return the decoded images, fetched where they are not in the request.

    Raises `InvalidInput` or `RequestTooLarge`.
    """
    urls = [((*INPUT, index, "image"), one.image) for index, one in enumerate(request.input)]
    return await read_images(urls, settings)


def combined(images: Vectors, texts: Vectors, rows: Sequence[int]) -> Vectors:
    """Return the images' vectors, in `rows` the mean with the texts': float32 [images, dimensions]."""
    from inference.backends.encoder.pooling import normalized

    vectors = normalized(images)
    vectors[list(rows)] = normalized(vectors[list(rows)] + normalized(texts))
    return vectors


async def _both(
    images: Coroutine[Any, Any, Vectors], texts: Coroutine[Any, Any, Vectors]
) -> tuple[Vectors, Vectors]:
    """Return both towers' vectors; where one fails the other is given up."""
    tasks = asyncio.create_task(images), asyncio.create_task(texts)
    try:
        of_images, of_texts = await asyncio.gather(*tasks)
    finally:
        await cancel(*tasks)
    return of_images, of_texts


def _tokens(
    texts: Mapping[int, str], input_type: InputType, card: Card, model: TextEmbeddingModel
) -> TextInputs:
    inputs: list[LocatedInput] = [((*INPUT, index, "text"), text) for index, text in texts.items()]
    side = card.embedding.truncate or WHOLE
    return tokenize_inputs(inputs, card, model, prompt=model.prompts.get(input_type, ""), side=side)

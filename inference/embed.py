"""The stages lower, run and answer of an order for vectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from inference.backends.opened import Opened
from inference.card import Card
from inference.contracts import Embedded, TextEmbedder
from inference.errors import InvalidInput, Location, Offender, ParameterNotSupported, RequestTooLarge
from inference.order import Order
from inference.prompt.lowering import check_ids
from inference.prompt.media import MediaError, read_picture
from inference.prompt.tokenizer import Tokenizer
from inference.settings import Settings
from inference.wire.embeddings import (
    EmbeddingsBody,
    EmbeddingsRequest,
    ImageEmbeddingsRequest,
    embeddings_body,
)
from inference.wire.request import abridged
from inference.wire.texts import one_by_one

if TYPE_CHECKING:
    from inference.contracts import Picture

INPUT: Location = ("body", "input")


def lower_texts(request: EmbeddingsRequest, card: Card, model: Opened) -> list[list[int]]:
    """The inputs' token ids, prompts of the `input_type` before texts. May take milliseconds.

    Raises `InvalidInput` for an empty text or an id the model does not have, `ParameterNotSupported` for an
    input longer than the model takes, `RequestTooLarge` for too many inputs.
    """
    assert model.tokenizer is not None
    assert model.text_embedder is not None
    inputs = one_by_one(request.input)
    places = [INPUT if request.input is inputs[0] else (*INPUT, index) for index in range(len(inputs))]
    _refuse_empty(inputs, places)
    ids = _tokens(inputs, places, card.embedding.prompts.get(request.input_type, ""), model.tokenizer)
    _refuse_empty(ids, places)
    too_long = list(_too_long(inputs, ids, places, model.text_embedder, card.name))
    if too_long:
        raise ParameterNotSupported(too_long)
    return ids


def lower_images(request: ImageEmbeddingsRequest, card: Card, settings: Settings) -> list[Picture]:
    """The decoded pictures. May take long. Raises `RequestTooLarge` too."""
    texts = [
        Offender((*INPUT, index, "text"), one.text, f"text beside an image is not supported by {card.name}")
        for index, one in enumerate(request.input)
        if one.text is not None
    ]
    if texts:
        raise ParameterNotSupported(texts)
    pictures, left = [], settings.max_request_pixels
    for index, one in enumerate(request.input):
        loc = (*INPUT, index, "image")
        picture = _picture(one.image, loc, settings.max_image_pixels)
        left -= picture.shape[0] * picture.shape[1]
        if left < 0:
            # A small body can hold many large pictures: what they take decoded is what must be bounded.
            message = f"the pictures have more than {settings.max_request_pixels} pixels together"
            raise RequestTooLarge(message, offenders=[Offender(loc, abridged(one.image), message)])
        pictures.append(picture)
    return pictures


async def embed_texts(inputs: Sequence[list[int]], model: Opened) -> Embedded:
    assert model.text_embedder is not None
    vectors = await model.text_embedder.embed(inputs)
    return Embedded(vectors, sum(len(ids) for ids in inputs))


async def embed_images(pictures: Sequence[Picture], model: Opened) -> Embedded:
    """A picture counts as many tokens as the patches it is cut into."""
    assert model.image_embedder is not None
    vectors = await model.image_embedder.embed_images(pictures)
    patches = model.image_embedder.patches * len(pictures)
    return Embedded(vectors, patches, patches)


def vectors_body(embedded: Embedded, request: EmbeddingsBody, order: Order) -> dict[str, Any]:
    """The answer's body. Raises `ParameterNotSupported` for an encoding that these vectors cannot have."""
    from inference.wire.encoding import EncodingError, encode, shorten

    vectors = embedded.vectors
    if request.dimensions is not None and request.dimensions < vectors.shape[1]:
        vectors = shorten(vectors, request.dimensions)
    try:
        rows = encode(vectors, request.encoding_format)
    except EncodingError as error:
        offender = Offender(("body", "encoding_format"), request.encoding_format, str(error))
        raise ParameterNotSupported([offender]) from None
    return embeddings_body(order.deployment.name, rows, embedded.tokens, embedded.patches)


def _refuse_empty(inputs: Sequence[str | list[int]], places: Sequence[Location]) -> None:
    """Refuses texts without characters, and those of which the tokenizer makes nothing."""
    empty = [
        Offender(loc, "", "an empty text has no vector")
        for one, loc in zip(inputs, places, strict=True)
        if not one
    ]
    if empty:
        raise InvalidInput(empty)


def _tokens(
    inputs: Sequence[str | list[int]], places: Sequence[Location], prompt: str, tokenizer: Tokenizer
) -> list[list[int]]:
    """Texts are tokenised together; token arrays are taken as they are sent, special tokens included."""
    texts = [prompt + one for one in inputs if isinstance(one, str)]
    encoded = iter(tokenizer.encode_batch(texts, special=True))
    ids: list[list[int]] = []
    for one, loc in zip(inputs, places, strict=True):
        if not isinstance(one, str):
            check_ids(one, loc, tokenizer.vocabulary)
        ids.append(next(encoded) if isinstance(one, str) else one)
    return ids


def _too_long(
    inputs: Sequence[str | list[int]],
    ids: Sequence[list[int]],
    places: Sequence[Location],
    embedder: TextEmbedder,
    name: str,
) -> Iterator[Offender]:
    for one, tokens, loc in zip(inputs, ids, places, strict=True):
        if len(tokens) > embedder.context:
            message = f"the input has {len(tokens)} tokens, {name} takes {embedder.context}"
            yield Offender(loc, abridged(one), message)


def _picture(url: str, loc: Location, max_pixels: int) -> Picture:
    try:
        return read_picture(url, max_pixels)
    except MediaError as error:
        raise InvalidInput([Offender(loc, abridged(url), str(error))]) from None

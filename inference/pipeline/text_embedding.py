"""An input that is longer than the model takes loses one end, where that was asked for or declared.

Cut are the text's own tokens: what the tokenizer puts around a text (CLS, SEP, an end token) and the model's
prompt before it stay whole. A client's token array is cut as it stands, because nothing is put around it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from inference.api.embeddings import EmbeddingsBody, EmbeddingsRequest, InputType, embeddings_body
from inference.api.text_inputs import one_by_one
from inference.api.validation import abridged
from inference.backends.loaded_models import LoadedModel
from inference.cards.card import Card
from inference.contracts import Embeddings, TextEmbedder
from inference.errors import InvalidInput, Location, Offender, ParameterNotSupported
from inference.pipeline.admission import ResolvedRequest
from inference.prompt.lowering import check_ids
from inference.prompt.tokenizer import Tokenizer


def cut_tokens(ids: list[int], side: str, most: int) -> list[int]:
    """The first `most` ids where the side that is lost is `END`, the last ones where it is `START`."""
    return ids[:most] if side == "END" else ids[-most:]


def cut_text(text: str, prompt: str, side: str, most: int, tokenizer: Tokenizer) -> list[int]:
    """At most `most` ids of a text behind its prompt, with what the tokenizer puts around them.

    Where not even a token of the text has room, the ids of the whole.
    """
    whole = tokenizer.encode(prompt + text, special=True)
    inner = tokenizer.encode(prompt + text, special=False)
    around = len(whole) - len(inner)
    begin = next(place for place in range(around + 1) if whole[place : place + len(inner)] == inner)
    kept = len(tokenizer.encode(prompt, special=False)) if prompt else 0
    room = most - around - kept
    if room < 1:
        return whole
    cut = inner[:kept] + cut_tokens(inner[kept:], side, room)
    return whole[:begin] + cut + whole[begin + len(inner) :]


INPUT: Location = ("body", "input")
WHOLE = "NONE"
"""Nothing is cut: an input that is too long is refused."""


@dataclass(frozen=True, slots=True)
class TextInputs:
    """What a model is asked for: token ids, of each input the first `prompt` ones its prompt's."""

    ids: list[list[int]]
    prompt: int = 0

    @property
    def tokens(self) -> int:
        return sum(len(ids) for ids in self.ids)


def lower_texts(request: EmbeddingsRequest, card: Card, model: LoadedModel) -> TextInputs:
    """The inputs' token ids, prompts of the `input_type` before texts. May take milliseconds.

    Raises `InvalidInput` for an empty text or an id the model does not have, `ParameterNotSupported` for an
    input longer than the model takes, unless it is to be cut.
    """
    inputs = one_by_one(request.input)
    places = [INPUT if request.input is inputs[0] else (*INPUT, index) for index in range(len(inputs))]
    side = request.truncate or card.embedding.truncate or WHOLE
    return tokens_of(inputs, places, card, model, input_type=request.input_type, side=side)


def tokens_of(
    inputs: Sequence[str | list[int]],
    places: Sequence[Location],
    card: Card,
    model: LoadedModel,
    *,
    input_type: InputType,
    side: str,
) -> TextInputs:
    """The token ids of inputs that stand at these places; `side` is what one that is too long loses.

    Raises as `lower_texts` does.
    """
    assert model.tokenizer is not None
    assert model.text_embedder is not None
    _refuse_empty(inputs, places)
    prompt = model.prompts.get(input_type, "") if isinstance(inputs[0], str) else ""
    ids = _tokens(inputs, places, prompt, model.tokenizer)
    _refuse_empty(ids, places)
    if side != WHOLE:
        ids = _cut(inputs, ids, prompt, side, model.text_embedder.context, model.tokenizer)
    too_long = list(_too_long(inputs, ids, places, model.text_embedder, card.name))
    if too_long:
        raise ParameterNotSupported(too_long)
    return TextInputs(ids, model.tokenizer.leading(prompt) if prompt else 0)


async def embed_texts(inputs: TextInputs, model: LoadedModel) -> Embeddings:
    assert model.text_embedder is not None
    vectors = await model.text_embedder.embed(inputs.ids, prompt=inputs.prompt)
    return Embeddings(vectors, inputs.tokens)


def vectors_body(embedded: Embeddings, request: EmbeddingsBody, order: ResolvedRequest) -> dict[str, Any]:
    """The answer's body, its vectors written already; of many numbers this takes milliseconds.

    Raises `ParameterNotSupported` for an encoding that these vectors cannot have.
    """
    from inference.api.encoding import EncodingError, encode, shorten, written

    vectors = embedded.vectors
    if request.dimensions is not None and request.dimensions < vectors.shape[1]:
        vectors = shorten(vectors, request.dimensions)
    try:
        rows = encode(vectors, request.encoding_format)
    except EncodingError as error:
        offender = Offender(("body", "encoding_format"), request.encoding_format, str(error))
        raise ParameterNotSupported([offender]) from None
    return embeddings_body(order.deployment.name, written(rows), embedded.tokens, embedded.patches)


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


def _cut(
    inputs: Sequence[str | list[int]],
    ids: Sequence[list[int]],
    prompt: str,
    side: str,
    most: int,
    tokenizer: Tokenizer,
) -> list[list[int]]:
    """Those that are longer than `most` tokens lose one side."""

    def cut(one: str | list[int]) -> list[int]:
        return (
            cut_text(one, prompt, side, most, tokenizer)
            if isinstance(one, str)
            else cut_tokens(one, side, most)
        )

    return [cut(one) if len(tokens) > most else tokens for one, tokens in zip(inputs, ids, strict=True)]


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

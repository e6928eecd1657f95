"""Vectors of texts: inputs are lowered to token ids, cut where that is wanted, embedded, and written as JSON.

Of an input that is longer than the model takes, only the text's own tokens are cut: those that the tokenizer
puts around a text (CLS, SEP, an end token) and the model's prompt before it stay whole. A client's token
array is cut as it stands, because nothing is put around it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, TypeVar

from inference.api.embeddings import (
    EmbeddingsBody,
    EmbeddingsRequest,
    embeddings_body,
    refuse_empty,
)
from inference.api.offenders import MOST_OFFENDERS, abridged, context_length_exceeded
from inference.backends.encoder.tasks import EncoderTasks
from inference.backends.loaded_models import TextEmbeddingModel
from inference.cards.card import Card
from inference.contracts import Embeddings
from inference.errors import InvalidInput, Location, Offender, ParameterNotSupported
from inference.pipeline.admission import ResolvedRequest
from inference.pipeline.request_check import RequestCheck
from inference.prompt.token_ids import check_text_ids, check_token_ids
from inference.prompt.tokenizer import Tokenizer

Cut = TypeVar("Cut", str, list[int])
LocatedInput = tuple[Location, str | list[int]]

FEW = 32_000
"""Numbers of vectors that are written on the event loop: a millisecond."""
WHOLE = "NONE"
"""The `truncate` that cuts nothing: an input that is too long is refused."""


@dataclass(frozen=True, slots=True)
class TextInputs:
    """Token ids ready to embed; of each input the first `prompt` ones are those of the model's prompt."""

    ids: list[list[int]]
    model: TextEmbeddingModel
    prompt: int = 0
    task: int = 0
    """The number of the model's task that the inputs are for."""

    @property
    def tokens(self) -> int:
        return sum(len(ids) for ids in self.ids)

    async def embed(self, check: RequestCheck) -> Embeddings:
        """Return the vectors, once the request passed the content filter too."""
        work = self.model.embedder.embed(self.ids, prompt=self.prompt, task=self.task)
        return Embeddings(await check.confirmed(work), self.tokens)

    def room(self) -> dict[str, Any]:
        """Return, for a dry run, the tokens of each input and the context."""
        return {"prompt_tokens": [len(ids) for ids in self.ids], "context": self.model.embedder.context}


def lower_texts(request: EmbeddingsRequest, card: Card, model: TextEmbeddingModel) -> TextInputs:
    """Return the inputs' token ids, prompts of the `input_type` before texts. May take milliseconds.

    Raises `InvalidInput` for an empty text or an id the model does not have, `ParameterNotSupported` for an
    input longer than the model takes, unless it is to be cut.
    """
    side, inputs = request.truncate or card.embedding.truncate or WHOLE, request.located_inputs()
    if model.tasks is None:
        return tokenize_inputs(
            inputs, card, model, prompt=model.prompts.get(request.input_type, ""), side=side
        )
    task = _task(request, model.tasks)
    prompt = model.tasks.prompts[task] if request.task else model.prompts.get(request.input_type, "")
    lowered = tokenize_inputs(inputs, card, model, prompt=prompt, side=side)
    return replace(lowered, task=model.tasks.number(task))


def _task(request: EmbeddingsRequest, tasks: EncoderTasks) -> str:
    """Return the task that a request chooses by `task` or `input_type`. Raises `InvalidInput` for two."""
    by_type = tasks.of_input(request.input_type)
    if request.task is None or request.task == by_type or request.input_type == "text":
        return request.task or by_type
    message = f"input_type {request.input_type} stands for the task {by_type}; send one of the two"
    raise InvalidInput([Offender(("body", "task"), request.task, message)])


def tokenize_inputs(
    inputs: Sequence[LocatedInput],
    card: Card,
    model: TextEmbeddingModel,
    *,
    prompt: str,
    side: str,
) -> TextInputs:
    """Return the token ids of inputs, of texts behind the model's prompt.

    `side` is the end that an input that is too long loses.

    Raises as `lower_texts` does.
    """
    refuse_empty(inputs)
    prompt = prompt if isinstance(inputs[0][1], str) else ""
    context = model.embedder.context
    most = model.tokenizer.most_characters(context)
    if side != WHOLE:
        # No more is tokenised than the model can take.
        inputs = [(loc, cut_tokens(one, side, most) if isinstance(one, str) else one) for loc, one in inputs]
    elif too_long := list(islice(_too_many_characters(inputs, most, context, card.name), MOST_OFFENDERS)):
        raise context_length_exceeded(too_long, context=context)
    ids = _tokens(inputs, prompt, model.tokenizer)
    # The tokenizer may make nothing of a text that has characters.
    refuse_empty([(loc, tokens) for (loc, _), tokens in zip(inputs, ids, strict=True)])
    if side != WHOLE:
        ids = _cut(inputs, ids, prompt, side, context, model.tokenizer)
    if too_long := list(islice(_too_long(inputs, ids, context, card.name), MOST_OFFENDERS)):
        tokens = next(len(one) for one in ids if len(one) > context)
        raise context_length_exceeded(too_long, tokens=tokens, context=context)
    return TextInputs(ids, model, model.tokenizer.prompt_length(prompt) if prompt else 0)


def vectors_body(embedded: Embeddings, request: EmbeddingsBody, resolved: ResolvedRequest) -> dict[str, Any]:
    """Return the answer's body, its vectors written already; of many numbers this takes milliseconds.

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
    return embeddings_body(resolved.deployment.name, written(rows), embedded.tokens, embedded.patches)


async def write_vectors(
    embedded: Embeddings, request: EmbeddingsBody, resolved: ResolvedRequest
) -> dict[str, Any]:
    """Return the answer's body as `vectors_body` does; many numbers are written in a thread."""
    if embedded.vectors.size <= FEW:
        return vectors_body(embedded, request, resolved)
    return await asyncio.to_thread(vectors_body, embedded, request, resolved)


def cut_tokens(ids: Cut, side: str, most: int) -> Cut:
    """Return the first `most` ids where the side that is lost is `END`, the last ones where it is `START`.

    A text is cut to `most` characters in the same way.
    """
    return ids[:most] if side == "END" else ids[-most:]


def cut_text(text: str, prompt: str, side: str, most: int, tokenizer: Tokenizer) -> list[int]:
    """Return at most `most` ids of a text behind its prompt, with those that the tokenizer puts around them.

    Where not even a token of the text has room, the ids of the whole.
    """
    whole = tokenizer.encode(prompt + text, special=True)
    inner = tokenizer.encode(prompt + text, special=False)
    around = len(whole) - len(inner)
    start = next(index for index in range(around + 1) if whole[index : index + len(inner)] == inner)
    kept = len(tokenizer.encode(prompt, special=False)) if prompt else 0
    room = most - around - kept
    if room < 1:
        return whole
    cut = inner[:kept] + cut_tokens(inner[kept:], side, room)
    return whole[:start] + cut + whole[start + len(inner) :]


def _tokens(inputs: Sequence[LocatedInput], prompt: str, tokenizer: Tokenizer) -> list[list[int]]:
    """Return the ids of texts, tokenised together; token arrays as they are sent, special tokens included."""
    texts = [prompt + one for _, one in inputs if isinstance(one, str)]
    encoded = iter(tokenizer.encode_batch(texts, special=True))
    ids: list[list[int]] = []
    for loc, one in inputs:
        tokens = next(encoded) if isinstance(one, str) else one
        check = check_text_ids if isinstance(one, str) else check_token_ids
        check(tokens, loc, tokenizer)
        ids.append(tokens)
    return ids


def _cut(
    inputs: Sequence[LocatedInput],
    ids: Sequence[list[int]],
    prompt: str,
    side: str,
    most: int,
    tokenizer: Tokenizer,
) -> list[list[int]]:
    """Return the ids, at most so `most` of each input, with the others cut at one side."""

    def cut(one: str | list[int]) -> list[int]:
        if isinstance(one, str):
            return cut_text(one, prompt, side, most, tokenizer)
        return cut_tokens(one, side, most)

    return [cut(one) if len(tokens) > most else tokens for (_, one), tokens in zip(inputs, ids, strict=True)]


def _too_many_characters(
    inputs: Sequence[LocatedInput], most: int, context: int, name: str
) -> Iterator[Offender]:
    """Yield the texts that are not tokenised, so many characters they have."""
    for loc, one in inputs:
        if isinstance(one, str) and len(one) > most:
            message = f"the input has {len(one)} characters, {name} takes {context} tokens, {most} characters"
            yield Offender(loc, abridged(one), message)


def _too_long(
    inputs: Sequence[LocatedInput], ids: Sequence[list[int]], context: int, name: str
) -> Iterator[Offender]:
    for (loc, one), tokens in zip(inputs, ids, strict=True):
        if len(tokens) > context:
            yield Offender(loc, abridged(one), f"the input has {len(tokens)} tokens, {name} takes {context}")

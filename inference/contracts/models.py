"""The protocols of models, in this process and remote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, TypeAlias

from inference.contracts.events import Events
from inference.contracts.requests import GenerationRequest, ProxyRequest, TokenIds, TokenizedInput

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors: TypeAlias = NDArray[np.float32]
    """Shape [inputs, dimensions], float32."""
    ImageArray: TypeAlias = NDArray[np.uint8]
    """Shape [height, width, 3], RGB."""


class Generator(Protocol):
    """A model that continues token sequences, many at once.

    Closing a stream cancels its sequence and frees its cache.
    """

    @property
    def context(self) -> int:
        """The most tokens, prompt and answer together, that a sequence may have."""
        ...

    def generate(self, request: GenerationRequest) -> Events:
        """Yield `Prefilled`, `Token`s, then one `Finish`.

        Raises `errors.Busy` before the first event when the queue is full, `errors.GenerationFailed` when the
        model itself fails.
        """
        ...

    def close(self) -> None: ...


class TextEmbedder(Protocol):
    """A model that turns token sequences into vectors: pooled and, by its configuration, of length one."""

    @property
    def dimensions(self) -> int: ...

    @property
    def context(self) -> int:
        """The most tokens of one input."""
        ...

    async def embed(self, inputs: Sequence[TokenIds], *, prompt: int = 0, task: int = 0) -> Vectors:
        """Return one row an input, in the inputs' order; every input has at least one token.

        The first `prompt` tokens of each are the model's own words before it, which some models leave out of
        their vectors. `task` is the number of what they are for, where the model has several tasks.
        """
        ...

    def close(self) -> None: ...


class SparseEmbedder(Protocol):
    """A model that turns token sequences into weights of tokens of its vocabulary."""

    @property
    def context(self) -> int:
        """The most tokens of one input."""
        ...

    async def weigh(self, inputs: Sequence[TokenIds]) -> Sequence[Mapping[int, float]]:
        """Return the weights above zero of each input by token id, the ids rising."""
        ...

    def close(self) -> None: ...


class TextScorer(Protocol):
    """A model that gives numbers to a text, or to two that belong together: one for each of its labels."""

    @property
    def context(self) -> int:
        """The most tokens of one input."""
        ...

    @property
    def labels(self) -> Sequence[str]:
        """The names of the numbers, in their sequence."""
        ...

    async def score(self, inputs: Sequence[TokenizedInput], *, raw: bool = False) -> Vectors:
        """Return one row an input, in order: [inputs, labels]; `raw` leaves out the model's activation."""
        ...

    def close(self) -> None: ...


class HarmCategory(StrEnum):
    """The four kinds of harm, in the words of the content filter's wire."""

    HATE = "hate"
    SELF_HARM = "self_harm"
    SEXUAL = "sexual"
    VIOLENCE = "violence"


class TextClassifier(Protocol):
    """A model that judges the harm of a text, per category."""

    @property
    def categories(self) -> frozenset[HarmCategory]:
        """The categories that it judges."""
        ...

    async def classify(self, text: str) -> Mapping[HarmCategory, int]:
        """Return severities from 0 to 7 of a text of any length, the greatest of its parts."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Vectors as the model returned them, with the tokens and patches that they count for."""

    vectors: Vectors
    tokens: int
    patches: int = 0


@dataclass(frozen=True, slots=True)
class Ranking:
    """The relevance of documents as an endpoint returned it: indices with scores, the best first."""

    scores: Sequence[tuple[int, float]]
    tokens: int = 0


class RemoteModel(Protocol):
    """A model behind a remote endpoint.

    Refusals of the endpoint are raised as `errors.UpstreamError` or `errors.ContentFiltered` before the first
    event, later failures in place of the next event.
    """

    def generate(self, request: ProxyRequest) -> list[Events]:
        """Return the events of every choice, in order: never `Token`s, closed by one `Finish`.

        The request is sent when the first event is awaited, and given up when all streams are closed.
        """
        ...

    async def embed(self, request: ProxyRequest) -> Embeddings:
        """Return one row an input, in the inputs' order."""
        ...

    async def rerank(self, request: ProxyRequest) -> Ranking:
        """Return the relevance of the documents, of which `request.choices` is the number."""
        ...

    async def aclose(self) -> None:
        """Close the connections of this event loop."""
        ...

    def close(self) -> None:
        """Close the connections of every loop that still runs, soon."""
        ...


class ImageEmbedder(Protocol):
    """A model that turns images into vectors of the space that its text tower, if it has one, shares."""

    @property
    def dimensions(self) -> int: ...

    @property
    def patches(self) -> int:
        """The patches that an image is cut into, which `/images/embeddings` counts as prompt tokens."""
        ...

    async def embed_images(self, images: Sequence[ImageArray]) -> Vectors:
        """Return one row an image, in the images' order."""
        ...

    def close(self) -> None: ...

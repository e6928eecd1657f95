"""Who answers: the protocols of models, here and elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, TypeAlias

from inference.contracts.events import Events
from inference.contracts.requests import GenerationRequest, ProxyRequest, TokenIds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors: TypeAlias = NDArray[np.float32]
    """Shape [inputs, dimensions], float32."""
    ImageArray: TypeAlias = NDArray[np.uint8]
    """Shape [height, width, 3], RGB."""


class Generator(Protocol):
    """Continues token sequences, many at once. Closing a stream cancels its sequence and frees its cache."""

    @property
    def context(self) -> int:
        """The most tokens, prompt and answer together, that a sequence may have."""
        ...

    @property
    def scores(self) -> bool:
        """Whether it can tell the log probabilities of a prompt."""
        ...

    def generate(self, request: GenerationRequest) -> Events:
        """Yields `Prefilled`, `Token`s, then one `Finish`.

        Raises `errors.Busy` before the first event when the queue is full, `errors.GenerationFailed` when the
        model itself fails.
        """
        ...

    def close(self) -> None: ...


class TextEmbedder(Protocol):
    """Turns token sequences into vectors: pooled and, where the model says so, of length one."""

    @property
    def dimensions(self) -> int: ...

    @property
    def context(self) -> int:
        """The most tokens of one input."""
        ...

    async def embed(self, inputs: Sequence[TokenIds], *, prompt: int = 0) -> Vectors:
        """One row an input, in the inputs' order. Every input holds at least one token.

        The first `prompt` tokens of each are the model's own words before it, which some models leave out of
        their vectors.
        """
        ...

    def close(self) -> None: ...


class HarmCategory(StrEnum):
    """The four kinds of harm, in the words of the content filter's wire."""

    HATE = "hate"
    SELF_HARM = "self_harm"
    SEXUAL = "sexual"
    VIOLENCE = "violence"


class TextClassifier(Protocol):
    """Says how harmful a text is, per category."""

    @property
    def categories(self) -> frozenset[HarmCategory]:
        """What it can tell; of other categories it says nothing."""
        ...

    async def classify(self, text: str) -> Mapping[HarmCategory, int]:
        """Severities from 0 to 7 of a text of any length, the greatest of its parts."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Vectors as the model gave them, and what they count for."""

    vectors: Vectors
    tokens: int
    patches: int = 0


class RemoteModel(Protocol):
    """An endpoint elsewhere. What it refuses is raised as `errors.UpstreamError` or `errors.ContentFiltered`
    before the first event; what fails later is raised where the next event would be."""

    def generate(self, request: ProxyRequest) -> list[Events]:
        """The events of every choice, in order: never `Token`s, closed by one `Finish`. Nothing is sent
        before the first of them is asked for; when all are closed the exchange is given up at once."""
        ...

    async def embed(self, request: ProxyRequest) -> Embeddings:
        """One row an input, in the inputs' order."""
        ...

    async def aclose(self) -> None:
        """Closes the connections of this event loop."""
        ...

    def close(self) -> None:
        """Closes the connections of every loop that still runs, soon."""
        ...


class ImageEmbedder(Protocol):
    """Turns pictures into vectors of the space its text tower, if it has one, shares."""

    @property
    def dimensions(self) -> int: ...

    @property
    def patches(self) -> int:
        """How many patches a picture is cut into: what `/images/embeddings` counts as prompt tokens."""
        ...

    async def embed_images(self, images: Sequence[ImageArray]) -> Vectors:
        """One row a picture, in the pictures' order."""
        ...

    def close(self) -> None: ...

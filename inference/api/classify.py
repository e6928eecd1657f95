"""The bodies of `POST /classify` and `POST /embed_sparse`, and of their answers, as TEI has them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, ClassVar, TypeAlias

from pydantic import Discriminator, Field, Tag

from inference.api.rerank import TruncationDirection
from inference.api.text_inputs import Texts, as_list
from inference.api.validation import Request
from inference.contracts import FilteredText, Route
from inference.errors import InvalidInput, Location, Offender

EMPTY_TEXT = "an empty text has nothing to score"

Sequences: TypeAlias = Annotated[
    Annotated[str, Tag("<text>")]
    | Annotated[
        list[
            Annotated[
                Annotated[str, Tag("<text>")]
                | Annotated[list[str], Field(min_length=1, max_length=2, fail_fast=True), Tag("<pair>")],
                Discriminator(lambda value: "<pair>" if isinstance(value, list) else "<text>"),
            ]
        ],
        Field(min_length=1),
        Tag("<texts>"),
    ],
    Discriminator(lambda value: "<text>" if isinstance(value, str) else "<texts>"),
]
"""A text, or several; each of several may be an array of one text, or of two that belong together."""


class InputsBody(Request):
    """The fields of TEI's routes."""

    text_key: ClassVar[str] = "inputs"

    model: str | None = None
    truncate: bool = False
    truncation_direction: TruncationDirection = "Right"
    prompt_name: str | None = None
    user: str | None = None

    @property
    def cuts_start(self) -> bool:
        """True if what is too long loses its start."""
        return self.truncation_direction.lower() == "left"

    def located_inputs(self) -> list[tuple[Location, tuple[str, ...]]]:
        """Return the inputs in order, each with its location: one text, or a pair.

        Raises `InvalidInput` for an empty text.
        """
        raise NotImplementedError

    def filtered_texts(self, _: Callable[[Sequence[int]], str], /) -> list[list[FilteredText]]:
        texts = [FilteredText(text) for _, one in self.located_inputs() for text in one]
        return [[*texts, *self.further_texts()]]


class ClassifyRequest(InputsBody):
    """`POST /classify`."""

    route: ClassVar[Route] = Route.CLASSIFY

    inputs: Sequences
    raw_scores: bool = False

    def located_inputs(self) -> list[tuple[Location, tuple[str, ...]]]:
        if isinstance(self.inputs, str):
            return _not_empty([(("body", "inputs"), (self.inputs,))])
        return _not_empty(
            [
                (("body", "inputs", index), (one,) if isinstance(one, str) else tuple(one))
                for index, one in enumerate(self.inputs)
            ]
        )


class EmbedSparseRequest(InputsBody):
    """`POST /embed_sparse`."""

    route: ClassVar[Route] = Route.EMBED_SPARSE

    inputs: Texts

    def contradictions(self) -> Iterator[Offender]:
        if not self.inputs:
            yield Offender(("body", "inputs"), self.inputs, "inputs is empty: one text is needed at least")

    def located_inputs(self) -> list[tuple[Location, tuple[str, ...]]]:
        alone: Location = ("body", "inputs")
        texts = as_list(self.inputs)
        whole = isinstance(self.inputs, str)
        return _not_empty(
            [(alone if whole else (*alone, index), (text,)) for index, text in enumerate(texts)]
        )


def _not_empty(
    inputs: list[tuple[Location, tuple[str, ...]]],
) -> list[tuple[Location, tuple[str, ...]]]:
    if empty := [Offender(loc, "", EMPTY_TEXT, "empty_string") for loc, one in inputs if not any(one)]:
        raise InvalidInput(empty)
    return inputs


def classify_body(request: ClassifyRequest, labels: Sequence[str], scores: Sequence[Sequence[float]]) -> Any:
    """Return the labels with their scores, the best first: a list of each input, of a lone text its own."""
    rows = [
        sorted(
            ({"label": label, "score": score} for label, score in zip(labels, row, strict=True)),
            key=lambda entry: -entry["score"],  # type: ignore[operator]
        )
        for row in scores
    ]
    return rows[0] if isinstance(request.inputs, str) else rows

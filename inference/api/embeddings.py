"""The bodies of `POST /embeddings` and `POST /images/embeddings`, and of their answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, ClassVar, Literal
from uuid import uuid4

from pydantic import Field

from inference.api.text_inputs import TextOrTokens, one_by_one, read, with_token_ids
from inference.api.validation import Request, WireModel, limited
from inference.contracts import FilteredText, Route
from inference.errors import InvalidInput, Location, Offender

INPUT: Location = ("body", "input")
TEXT_BESIDE_IMAGE = "input.text"
"""The kind of an input that is a text beside an image; its name in `/info` too."""
EMPTY_TEXT = "an empty text has no vector"

EncodingFormat = Literal["base64", "binary", "float", "int8", "ubinary", "uint8"]
InputType = Literal["text", "query", "document"]


Truncate = Literal["NONE", "START", "END"]


class EmbeddingsBody(Request):
    """The fields that every request for vectors has."""

    text_key: ClassVar[str] = "input"

    model: str | None = None
    dimensions: Annotated[int | None, limited("dimensions")] = None
    encoding_format: EncodingFormat = "float"
    input_type: InputType = "text"
    user: str | None = None

    def input_count(self) -> int:
        """Return the number of inputs. Raises `InvalidInput` for an input that is empty."""
        raise NotImplementedError


class EmbeddingsRequest(EmbeddingsBody):
    """`POST /embeddings`."""

    route: ClassVar[Route] = Route.EMBEDDINGS

    input: TextOrTokens
    truncate: Truncate | None = None
    """None stands for the deployment's own choice."""
    task: str | None = None

    @property
    def has_token_ids(self) -> bool:
        return with_token_ids(self.input)

    def filtered_texts(self, decode: Callable[[Sequence[int]], str], /) -> list[list[FilteredText]]:
        texts = [FilteredText(read(one, decode)) for one in one_by_one(self.input)]
        return [[*texts, *self.further_texts()]]

    def located_inputs(self) -> list[tuple[Location, str | list[int]]]:
        """Return the inputs in order, each with its location."""
        inputs = one_by_one(self.input)
        alone = self.input is inputs[0]
        return [(INPUT if alone else (*INPUT, index), one) for index, one in enumerate(inputs)]

    def input_count(self) -> int:
        inputs = self.located_inputs()
        refuse_empty(inputs)
        return len(inputs)


class ImageInput(WireModel):
    """An image, and a text that shares its vector."""

    image: str = Field(description="A base64 data URL, or a URL whose host the operator allows.")
    text: str | None = Field(
        None, description="Becomes one vector with the image, where the model reads texts."
    )


class ImageEmbeddingsRequest(EmbeddingsBody):
    """`POST /images/embeddings`."""

    route: ClassVar[Route] = Route.IMAGE_EMBEDDINGS

    input: list[ImageInput] = Field(min_length=1)

    def filtered_texts(self, _: Callable[[Sequence[int]], str], /) -> list[list[FilteredText]]:
        texts = [FilteredText(one.text) for one in self.input if one.text]
        return [[*texts, *self.further_texts(self.input)]]

    def input_kinds(self) -> Iterator[tuple[Location, str]]:
        for index, one in enumerate(self.input):
            if one.text is not None:
                yield (*INPUT, index, "text"), TEXT_BESIDE_IMAGE

    def input_count(self) -> int:
        return len(self.input)


def refuse_empty(inputs: Sequence[tuple[Location, str | list[int]]]) -> None:
    """Raise `InvalidInput` that names every input without characters or tokens."""
    if empty := [Offender(loc, "", EMPTY_TEXT, "empty_string") for loc, one in inputs if not one]:
        raise InvalidInput(empty)


def embeddings_body(model: str, rows: Sequence[Any], prompt_tokens: int, patches: int = 0) -> dict[str, Any]:
    """Return the answer; `rows` are JSON-ready vectors, `patches` counts what the images were cut into."""
    usage = {"prompt_tokens": prompt_tokens, "total_tokens": prompt_tokens}
    if patches:
        usage |= {"prompt_patches": patches, "total_patches": patches}
    return {
        "id": str(uuid4()),
        "object": "list",
        "model": model,
        "data": [{"index": i, "object": "embedding", "embedding": row} for i, row in enumerate(rows)],
        "usage": usage,
    }

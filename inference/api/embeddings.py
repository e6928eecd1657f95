"""`POST /embeddings` and `POST /images/embeddings`: the requests' shapes and the answer's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal
from uuid import uuid4

from pydantic import Field

from inference.api.text_inputs import TextOrTokens
from inference.api.validation import Request, WireModel, limited

EncodingFormat = Literal["base64", "binary", "float", "int8", "ubinary", "uint8"]
InputType = Literal["text", "query", "document"]


Truncate = Literal["NONE", "START", "END"]


class EmbeddingsBody(Request):
    model: str | None = None
    dimensions: Annotated[int | None, limited("dimensions")] = None
    encoding_format: EncodingFormat = "float"
    input_type: InputType = "text"
    user: str | None = None


class EmbeddingsRequest(EmbeddingsBody):
    input: TextOrTokens
    truncate: Truncate | None = None
    """None is what the deployment does by itself."""


class ImageInput(WireModel):
    image: str = Field(description="A base64 data URL, or a URL whose host the operator allows.")
    text: str | None = Field(
        None, description="Becomes one vector with the picture, where the model reads texts."
    )


class ImageEmbeddingsRequest(EmbeddingsBody):
    input: list[ImageInput] = Field(min_length=1)


def embeddings_body(model: str, rows: Sequence[Any], prompt_tokens: int, patches: int = 0) -> dict[str, Any]:
    """The answer; `rows` are JSON-ready vectors, `patches` counts what the pictures were cut into."""
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

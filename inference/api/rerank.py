"""The body of `POST /rerank` and of its answer, as Cohere and Jina have them, and as TEI has them.

`documents` asks for the answer of Cohere and Jina, one object that the clients of both read; `texts` for
TEI's, a bare list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import ceil
from typing import Annotated, Any, ClassVar, Literal
from uuid import uuid4

from pydantic import ConfigDict, Discriminator, Field, Tag, with_config
from typing_extensions import TypedDict

from inference.api.text_inputs import json_texts
from inference.api.validation import Request, limited
from inference.contracts import FilteredText, Route, TextOrigin
from inference.errors import Location, Offender

DOCUMENTS_PER_UNIT = 100
"""Documents of one of Cohere's search units."""

TruncationDirection = Literal["Left", "Right", "left", "right"]


@with_config(ConfigDict(extra="allow", strict=True))
class DocumentObject(TypedDict):
    """A document with keys of its own beside the `text` that is read; all are returned with it."""

    text: str


Document = Annotated[
    Annotated[str, Tag("<text>")] | Annotated[DocumentObject, Tag("<object>")],
    Discriminator(lambda value: "<object>" if isinstance(value, dict) else "<text>"),
]


class RerankRequest(Request):
    """`POST /rerank`."""

    route: ClassVar[Route] = Route.RERANK
    text_key: ClassVar[str] = "query"

    query: str = Field(min_length=1)
    documents: list[Document] | None = Field(None, min_length=1)
    texts: Annotated[list[str], Field(min_length=1, fail_fast=True)] | None = None
    model: str | None = None
    top_n: Annotated[int | None, limited("top_n")] = None
    return_documents: bool = False
    return_text: bool = False
    max_tokens_per_doc: Annotated[int | None, limited("max_tokens_per_doc")] = None
    max_chunks_per_doc: Annotated[int | None, limited("max_chunks_per_doc")] = None
    rank_fields: list[str] | None = None
    raw_scores: bool = False
    truncate: bool = True
    truncation_direction: TruncationDirection = "Right"
    user: str | None = None

    @property
    def cuts_start(self) -> bool:
        """True if what is too long loses its start."""
        return self.truncation_direction.lower() == "left"

    def contradictions(self) -> Iterator[Offender]:
        if self.documents is None and self.texts is None:
            yield Offender(("body", "documents"), None, "documents is missing: the texts to rank", "missing")
        if self.documents is not None and self.texts is not None:
            message = "texts is TEI's name of documents; send one of the two"
            yield Offender(("body", "texts"), len(self.texts), message)

    def filtered_texts(self, _: Callable[[Sequence[int]], str], /) -> list[list[FilteredText]]:
        found = [FilteredText(self.query, TextOrigin.USER)]
        for one in self.ranked:
            found += map(FilteredText, json_texts(one))
        return [[*found, *self.further_texts()]]

    @property
    def ranked(self) -> Sequence[str | DocumentObject]:
        """The documents under either name."""
        return self.documents or self.texts or []

    def located_texts(self) -> list[tuple[Location, str]]:
        """Return the documents' texts in order, each with its location."""
        key = "texts" if self.documents is None else "documents"
        return [
            (("body", key, index), one)
            if isinstance(one, str)
            else (("body", key, index, "text"), one["text"])
            for index, one in enumerate(self.ranked)
        ]

    def best(self, scores: Sequence[float]) -> list[tuple[int, float]]:
        """Return the indices and scores to return, the best first; equal ones in the documents' order."""
        order = sorted(range(len(scores)), key=lambda index: -scores[index])
        return [(index, scores[index]) for index in order[: self.top_n or len(order)]]


def rerank_body(
    request: RerankRequest, model: str, ranking: Sequence[tuple[int, float]], tokens: int
) -> dict[str, Any] | list[dict[str, Any]]:
    """Return the answer in the form that the request asks for."""
    documents, shows = request.ranked, request.return_documents or request.return_text
    if request.documents is None:
        return [
            {"index": index, "score": score, **({"text": documents[index]} if shows else {})}
            for index, score in ranking
        ]
    results = [
        {
            "index": index,
            "relevance_score": score,
            **({"document": _shown(documents[index])} if shows else {}),
        }
        for index, score in ranking
    ]
    units = ceil(len(documents) / DOCUMENTS_PER_UNIT)
    return {
        "id": str(uuid4()),
        "object": "list",
        "model": model,
        "results": results,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        "meta": {
            "api_version": {"version": "2"},
            "billed_units": {"search_units": units},
            "tokens": {"input_tokens": tokens, "output_tokens": 0},
        },
    }


def _shown(document: str | DocumentObject) -> Any:
    return {"text": document} if isinstance(document, str) else document

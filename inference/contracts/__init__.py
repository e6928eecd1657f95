"""The nouns: requests to models, events of their answers, and the protocols of models.

A generating model turns a `GenerationRequest` into a stream of `Token`s closed by one `Finish`. The output
stages turn tokens into the events that a caller sees: `Text`, `Reasoning`, `ToolCallStart`,
`ToolCallArguments` and the same `Finish`. `Event` is the closed union of all of them, so a stage passes on an
event that it does not transform. An embedding model turns token ids or images into vectors.

Nothing here knows of HTTP, of files, or of onnxruntime.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference.contracts.events import (
    CompletedChoice,
    CompletedToolCall,
    Event,
    Events,
    FilterResult,
    Finish,
    FinishReason,
    PositionLogprobs,
    Prefilled,
    Reasoning,
    ScoredToken,
    Text,
    Token,
    TokenLogprob,
    ToolCallArguments,
    ToolCallStart,
    Usage,
)
from inference.contracts.models import (
    Embeddings,
    Generator,
    HarmCategory,
    ImageEmbedder,
    Ranking,
    RemoteModel,
    SparseEmbedder,
    TextClassifier,
    TextEmbedder,
    TextScorer,
)
from inference.contracts.requests import (
    ApiStyle,
    Constraint,
    FilteredText,
    GenerationRequest,
    Grammar,
    ProxyRequest,
    Route,
    Sampling,
    Task,
    TextOrigin,
    TokenIds,
    TokenizedInput,
)

if TYPE_CHECKING:
    from inference.contracts.models import ImageArray, Vectors

__all__ = [
    "ApiStyle",
    "CompletedChoice",
    "CompletedToolCall",
    "Constraint",
    "Embeddings",
    "Event",
    "Events",
    "FilterResult",
    "FilteredText",
    "Finish",
    "FinishReason",
    "GenerationRequest",
    "Generator",
    "Grammar",
    "HarmCategory",
    "ImageArray",
    "ImageEmbedder",
    "PositionLogprobs",
    "Prefilled",
    "ProxyRequest",
    "Ranking",
    "Reasoning",
    "RemoteModel",
    "Route",
    "Sampling",
    "ScoredToken",
    "SparseEmbedder",
    "Task",
    "Text",
    "TextClassifier",
    "TextEmbedder",
    "TextOrigin",
    "TextScorer",
    "Token",
    "TokenIds",
    "TokenLogprob",
    "TokenizedInput",
    "ToolCallArguments",
    "ToolCallStart",
    "Usage",
    "Vectors",
]

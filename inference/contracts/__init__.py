"""The nouns: what is asked of a model and what it answers.

A generating model turns a `GenerationRequest` into a stream of `Token`s closed by one `Finish`. The reply
stages turn tokens into what a caller sees: `Text`, `Reasoning`, `ToolCallStart`, `ToolCallArguments`, and the
same `Finish`. `Event` is the closed union of all of them, so a stage that meets an event it does not
transform hands it on. An embedding model turns token ids or pictures into vectors.

Nothing here knows of HTTP, of files, or of onnxruntime.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference.contracts.asked import Constraint, GenerationRequest, Grammar, Relayed, Sampling, TokenIds
from inference.contracts.events import (
    Alternative,
    Event,
    Events,
    Finish,
    Judged,
    Logprobs,
    Prefilled,
    Reasoning,
    Scored,
    Text,
    Token,
    ToolCallArguments,
    ToolCallStart,
    Usage,
)
from inference.contracts.models import (
    Embedded,
    Generator,
    ImageEmbedder,
    TextClassifier,
    TextEmbedder,
    Upstream,
)
from inference.contracts.words import Category, FinishReason, Route, Task

if TYPE_CHECKING:
    from inference.contracts.models import Picture, Vectors

__all__ = [
    "Alternative",
    "Category",
    "Constraint",
    "Embedded",
    "Event",
    "Events",
    "Finish",
    "FinishReason",
    "GenerationRequest",
    "Generator",
    "Grammar",
    "ImageEmbedder",
    "Judged",
    "Logprobs",
    "Picture",
    "Prefilled",
    "Reasoning",
    "Relayed",
    "Route",
    "Sampling",
    "Scored",
    "Task",
    "Text",
    "TextClassifier",
    "TextEmbedder",
    "Token",
    "TokenIds",
    "ToolCallArguments",
    "ToolCallStart",
    "Upstream",
    "Usage",
    "Vectors",
]

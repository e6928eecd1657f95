"""Which shape the body of a route has."""

from collections.abc import Mapping

from inference.contracts import Route
from inference.wire.chat import ChatRequest
from inference.wire.embeddings import EmbeddingsRequest, ImageEmbeddingsRequest
from inference.wire.generation import CompletionRequest
from inference.wire.request import Request

SHAPES: Mapping[Route, type[Request]] = {
    Route.CHAT: ChatRequest,
    Route.COMPLETIONS: CompletionRequest,
    Route.EMBEDDINGS: EmbeddingsRequest,
    Route.IMAGE_EMBEDDINGS: ImageEmbeddingsRequest,
}

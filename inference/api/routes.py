"""Which shape the body of a route has."""

from collections.abc import Mapping

from inference.api.chat import ChatRequest
from inference.api.completions import CompletionRequest
from inference.api.embeddings import EmbeddingsRequest, ImageEmbeddingsRequest
from inference.api.validation import Request
from inference.contracts import Route

SHAPES: Mapping[Route, type[Request]] = {
    Route.CHAT: ChatRequest,
    Route.COMPLETIONS: CompletionRequest,
    Route.EMBEDDINGS: EmbeddingsRequest,
    Route.IMAGE_EMBEDDINGS: ImageEmbeddingsRequest,
}

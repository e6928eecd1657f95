"""The models that can be open, one class for each kind: the parts that its requests are run with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from inference.backends.model_files import NamedPrompts
from inference.contracts import (
    Generator,
    ImageEmbedder,
    RemoteModel,
    SparseEmbedder,
    TextClassifier,
    TextEmbedder,
    TextScorer,
)
from inference.prompt.chat_template import ChatTemplate
from inference.prompt.tokenizer import Tokenizer

if TYPE_CHECKING:
    from inference.backends.encoder.tasks import EncoderTasks
    from inference.engine.grammar import Grammars

NO_PROMPTS = NamedPrompts()


class OpenModel(ABC):
    """A model that holds threads and memory until it is closed."""

    __slots__ = ()

    async def aclose(self) -> None:
        """Close, and wait for everything that only the running event loop can close."""
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Return the model's threads and memory; streams still open end with an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerativeModel(OpenModel):
    """A model that continues text."""

    generator: Generator
    tokenizer: Tokenizer
    stop_tokens: frozenset[int] = frozenset()
    grammars: Grammars | None = None
    """The compiler of formats, where the card declares a parameter that asks for one."""

    def close(self) -> None:
        self.generator.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatModel(GenerativeModel):
    """A model that answers messages, which its chat template makes a prompt of."""

    chat_template: ChatTemplate


@dataclass(frozen=True, slots=True, kw_only=True)
class TextEmbeddingModel(OpenModel):
    """A model that turns texts into vectors."""

    embedder: TextEmbedder
    tokenizer: Tokenizer
    prompts: Mapping[str, str] = field(default_factory=dict)
    """The words before a text, by `input_type`."""
    tasks: EncoderTasks | None = None
    """The tasks of a graph that reads their numbers."""
    sparse: SparseEmbedder | None = None
    """The second output of models that weigh tokens too."""

    def close(self) -> None:
        if self.sparse is not None:
            self.sparse.close()
        self.embedder.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class SparseEmbeddingModel(OpenModel):
    """A model that turns texts into weights of tokens."""

    sparse: SparseEmbedder
    tokenizer: Tokenizer
    prompts: NamedPrompts = NO_PROMPTS

    def close(self) -> None:
        self.sparse.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageEmbeddingModel(OpenModel):
    """A model that turns images into vectors, with the text tower of the same space where it has one."""

    embedder: ImageEmbedder
    text: TextEmbeddingModel | None = None

    def close(self) -> None:
        if self.text is not None:
            self.text.close()
        self.embedder.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierModel(OpenModel):
    """A model that gives texts labels with scores; the content filter reads harm off them."""

    classifier: TextClassifier
    scorer: TextScorer
    tokenizer: Tokenizer
    prompts: NamedPrompts = NO_PROMPTS

    def close(self) -> None:
        self.classifier.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class RerankModel(OpenModel):
    """A cross-encoder: it reads a query together with a document, and gives their relevance."""

    scorer: TextScorer
    tokenizer: Tokenizer
    prompt: str = ""
    """The words before a query."""

    def close(self) -> None:
        self.scorer.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteDeployment(OpenModel):
    """A model behind another endpoint, which is sent the request itself."""

    endpoint: RemoteModel

    async def aclose(self) -> None:
        await self.endpoint.aclose()
        self.close()

    def close(self) -> None:
        self.endpoint.close()


LoadedModel: TypeAlias = (
    GenerativeModel
    | ChatModel
    | TextEmbeddingModel
    | ImageEmbeddingModel
    | ClassifierModel
    | RerankModel
    | SparseEmbeddingModel
    | RemoteDeployment
)

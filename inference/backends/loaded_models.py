"""An open deployment: what its requests are run with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from inference.contracts import Generator, ImageEmbedder, RemoteModel, TextClassifier, TextEmbedder
from inference.prompt.chat_template import ChatTemplate
from inference.prompt.tokenizer import Tokenizer

if TYPE_CHECKING:
    from inference.engine.grammar import Grammars


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """The parts of a running model; a part is None where the deployment's task has no use for it."""

    generator: Generator | None = None
    text_embedder: TextEmbedder | None = None
    image_embedder: ImageEmbedder | None = None
    classifier: TextClassifier | None = None
    tokenizer: Tokenizer | None = None
    chat_template: ChatTemplate | None = None
    stop_tokens: frozenset[int] = frozenset()
    grammars: Grammars | None = None
    """What answers can be held to, where the deployment declares a parameter that asks for it."""
    prompts: Mapping[str, str] = field(default_factory=dict)
    """What stands before a text to embed, by `input_type`."""
    upstream: RemoteModel | None = None
    """Who is asked instead, where the model runs elsewhere; then there is no other part."""

    async def aclose(self) -> None:
        """As `close`, and waits for what only the running event loop can close."""
        if self.upstream is not None:
            await self.upstream.aclose()
        self.close()

    def close(self) -> None:
        """Gives the model's threads and memory back; streams still open end with an error."""
        for part in (self.generator, self.text_embedder, self.image_embedder, self.classifier, self.upstream):
            if part is not None:
                part.close()

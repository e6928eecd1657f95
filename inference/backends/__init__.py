"""The backends that run models: one row each, imported when the first deployment of its kind is opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from inference.contracts import Task

if TYPE_CHECKING:
    from inference.backends.loaded_models import LoadedModel
    from inference.cards.card import Deployment
    from inference.settings import Settings


class BackendModule(Protocol):
    """The module of a backend."""

    def open(self, deployment: Deployment, settings: Settings) -> LoadedModel:
        """Return the running model. Raises `CardError` for files that are not what the card says."""
        ...


@dataclass(frozen=True, slots=True)
class Backend:
    """The tasks that a backend runs and the parameters it honours: a card may declare these and no others."""

    module: str
    """The name of an `BackendModule`."""
    tasks: frozenset[Task]
    honours: frozenset[str]
    inputs: frozenset[str] = frozenset({"text"})
    """Kinds of message parts that it can pass to a model."""

    def load(self) -> None:
        """Import the module with all that it runs on, as `open` does."""
        import_module(self.module)

    def open(self, deployment: Deployment, settings: Settings) -> LoadedModel:
        """Return the running model. Raises `CardError`."""
        backend = cast("BackendModule", import_module(self.module))
        return backend.open(deployment, settings)


EMBEDDING_PARAMETERS = frozenset({"dimensions", "encoding_format", "input_type", "truncate", "task"})
TOOL_PARAMETERS = frozenset({"tools", "tool_choice", "parallel_tool_calls"})
"""Parameters that mean nothing without a tool format."""
CONSTRAINT_PARAMETERS = ("response_format", "tool_choice", "guided_regex", "guided_choice", "guided_grammar")
"""Parameters whose answers follow a grammar."""
FORCED_TOOL_CHOICES = frozenset({"required", "function"})
"""The values of `tool_choice` whose answers follow a grammar."""
CONDITIONAL_PARAMETERS = TOOL_PARAMETERS | {
    *("safe_prompt", "input_type", "task", "prompt_name", "reasoning_effort")
}
"""Parameters that mean nothing without a field or file that not every model has."""
GENERATION_PARAMETERS = (
    TOOL_PARAMETERS
    | frozenset(CONSTRAINT_PARAMETERS)
    | {
        "temperature",
        "top_p",
        "max_tokens",
        "stop",
        "seed",
        "frequency_penalty",
        "presence_penalty",
        "n",
        "top_k",
        "min_p",
        "repetition_penalty",
        "logit_bias",
        "max_completion_tokens",
        "stream_options",
        "logprobs",
        "top_logprobs",
        "echo",
        "safe_prompt",
        "reasoning_effort",
    }
)
"""Parameters that generate text, honoured by every backend that does."""

BACKENDS: Mapping[str, Backend] = {
    "onnx-decoder": Backend(
        "inference.backends.decoder.opening",
        frozenset({Task.CHAT, Task.TEXT}),
        GENERATION_PARAMETERS | {"best_of"},
    ),
    "onnx-text-encoder": Backend(
        "inference.backends.encoder.text_encoder", frozenset({Task.EMBEDDINGS}), EMBEDDING_PARAMETERS
    ),
    "onnx-image-encoder": Backend(
        "inference.backends.vision.image_encoder", frozenset({Task.IMAGE_EMBEDDINGS}), EMBEDDING_PARAMETERS
    ),
    "onnx-text-classifier": Backend(
        "inference.backends.encoder.text_classifier",
        frozenset({Task.CLASSIFICATION}),
        frozenset({"prompt_name"}),
    ),
    "onnx-sparse-encoder": Backend(
        "inference.backends.encoder.sparse_encoder",
        frozenset({Task.SPARSE_EMBEDDINGS}),
        frozenset({"prompt_name"}),
    ),
    "onnx-cross-encoder": Backend(
        "inference.backends.encoder.sequence_scorer", frozenset({Task.RERANK}), frozenset()
    ),
    "remote": Backend(
        "inference.backends.remote.endpoint",
        frozenset({Task.CHAT, Task.TEXT, Task.EMBEDDINGS, Task.IMAGE_EMBEDDINGS, Task.RERANK}),
        EMBEDDING_PARAMETERS | GENERATION_PARAMETERS | {"verbosity"},
        frozenset({"text", "image_url", "input_audio", "audio_url"}),
    ),
}

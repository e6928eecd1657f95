"""Who runs the numbers: one row a backend, imported when the first deployment of its kind is opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from inference.contracts import Task

if TYPE_CHECKING:
    from inference.backends.loaded_models import LoadedModel
    from inference.cards.card import Deployment
    from inference.settings import Settings


@dataclass(frozen=True, slots=True)
class Backend:
    """What a backend can run, and the parameters it can honour: a card may declare these and no others.

    `module` has a function `open(deployment, settings) -> LoadedModel` that raises `card.CardError`.
    """

    module: str
    tasks: frozenset[Task]
    honours: frozenset[str]
    inputs: frozenset[str] = frozenset({"text"})
    """Kinds of parts of a message that it can hand to a model."""

    def load(self) -> None:
        """Imports what it runs on, which `open` does as well."""
        import_module(self.module)

    def open(self, deployment: Deployment, settings: Settings) -> LoadedModel:
        """Raises `CardError`."""
        opener: Callable[[Deployment, Settings], LoadedModel] = import_module(self.module).open
        return opener(deployment, settings)


EMBEDDING_PARAMETERS = frozenset({"dimensions", "encoding_format", "input_type", "truncate"})

BACKENDS: Mapping[str, Backend] = {
    "onnx-decoder": Backend(
        "inference.backends.decoder.opening",
        frozenset({Task.CHAT, Task.TEXT}),
        frozenset(
            {
                "temperature",
                "top_p",
                "max_tokens",
                "stop",
                "seed",
                "frequency_penalty",
                "presence_penalty",
                "tools",
                "tool_choice",
                "response_format",
                "guided_regex",
                "guided_choice",
                "guided_grammar",
                "n",
                "top_k",
                "min_p",
                "repetition_penalty",
                "logit_bias",
                "max_completion_tokens",
                "stream_options",
                "logprobs",
                "top_logprobs",
                "best_of",
                "echo",
                "safe_prompt",
                "parallel_tool_calls",
                "reasoning_effort",
            }
        ),
    ),
    "onnx-text-encoder": Backend(
        "inference.backends.encoder.text_encoder", frozenset({Task.EMBEDDINGS}), EMBEDDING_PARAMETERS
    ),
    "onnx-image-encoder": Backend(
        "inference.backends.vision.image_encoder", frozenset({Task.IMAGE_EMBEDDINGS}), EMBEDDING_PARAMETERS
    ),
    "onnx-text-classifier": Backend(
        "inference.backends.encoder.text_classifier", frozenset({Task.CLASSIFICATION}), frozenset()
    ),
    "remote": Backend(
        "inference.backends.remote.endpoint",
        frozenset({Task.CHAT, Task.TEXT, Task.EMBEDDINGS, Task.IMAGE_EMBEDDINGS}),
        EMBEDDING_PARAMETERS
        | {
            "temperature",
            "top_p",
            "max_tokens",
            "stop",
            "seed",
            "frequency_penalty",
            "presence_penalty",
            "response_format",
            "tools",
            "tool_choice",
            "n",
            "top_k",
            "min_p",
            "repetition_penalty",
            "logit_bias",
            "max_completion_tokens",
            "stream_options",
            "parallel_tool_calls",
            "reasoning_effort",
            "verbosity",
            "logprobs",
            "top_logprobs",
            "echo",
            "guided_regex",
            "guided_choice",
            "guided_grammar",
            "safe_prompt",
        },
        frozenset({"text", "image_url", "input_audio", "audio_url"}),
    ),
}

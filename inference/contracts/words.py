"""The words of the wire that the inside speaks too."""

from __future__ import annotations

from enum import StrEnum


class Route(StrEnum):
    """What can be asked, named by the path under any base path."""

    INFO = "info"
    MODELS = "models"
    HEALTH = "health"
    OPENAPI = "openapi.json"
    CHAT = "chat/completions"
    COMPLETIONS = "completions"
    EMBEDDINGS = "embeddings"
    IMAGE_EMBEDDINGS = "images/embeddings"


class Task(StrEnum):
    """What a deployment is for; its word in `/info` as `model_type`."""

    CHAT = "chat-completions"
    TEXT = "text-generation"
    EMBEDDINGS = "embeddings"
    IMAGE_EMBEDDINGS = "image-embeddings"
    CLASSIFICATION = "text-classification"


class FinishReason(StrEnum):
    """Why a stream ended, in the words of the wire."""

    STOP = "stop"
    LENGTH = "length"
    CONTENT_FILTER = "content_filter"
    TOOL_CALLS = "tool_calls"


class HarmCategory(StrEnum):
    """The four kinds of harm, in the words of the content filter's wire."""

    HATE = "hate"
    SELF_HARM = "self_harm"
    SEXUAL = "sexual"
    VIOLENCE = "violence"

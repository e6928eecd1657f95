"""The row of a parameter: its routes, type, range, defaults, and how it stands to the API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from inference.contracts import Route

CHAT = frozenset({Route.CHAT})
TEXT = frozenset({Route.COMPLETIONS})
GENERATION = CHAT | TEXT
TEXT_EMBEDDING = frozenset({Route.EMBEDDINGS})
EMBEDDING = frozenset({Route.EMBEDDINGS, Route.IMAGE_EMBEDDINGS})
ALL = GENERATION | EMBEDDING


class ParameterPlace(StrEnum):
    """The standing of a parameter with the API and a deployment."""

    ENVELOPE = "envelope"
    """Part of the route itself: every deployment that serves the route honours it."""
    STANDARD = "standard"
    """Named by the API; honoured where the deployment's card declares it under `parameters`."""
    EXTRA = "extra"
    """Not in the API; taken with `extra-parameters: pass-through` where the card declares it under `extras`,
    and native on the OpenAI base paths."""
    LABEL = "label"
    """An extra that names the caller or groups requests and changes no answer: every deployment takes it, and
    the request's log line carries a digest of it."""


class ValueKind(StrEnum):
    """The JSON type of a parameter's value."""

    NUMBER = "number"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    STRING = "string"
    STRINGS = "string or array of strings"
    ARRAY = "array"
    OBJECT = "object"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One row. `neutral` is the value without effect, which no deployment need refuse."""

    name: str
    routes: frozenset[Route]
    kind: ValueKind
    meaning: str
    place: ParameterPlace = ParameterPlace.STANDARD
    minimum: float | None = None
    maximum: float | None = None
    max_items: int | None = None
    values: tuple[str, ...] = ()
    default: Any = None
    neutral: Any = None
    defaults_by_route: Mapping[Route, Any] = field(default_factory=dict)
    """The defaults of routes that have their own, whatever the version."""
    defaults_by_version: Mapping[str, Any] = field(default_factory=dict)

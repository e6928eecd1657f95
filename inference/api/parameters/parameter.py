"""The row of a parameter: its routes, type, range, defaults, and how it stands to the API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from inference.contracts import Route

CHAT = frozenset({Route.CHAT})
TEXT = frozenset({Route.COMPLETIONS})
GENERATION = CHAT | TEXT
TEXT_EMBEDDING = frozenset({Route.EMBEDDINGS})
EMBEDDING = frozenset({Route.EMBEDDINGS, Route.IMAGE_EMBEDDINGS})
SCORING = frozenset({Route.RERANK, Route.CLASSIFY, Route.EMBED_SPARSE})
RESPONSES = frozenset({Route.RESPONSES})
CONVERSATION = CHAT | RESPONSES
SAMPLED = GENERATION | RESPONSES
ALL = SAMPLED | EMBEDDING | SCORING
NOTHING: Mapping[str, Any] = MappingProxyType({})


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
    DERIVED = "derived"
    """Another name or form, on this route, of a parameter that cards declare; of none, where no deployment
    has it: then a value that asks for anything is refused."""


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
    """One row: the facts of a parameter on every route that has it."""

    name: str
    routes: frozenset[Route]
    kind: ValueKind
    meaning: str
    place: ParameterPlace = ParameterPlace.STANDARD
    minimum: float | None = None
    maximum: float | None = None
    max_values: int | None = 1_024
    """The most values and keys that a request's value has, nested ones included; None: limited by a setting,
    or where it takes effect."""
    max_characters: int | None = 10_000
    """The most characters of its texts and keys together; None as for `max_values`."""
    values: tuple[str, ...] = ()
    default: Any = None
    card_default: bool = False
    """True if a deployment may have a default of its own for it."""
    neutral: tuple[Any, ...] = ()
    """The values that ask for nothing: taken by every deployment, on every path and under every policy. Lists
    are written as tuples here, and an object's keys with empty values do not count."""
    defaults_by_route: Mapping[Route, Any] = field(default_factory=dict)
    """The defaults of routes that have their own, whatever the version."""
    defaults_by_version: Mapping[str, Any] = field(default_factory=dict)
    declared_as: tuple[str, ...] = ()
    """The names under one of which cards declare a derived parameter; none where no card does."""

    def is_neutral(self, value: Any) -> bool:
        """Return True for a value that asks for nothing.

        To Python 0 equals False, to a caller it does not.
        """
        if self.name in TYPED and isinstance(value, dict):
            value = value.get("type")
        plain = _plain(value)
        return any(isinstance(plain, bool) == isinstance(one, bool) and plain == one for one in self.neutral)


TYPED = frozenset({"response_format", "tool_choice"})
"""Parameters whose objects stand for the word under `type`."""


def _plain(value: Any) -> Any:
    """Return a list as a tuple, and an object without the keys whose value is empty."""
    if isinstance(value, list):
        return tuple(value) if all(isinstance(item, str) for item in value) else value
    if isinstance(value, dict):
        return {key: item for key, item in value.items() if item}
    return value

"""Every request parameter, once, as a row.

Validation, the capability check, the card's rules and `/info` read these rows; none of them keeps a list of
its own. To add a parameter, add its row here and its rule where it takes effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from inference.contracts import Route


class Place(StrEnum):
    """How a parameter stands to the API and to a deployment."""

    ENVELOPE = "envelope"
    """Part of the route itself: every deployment that serves the route honours it."""
    STANDARD = "standard"
    """Named by the API; honoured where the deployment's card declares it under `parameters`."""
    EXTRA = "extra"
    """Not in the API; taken with `extra-parameters: pass-through` where the card declares it under `extras`,
    and native on the OpenAI base paths."""


class Kind(StrEnum):
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
    """One row. `neutral` is the value that asks for nothing, so that no deployment need refuse it."""

    name: str
    routes: frozenset[Route]
    kind: Kind
    meaning: str
    place: Place = Place.STANDARD
    minimum: float | None = None
    maximum: float | None = None
    max_items: int | None = None
    values: tuple[str, ...] = ()
    default: Any = None
    neutral: Any = None
    defaults_by_version: Mapping[str, Any] = field(default_factory=dict)


CHAT = frozenset({Route.CHAT})
TEXT = frozenset({Route.COMPLETIONS})
GENERATION = CHAT | TEXT
EMBEDDING = frozenset({Route.EMBEDDINGS, Route.IMAGE_EMBEDDINGS})
ALL = GENERATION | EMBEDDING

INT64 = 2**63
ENCODINGS = ("base64", "binary", "float", "int8", "ubinary", "uint8")

ROWS: tuple[Parameter, ...] = (
    Parameter("messages", CHAT, Kind.ARRAY, "The conversation so far.", Place.ENVELOPE),
    Parameter(
        "prompt", TEXT, Kind.STRINGS, "The text or texts to continue, or their token ids.", Place.ENVELOPE
    ),
    Parameter(
        "input",
        EMBEDDING,
        Kind.ARRAY,
        "What to embed: texts or their token ids, or pictures as data URLs.",
        Place.ENVELOPE,
    ),
    Parameter("model", ALL, Kind.STRING, "The deployment that answers.", Place.ENVELOPE),
    Parameter(
        "stream", GENERATION, Kind.BOOLEAN, "Send the answer piece by piece.", Place.ENVELOPE, default=False
    ),
    Parameter(
        "temperature",
        GENERATION,
        Kind.NUMBER,
        "Flattens (above 1) or sharpens (below 1) the distribution; 0 takes the most likely token.",
        minimum=0,
        maximum=2,
        default=0.7,
        defaults_by_version={"2024-04-01-preview": 1.0, "openai": 1.0},
    ),
    Parameter(
        "top_p",
        GENERATION,
        Kind.NUMBER,
        "Draws from the most likely tokens that together reach this probability; 0 takes the most likely.",
        minimum=0,
        maximum=1,
        default=1.0,
        neutral=1,
    ),
    Parameter(
        "max_tokens",
        GENERATION,
        Kind.INTEGER,
        "The most tokens of the answer. Without it: 256 on /completions, what the context leaves in chat.",
        minimum=0,
        maximum=2**31 - 1,
    ),
    Parameter(
        "stop",
        GENERATION,
        Kind.STRINGS,
        "Texts that end the answer; the text itself is not returned.",
        neutral=(),
    ),
    Parameter(
        "seed",
        GENERATION,
        Kind.INTEGER,
        "Makes the draw repeatable: the same request with the same seed gives the same answer.",
        minimum=-INT64,
        maximum=INT64 - 1,
    ),
    Parameter(
        "frequency_penalty",
        GENERATION,
        Kind.NUMBER,
        "Taken from a token's logit once for each time the answer already holds it.",
        minimum=-2,
        maximum=2,
        default=0.0,
        neutral=0,
    ),
    Parameter(
        "presence_penalty",
        GENERATION,
        Kind.NUMBER,
        "Taken from a token's logit when the answer already holds it.",
        minimum=-2,
        maximum=2,
        default=0.0,
        neutral=0,
    ),
    Parameter(
        "response_format",
        CHAT,
        Kind.OBJECT,
        "Free text, any JSON object, or JSON of a schema.",
        values=("text", "json_object", "json_schema"),
        default="text",
        neutral="text",
    ),
    Parameter("tools", CHAT, Kind.ARRAY, "Functions that the model may call."),
    Parameter(
        "tool_choice",
        CHAT,
        Kind.STRING,
        "Whether the model may (`auto`), must (`required`, or a named function) or must not (`none`) call.",
        values=("none", "auto", "required", "function"),
    ),
    Parameter(
        "modalities",
        CHAT,
        Kind.ARRAY,
        "Kinds of output.",
        values=("text", "audio"),
        neutral=("text",),
    ),
    Parameter(
        "dimensions",
        EMBEDDING,
        Kind.INTEGER,
        "Shortens the vectors, for models trained so that their first numbers carry the most.",
        minimum=1,
        maximum=2**31 - 1,
    ),
    Parameter(
        "encoding_format",
        EMBEDDING,
        Kind.STRING,
        "How the numbers of a vector are written.",
        values=ENCODINGS,
        default="float",
        neutral="float",
    ),
    Parameter(
        "input_type",
        EMBEDDING,
        Kind.STRING,
        "What the input is for: puts the model's own prompt for queries or documents before it.",
        Place.ENVELOPE,
        values=("text", "query", "document"),
        default="text",
        neutral="text",
    ),
    Parameter(
        "n",
        GENERATION,
        Kind.INTEGER,
        "How many answers to draw.",
        Place.EXTRA,
        minimum=1,
        maximum=128,
        default=1,
        neutral=1,
    ),
    Parameter(
        "top_k",
        GENERATION,
        Kind.INTEGER,
        "Draws from this many of the most likely tokens.",
        Place.EXTRA,
        minimum=1,
        maximum=2**31 - 1,
    ),
    Parameter(
        "min_p",
        GENERATION,
        Kind.NUMBER,
        "Leaves out tokens whose probability is below this part of the most likely one's.",
        Place.EXTRA,
        minimum=0,
        maximum=1,
        neutral=0,
    ),
    Parameter(
        "repetition_penalty",
        GENERATION,
        Kind.NUMBER,
        "Divides the positive and multiplies the negative logits of tokens in the prompt or the answer.",
        Place.EXTRA,
        minimum=0.01,
        maximum=10,
        neutral=1,
    ),
    Parameter(
        "logit_bias",
        GENERATION,
        Kind.OBJECT,
        "Added to the logits of the tokens whose ids are the keys, from -100 to 100.",
        Place.EXTRA,
        minimum=-100,
        maximum=100,
        neutral=MappingProxyType({}),
    ),
    Parameter(
        "max_completion_tokens",
        CHAT,
        Kind.INTEGER,
        "OpenAI's later name of `max_tokens`.",
        Place.EXTRA,
        minimum=0,
        maximum=2**31 - 1,
    ),
    Parameter(
        "stream_options",
        GENERATION,
        Kind.OBJECT,
        "`include_usage` sends the token counts in a chunk of their own before the end of a stream.",
        Place.EXTRA,
    ),
    Parameter(
        "safe_prompt",
        CHAT,
        Kind.BOOLEAN,
        "Puts the deployment's safety sentence before the conversation.",
        Place.EXTRA,
        neutral=False,
    ),
)

BY_NAME: Mapping[str, Parameter] = MappingProxyType({row.name: row for row in ROWS})


def of_route(route: Route, *places: Place) -> tuple[Parameter, ...]:
    """The rows of a route, in the table's order; all places when none is given."""
    return tuple(row for row in ROWS if route in row.routes and (not places or row.place in places))


def default_of(name: str, version: str) -> Any:
    """What a parameter is when the request leaves it out, under an api-version or the word `openai`."""
    row = BY_NAME[name]
    return row.defaults_by_version.get(version, row.default)

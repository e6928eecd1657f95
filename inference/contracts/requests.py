"""Requests to models, and the words of the wire that they share with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, NamedTuple, TypeAlias


class Route(str):
    """A route by its path under any base path, such as `chat/completions`.

    Cards, parameters and answers name routes by this; what a route is stands in its row of `api.routes`.
    """

    __slots__ = ()

    INFO: ClassVar[Route]
    MODELS: ClassVar[Route]
    HEALTH: ClassVar[Route]
    OPENAPI: ClassVar[Route]
    CHAT: ClassVar[Route]
    RESPONSES: ClassVar[Route]
    INPUT_TOKENS: ClassVar[Route]
    RESPONSE: ClassVar[Route]
    RESPONSE_INPUT: ClassVar[Route]
    RESPONSE_CANCEL: ClassVar[Route]
    COMPLETIONS: ClassVar[Route]
    EMBEDDINGS: ClassVar[Route]
    IMAGE_EMBEDDINGS: ClassVar[Route]
    RERANK: ClassVar[Route]
    CLASSIFY: ClassVar[Route]
    EMBED_SPARSE: ClassVar[Route]


Route.INFO = Route("info")
Route.MODELS = Route("models")
Route.HEALTH = Route("health")
Route.OPENAPI = Route("openapi.json")
Route.CHAT = Route("chat/completions")
Route.RESPONSES = Route("responses")
Route.INPUT_TOKENS = Route("responses/input_tokens")
Route.RESPONSE = Route("responses/{response_id}")
Route.RESPONSE_INPUT = Route("responses/{response_id}/input_items")
Route.RESPONSE_CANCEL = Route("responses/{response_id}/cancel")
Route.COMPLETIONS = Route("completions")
Route.EMBEDDINGS = Route("embeddings")
Route.IMAGE_EMBEDDINGS = Route("images/embeddings")
Route.RERANK = Route("rerank")
Route.CLASSIFY = Route("classify")
Route.EMBED_SPARSE = Route("embed_sparse")


class ApiStyle(StrEnum):
    """The API whose rules a path follows where the two differ."""

    NATIVE = "native"
    OPENAI = "openai"


class Task(StrEnum):
    """The purpose of a deployment; its word in `/info` as `model_type`."""

    CHAT = "chat-completions"
    TEXT = "text-generation"
    EMBEDDINGS = "embeddings"
    IMAGE_EMBEDDINGS = "image-embeddings"
    CLASSIFICATION = "text-classification"
    RERANK = "rerank"
    SPARSE_EMBEDDINGS = "sparse-embeddings"


class TextOrigin(StrEnum):
    """The author of a text, where that decides what the content filter looks for."""

    USER = "user"
    TOOL = "tool"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class FilteredText:
    """A text of a request that the content filter judges."""

    text: str
    origin: TextOrigin = TextOrigin.OTHER


TokenIds: TypeAlias = Sequence[int]


class TokenizedInput(NamedTuple):
    """One text, or two that belong together, as token ids; `types` says which of the two each is of.

    None stands for a text alone.
    """

    ids: TokenIds
    types: TokenIds | None = None


@dataclass(frozen=True, slots=True)
class Sampling:
    """The draw of the next token from the logits. The defaults change nothing.

    Order of application: `logit_bias`, `repetition_penalty`, frequency and presence penalties, `temperature`,
    `top_k`, `top_p`, `min_p`, draw. Temperature 0 takes the most likely token and draws nothing.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int | None = None
    min_p: float = 0.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    repetition_penalty: float = 1.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    seed: int | None = None


class Grammar(StrEnum):
    """The languages in which a `Constraint` is written."""

    JSON_SCHEMA = "json_schema"
    REGEX = "regex"
    LARK = "lark"
    """Lark's notation as llguidance reads it, where `%json {...}` stands for a value of a schema."""


@dataclass(frozen=True, slots=True)
class Constraint:
    """A grammar of the whole answer, up to its stop token; an answer cut by its length is a prefix of one."""

    grammar: Grammar
    source: str


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One sequence to continue: the prompt's token ids, at most `max_tokens` more, until a stop token."""

    prompt: tuple[int, ...]
    max_tokens: int
    sampling: Sampling = Sampling()
    stop_tokens: frozenset[int] = frozenset()
    constraint: Constraint | None = None
    logprobs: int | None = None
    """The alternatives that each `Token` has beside its own log probability; None for none at all."""
    prompt_logprobs: bool = False
    """True if `Prefilled` has those of the prompt's tokens, with as many alternatives."""


@dataclass(frozen=True, slots=True)
class ProxyRequest:
    """A request for a remote endpoint, which is sent messages, not tokens."""

    route: Route
    body: Mapping[str, Any]
    """The validated body as the caller wrote it."""
    version: str
    """The api-version that the request is served as, or `openai`."""
    choices: int = 1
    stream: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    """The headers by which the endpoint can name this request too."""


JSON_FORM: Mapping[str, str | bool] = {
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
    "coerce_one_of": False,
    "lenient": False,
    "json_allowed_escapes": 'nrbtf\\"',
    "json_allow_general_unicode_escapes": False,
}
"""JSON as models write it and tokenizers cut well, like that of `json.dumps`: `{"a": 1, "b": [2]}`.

Nothing is left to choose between, so all of it can be fed at once. No `\\u` escapes: in a name they could
spell once more a property that is already there, and readers would see the later value, which nothing held
to the property's schema. The keys are llguidance's, under `x-guidance` in a schema."""

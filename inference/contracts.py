"""The nouns: what is asked of a model and what it answers.

A generating model turns a `GenerationRequest` into a stream of `Token`s closed by one `Finish`. The reply
stages turn tokens into what a caller sees: `Text`, `Reasoning`, `ToolCallStart`, `ToolCallArguments`, and the
same `Finish`. `Event` is the closed union of all of them, so a stage that meets an event it does not
transform hands it on. An embedding model turns token ids or pictures into vectors.

Nothing here knows of HTTP, of files, or of onnxruntime.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors: TypeAlias = NDArray[np.float32]
    """Shape [inputs, dimensions], float32."""
    Picture: TypeAlias = NDArray[np.uint8]
    """Shape [height, width, 3], RGB."""

TokenIds: TypeAlias = Sequence[int]


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


class Category(StrEnum):
    """The four kinds of harm, in the words of the content filter's wire."""

    HATE = "hate"
    SELF_HARM = "self_harm"
    SEXUAL = "sexual"
    VIOLENCE = "violence"


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens counted for one sequence; usages add up over the sequences of a request."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int | None = None
    """Those of the completion that were thoughts; None for a model that has none to part."""

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
            _sum(self.reasoning_tokens, other.reasoning_tokens),
        )


def _sum(one: int | None, other: int | None) -> int | None:
    return other if one is None else one + (other or 0)


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is drawn from the logits. The defaults change nothing.

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
    """What the whole answer must be, up to its stop token; one cut by its length is a beginning of that."""

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
    """How many alternatives each `Token` tells beside its own log probability; None: not even that."""
    prompt_logprobs: bool = False
    """Whether `Prefilled` tells those of the prompt's tokens, with as many alternatives."""


@dataclass(frozen=True, slots=True)
class Logprobs:
    """Natural logarithms of what the model's own distribution gave at one position, before bias, penalties,
    temperature and constraints."""

    chosen: float
    top: tuple[tuple[int, float], ...]
    """Token ids and theirs, the most likely first."""


@dataclass(frozen=True, slots=True)
class Prefilled:
    """The prompt is run. The first event of a stream that has any `Token`."""

    cached_tokens: int
    """How many of its tokens were known from an earlier prompt."""
    logprobs: tuple[Logprobs, ...] = ()
    """Of the prompt's tokens from the second on, where they were asked for."""


@dataclass(frozen=True, slots=True)
class Token:
    """One token the model produced. Stop tokens are never shown as events."""

    id: int
    logprobs: Logprobs | None = None


@dataclass(frozen=True, slots=True)
class Alternative:
    """A token as a reader sees it, with its log probability; the first of a prompt has none."""

    text: str
    data: bytes
    """What the token stands for: part of a character, where `text` can only be U+FFFD."""
    logprob: float | None


@dataclass(frozen=True, slots=True)
class Scored:
    """A token of the text with its log probability and those of its alternatives."""

    token: Alternative
    top: tuple[Alternative, ...]
    offset: int
    """Characters of the choice's text before it."""


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of the answer, cut between characters."""

    text: str
    scores: tuple[Scored, ...] = ()
    """Of the tokens that end in this piece or before it, where log probabilities were asked for. A stage that
    takes text apart hands them on no earlier than the last of the text they came with."""


@dataclass(frozen=True, slots=True)
class Reasoning:
    """A piece of what the model thought before it answered."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallStart:
    """The model begins to call a tool; its arguments follow as `ToolCallArguments` of the same index."""

    index: int
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class ToolCallArguments:
    """A piece of the JSON text of a call's arguments."""

    index: int
    arguments: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The last event of a stream."""

    reason: FinishReason
    usage: Usage


@dataclass(frozen=True, slots=True)
class Judged:
    """What the content filter says of the choice's next event, in the wire's words."""

    results: Mapping[str, Any]
    offsets: Mapping[str, int] | None = None
    """Which characters of the choice it is about, where they were shown before they were judged."""
    failed: bool = False
    """Whether the filter could not judge and the answer ends for that."""


Event: TypeAlias = Token | Prefilled | Text | Reasoning | ToolCallStart | ToolCallArguments | Judged | Finish
Events: TypeAlias = AsyncGenerator[Event, None]


class Generator(Protocol):
    """Continues token sequences, many at once. Closing a stream cancels its sequence and frees its cache."""

    @property
    def context(self) -> int:
        """The most tokens, prompt and answer together, that a sequence may have."""
        ...

    @property
    def scores(self) -> bool:
        """Whether it can tell the log probabilities of a prompt."""
        ...

    def generate(self, request: GenerationRequest) -> Events:
        """Yields `Prefilled`, `Token`s, then one `Finish`.

        Raises `errors.Busy` before the first event when the queue is full, `errors.GenerationFailed` when the
        model itself fails.
        """
        ...

    def close(self) -> None: ...


class TextEmbedder(Protocol):
    """Turns token sequences into vectors: pooled and, where the model says so, of length one."""

    @property
    def dimensions(self) -> int: ...

    @property
    def context(self) -> int:
        """The most tokens of one input."""
        ...

    async def embed(self, inputs: Sequence[TokenIds], *, prompt: int = 0) -> Vectors:
        """One row an input, in the inputs' order. Every input holds at least one token.

        The first `prompt` tokens of each are the model's own words before it, which some models leave out of
        their vectors.
        """
        ...

    def close(self) -> None: ...


class TextClassifier(Protocol):
    """Says how harmful a text is, per category."""

    @property
    def categories(self) -> frozenset[Category]:
        """What it can tell; of other categories it says nothing."""
        ...

    async def classify(self, text: str) -> Mapping[Category, int]:
        """Severities from 0 to 7 of a text of any length, the greatest of its parts."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Relayed:
    """A request for an endpoint that speaks the wire itself: it is handed on as messages, not as tokens."""

    route: Route
    body: Mapping[str, Any]
    """What was judged fit, in the caller's words."""
    version: str
    """The api-version that the request is served as, or `openai`."""
    choices: int = 1
    stream: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    """By which the endpoint can name this request too."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors as the model gave them, and what they count for."""

    vectors: Vectors
    tokens: int
    patches: int = 0


class Upstream(Protocol):
    """An endpoint elsewhere. What it refuses is raised as `errors.UpstreamError` or `errors.ContentFiltered`
    before the first event; what fails later is raised where the next event would be."""

    def generate(self, request: Relayed) -> list[Events]:
        """The events of every choice, in order: never `Token`s, closed by one `Finish`. Nothing is sent
        before the first of them is asked for; when all are closed the exchange is given up at once."""
        ...

    async def embed(self, request: Relayed) -> Embedded:
        """One row an input, in the inputs' order."""
        ...

    async def aclose(self) -> None:
        """Closes the connections of this event loop."""
        ...

    def close(self) -> None:
        """Closes the connections of every loop that still runs, soon."""
        ...


class ImageEmbedder(Protocol):
    """Turns pictures into vectors of the space its text tower, if it has one, shares."""

    @property
    def dimensions(self) -> int: ...

    @property
    def patches(self) -> int:
        """How many patches a picture is cut into: what `/images/embeddings` counts as prompt tokens."""
        ...

    async def embed_images(self, images: Sequence[Picture]) -> Vectors:
        """One row a picture, in the pictures' order."""
        ...

    def close(self) -> None: ...

"""A deployment and its card: `model.json` is loaded, validated, and its mistakes are explained.

A deployment is a folder: the card and the files it describes. The capability check refuses requests by what
the card declares, and `/info` prints it; facts about a model are in its card and never in code.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_core import from_json

from inference.api.routes import routes_of
from inference.cards import CardPart
from inference.cards.content_safety import CardContentSafety, Classification
from inference.cards.declared_parameters import (
    SECTIONS,
    Extras,
    Limits,
    effort_problems,
    section_problems,
    section_schema,
    with_defaults,
)
from inference.cards.remote import NEVER_FORWARDED, REMOTE_BACKEND, InputKind, RemoteCard, remote_problems
from inference.contracts import Route, Task

CARD_FILE = "model.json"
SYMMETRIC_TASK = "text-matching"
"""The task of texts that are compared with their like."""


class CardError(Exception):
    """A folder that cannot be a deployment; the message names the file, the key and the value."""


class Embedding(CardPart):
    """Pooling, sizes and prompts of an embedding model; absent fields are read from the model's own files."""

    pooling: Literal["mean", "cls", "last", "max", "weighted_mean", "mean_sqrt_len", "none"] | None = None
    normalize: bool | None = None
    dimensions: int | None = Field(None, ge=1, description="The native size of a vector.")
    matryoshka: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (), description="Sizes accepted in `dimensions`; empty: the native size only."
    )
    prompts: Mapping[Literal["text", "query", "document"], str] = Field(
        default_factory=dict,
        description="Prefix of an input of each `input_type`, instead of the model's own.",
    )
    tasks: Mapping[Annotated[str, Field(min_length=1)], str] = Field(
        default_factory=dict,
        description="The tasks of a graph that reads `task_id`, in the sequence of their numbers, each with "
        "the prefix of its inputs; `task` takes their names.",
    )
    task: str | None = Field(
        None, description="The task of requests that choose none; absent: text-matching, else the first."
    )
    sparse: str | None = Field(
        None,
        description="The graph's output of one weight a token, beside that of the vectors: "
        "/embed_sparse answers with it.",
    )
    truncate: Literal["END", "START"] | None = Field(
        None,
        description="The end at which inputs that are too long are cut, even if the request does not ask for "
        "it; absent: they are refused.",
    )


def usual_task(names: Iterable[str]) -> str:
    """Return the task of inputs of which nothing is known: the one without sides, else the first."""
    known = list(names)
    return SYMMETRIC_TASK if SYMMETRIC_TASK in known else known[0]


class ReasoningTags(CardPart):
    """The tags around the model's reasoning, at the start of an answer."""

    open: str = Field("<think>", min_length=1)
    close: str = Field("</think>", min_length=1)


class Card(CardPart):
    """The `model.json` of a deployment."""

    schema_: str | None = Field(None, alias="$schema")
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$", description="Its name in requests.")
    aliases: tuple[Annotated[str, Field(pattern=r"^(\*|[^\s,=*]{1,256})$")], ...] = Field(
        (), description="Other names in requests; `*` stands for every name that no deployment has."
    )
    provider: str = Field(min_length=1, description="Maker of the model: `model_provider_name` in `/info`.")
    type: Task
    backend: str = Field(
        description="The backend that runs it: onnx-decoder, onnx-text-encoder, onnx-image-encoder, "
        "onnx-text-classifier, onnx-cross-encoder, "
        "onnx-sparse-encoder, or remote for another endpoint."
    )
    model_type: str | None = Field(None, description="`model_type` in `/info`, instead of that of `type`.")
    description: str = ""
    license: str = ""
    files: Mapping[str, str] = Field(default_factory=dict, description="Role to path inside the folder.")
    context: int | None = Field(None, ge=1, description="The most tokens of one sequence.")
    embedding: Embedding = Embedding()
    classification: Classification = Classification()
    named_prompts: Mapping[str, str] = Field(
        default_factory=dict,
        description="Texts to put before an input of /classify and /embed_sparse, by the names that "
        "`prompt_name` takes; absent: the model's own.",
    )
    default_prompt: str | None = Field(
        None,
        description="The name of the prompt of requests that name none; before a pair it stands before the "
        "first text, on /rerank before the query.",
    )
    content_safety: CardContentSafety = CardContentSafety()
    reasoning: ReasoningTags | None = Field(
        None, description="For models that reason before they answer: the tags around the reasoning."
    )
    parameters: Mapping[str, Limits] = Field(default_factory=dict)
    extras_: Extras = Field(default_factory=dict, alias="extras")
    inputs: tuple[InputKind, ...] = Field(
        ("text",), min_length=1, description="Kinds of content parts that messages may have."
    )
    remote: RemoteCard | None = Field(None, description="The endpoint of the backend `remote`.")

    @field_validator("files")
    @classmethod
    def _check_files(cls, files: Mapping[str, str]) -> Mapping[str, str]:
        for role, name in files.items():
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts:
                raise ValueError(f"{role}: {name!r} leads out of the folder")
        return files

    @property
    def has_text_tower(self) -> bool:
        """True if an image model also embeds texts, into the same space."""
        return self.type is Task.IMAGE_EMBEDDINGS and "text_model" in self.files

    @property
    def routes(self) -> frozenset[Route]:
        """Routes that the deployment serves."""
        if self.type is Task.EMBEDDINGS and self.embedding.sparse:
            return routes_of(self.type) | {Route.EMBED_SPARSE}
        if self.has_text_tower:
            return routes_of(self.type) | {Route.EMBEDDINGS}
        return routes_of(self.type)

    @property
    def extras(self) -> Mapping[str, Limits]:
        """Declared extras; empty where every extra is accepted."""
        return {} if isinstance(self.extras_, str) else self.extras_

    @property
    def accepts_any_extra(self) -> bool:
        """True if extras that are not declared are passed on to the endpoint."""
        return isinstance(self.extras_, str)

    def passes_through(self, name: str) -> bool:
        """Return True if an extra of this name is passed on without being declared."""
        return self.accepts_any_extra and name not in NEVER_FORWARDED

    def with_defaults(self, body: Mapping[str, Any], route: Route) -> dict[str, Any]:
        """Return the body of a request with this deployment's defaults for what it leaves out."""
        return with_defaults(body, {**self.parameters, **self.extras}, route)

    def limits(self, name: str) -> Limits | None:
        """Return the limits of a parameter, standard or extra; None where it is not declared."""
        return self.parameters.get(name) or self.extras.get(name)


@dataclass(frozen=True, slots=True)
class Deployment:
    """A card and its folder."""

    card: Card
    folder: Path

    @property
    def name(self) -> str:
        """Name of the deployment in requests."""
        return self.card.name

    def file(self, role: str, default: str | None = None) -> Path:
        """Return the path of a role's file. Raises `CardError` if the card or the folder has none."""
        name = self.card.files.get(role, default)
        if name is None:
            raise CardError(f"{CARD_FILE}: files.{role} is missing")
        path = self.folder / name
        if not path.is_file():
            raise CardError(f"files.{role}: {name!r} is not in the folder")
        return path

    def optional_file(self, role: str, default: str) -> Path | None:
        """Return the path of a role's file, or None if neither the card nor the folder has one.

        Raises `CardError` if the card names a file that the folder does not have.
        """
        if role not in self.card.files and not (self.folder / default).is_file():
            return None
        return self.file(role, default)


def load(folder: Path) -> Deployment:
    """Return the deployment in a folder. Raises `CardError`."""
    try:
        content = (folder / CARD_FILE).read_bytes()
    except OSError as error:
        raise CardError(f"{CARD_FILE} cannot be read: {error.strerror}") from None
    return Deployment(parse(content), folder)


def parse(content: bytes) -> Card:
    """Return the card of a `model.json`. Raises `CardError`, which names every problem."""
    try:
        data = from_json(content.removeprefix(BOM_UTF8))
    except ValueError as error:
        raise CardError(f"{CARD_FILE} is not JSON: {error}") from None
    try:
        card = Card.model_validate(data)
    except ValidationError as error:
        raise CardError("; ".join(_sentences(error))) from None
    if problems := list(_problems(card)):
        raise CardError("; ".join(f"{CARD_FILE}: {problem}" for problem in problems))
    return card


def _sentences(error: ValidationError) -> Iterator[str]:
    """Yield a sentence for each violation of the schema, with its location and value."""
    for violation in error.errors(include_url=False):
        keys = (str(key) for key in violation["loc"])
        location = ".".join(key for key in keys if not key.startswith("<")) or "the file"
        # An API key written into `key_setting` by mistake must not appear in a log.
        value = "" if violation["loc"][:1] == ("remote",) else f", not {violation['input']!r}"
        yield f"{CARD_FILE}: {location}: {violation['msg']}{value}"


def _problems(card: Card) -> Iterator[str]:
    """Yield a sentence for each field that contradicts another, or the API."""
    for section, declared in (("parameters", card.parameters), ("extras", card.extras)):
        yield from section_problems(section, declared, card.routes, card.type)
    yield from remote_problems(card.backend, card.remote, card.type, any_extras=card.accepts_any_extra)
    yield from _chat_problems(card)
    yield from _embedding_problems(card)
    yield from _prompt_problems(card)


def _chat_problems(card: Card) -> Iterator[str]:
    tools, is_remote = card.parameters.get("tools"), card.backend == REMOTE_BACKEND
    if tools and is_remote and tools.dialect:
        yield "parameters.tools.dialect must be absent: a remote endpoint parses its model's calls itself"
    if tools and not is_remote and not tools.dialect:
        yield "parameters.tools needs dialect: the format in which the model writes tool calls"
    if tools and is_remote and tools.max_calls:
        yield "parameters.tools.max_calls must be absent: a remote endpoint ends its model's calls itself"
    if tools and "tool_choice" not in card.parameters:
        yield "parameters.tools needs parameters.tool_choice as well"
    if (safe_prompt := card.extras.get("safe_prompt")) and not safe_prompt.text:
        yield "extras.safe_prompt needs text: the sentence put before the conversation"
    if (effort := card.extras.get("reasoning_effort")) and card.remote is None:
        yield from effort_problems(effort)
    if card.reasoning and card.type is not Task.CHAT:
        yield f"reasoning does not belong to {card.type}"


def _embedding_problems(card: Card) -> Iterator[str]:
    if card.embedding.truncate and Route.EMBEDDINGS not in card.routes:
        yield f"embedding.truncate does not belong to {card.type}"
    if card.embedding.task is not None and card.embedding.task not in card.embedding.tasks:
        known = ", ".join(card.embedding.tasks) or "none"
        yield f"embedding.task is {card.embedding.task!r}, embedding.tasks has {known}"
    if "task" in card.extras and card.remote is None and not card.embedding.tasks:
        yield "extras.task needs embedding.tasks: the names of the graph's tasks in their sequence"
    sizes, native = card.embedding.matryoshka, card.embedding.dimensions
    if sizes and (native is None or max(sizes) > native):
        yield f"embedding.matryoshka has {max(sizes)}, more than embedding.dimensions, which is {native}"


def _prompt_problems(card: Card) -> Iterator[str]:
    if card.default_prompt is not None and card.default_prompt not in card.named_prompts:
        known = ", ".join(card.named_prompts) or "none"
        yield f"default_prompt is {card.default_prompt!r}, named_prompts has {known}"
    if "prompt_name" in card.extras and card.remote is None and not card.named_prompts:
        yield "extras.prompt_name needs named_prompts: the texts that it chooses from"


def schema() -> dict[str, Any]:
    """Return the JSON Schema of `model.json`, for editors."""
    result = Card.model_json_schema(by_alias=True)
    for section in SECTIONS:
        result["properties"][section] = section_schema(section)
    result["properties"]["extras"] = {"anyOf": [result["properties"]["extras"], {"const": "any"}]}
    return result

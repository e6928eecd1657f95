"""A deployment's `model.json` as a typed value: loaded, validated, its mistakes explained.

A deployment is a folder: the card beside the files it describes. What the card declares is what `/info`
prints and what the capability check refuses by; facts about a model live here and never in code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, field_validator
from pydantic_core import from_json

from inference.api.parameters import BY_NAME, Parameter, ParameterPlace, ValueKind
from inference.api.routes import routes_of
from inference.cards.content_safety import CardContentSafety, Classification
from inference.cards.remote import BACKEND as REMOTE
from inference.cards.remote import UNANSWERED, Input, RemoteCard, misplaced
from inference.contracts import Route, Task

CARD_FILE = "model.json"

TAKEN = frozenset({"messages", "tools", "documents", "add_generation_prompt"})
"""Variables of a chat template that no card may give."""


class CardError(Exception):
    """The folder cannot be a deployment; the message names the place and what stands there."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Limits(_Strict):
    """How far a declared parameter is honoured; absent fields leave the API's own range."""

    min: float | None = Field(None, description="The smallest value honoured.")
    max: float | None = Field(None, description="The largest value honoured.")
    max_items: int | None = Field(None, ge=1, description="The most items of a list, or texts of `stop`.")
    values: tuple[str, ...] | None = Field(None, min_length=1, description="The values honoured.")
    dialect: str | None = Field(None, description="`tools`: how the model writes calls.")
    text: str | None = Field(None, description="`safe_prompt`: the sentence put before the conversation.")
    template: Mapping[str, Mapping[str, Any]] | None = Field(
        None, description="`reasoning_effort`: the variables that each value gives to the chat template."
    )


Extras = Annotated[
    Annotated[Literal["any"], Tag("<word>")] | Annotated[Mapping[str, Limits], Tag("<declared>")],
    Discriminator(lambda value: "<word>" if isinstance(value, str) else "<declared>"),
]
"""What is declared, or that whatever is sent is handed on."""


class Embedding(_Strict):
    """How token vectors become one vector. What is absent is read from the model's own files."""

    pooling: Literal["mean", "cls", "last", "max", "weighted_mean", "mean_sqrt_len", "none"] | None = None
    normalize: bool | None = None
    dimensions: int | None = Field(None, ge=1, description="The native size of a vector.")
    matryoshka: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (), description="Sizes that `dimensions` may ask for; empty: the native size only."
    )
    prompts: Mapping[Literal["text", "query", "document"], str] = Field(
        default_factory=dict,
        description="Put before an input of that `input_type`, instead of the model's own words.",
    )
    truncate: Literal["END", "START"] | None = Field(
        None, description="Which end an input that is too long loses unasked; absent: it is refused."
    )


class ReasoningTags(_Strict):
    """What the model writes around its thoughts, at the begin of an answer."""

    open: str = Field("<think>", min_length=1)
    close: str = Field("</think>", min_length=1)


class Card(_Strict):
    """`model.json`."""

    schema_: str | None = Field(None, alias="$schema")
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$", description="What requests call it.")
    provider: str = Field(min_length=1, description="Who made the model: `model_provider_name` in `/info`.")
    type: Task
    backend: str = Field(
        description="What runs it: onnx-decoder, onnx-text-encoder, onnx-image-encoder, "
        "onnx-text-classifier, or remote for an endpoint elsewhere."
    )
    model_type: str | None = Field(None, description="Overrides the word `/info` gives for the type.")
    description: str = ""
    license: str = ""
    files: Mapping[str, str] = Field(default_factory=dict, description="Role to path inside the folder.")
    context: int | None = Field(None, ge=1, description="The most tokens of one sequence.")
    embedding: Embedding = Embedding()
    classification: Classification = Classification()
    content_safety: CardContentSafety = CardContentSafety()
    reasoning: ReasoningTags | None = Field(
        None, description="For models that think before they answer: the tags that part the two."
    )
    parameters: Mapping[str, Limits] = Field(default_factory=dict)
    extras_: Extras = Field(default_factory=dict, alias="extras")
    inputs: tuple[Input, ...] = Field(
        ("text",), min_length=1, description="Kinds of parts that a message's content may have."
    )
    remote: RemoteCard | None = Field(None, description="Backend remote: the endpoint that is asked.")

    @field_validator("files")
    @classmethod
    def _inside(cls, files: Mapping[str, str]) -> Mapping[str, str]:
        for role, name in files.items():
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts:
                raise ValueError(f"{role}: {name!r} leads out of the folder")
        return files

    @property
    def has_text_tower(self) -> bool:
        """Whether a model of pictures reads texts into the same space."""
        return self.type is Task.IMAGE_EMBEDDINGS and "text_model" in self.files

    @property
    def routes(self) -> frozenset[Route]:
        """The routes this deployment serves."""
        if self.has_text_tower:
            return routes_of(self.type) | {Route.EMBEDDINGS}
        return routes_of(self.type)

    @property
    def extras(self) -> Mapping[str, Limits]:
        """The declared extras; none where any are taken."""
        return {} if isinstance(self.extras_, str) else self.extras_

    @property
    def takes_any(self) -> bool:
        """Whether extras that nobody declared are handed on."""
        return isinstance(self.extras_, str)

    def passes(self, name: str) -> bool:
        """Whether an extra of this name is handed on although nobody declared it."""
        return self.takes_any and name not in UNANSWERED

    def limits(self, name: str) -> Limits | None:
        """What is declared of a parameter, standard or extra; None where nothing is."""
        return self.parameters.get(name) or self.extras.get(name)


@dataclass(frozen=True, slots=True)
class Deployment:
    """A card and the folder it lies in."""

    card: Card
    folder: Path

    @property
    def name(self) -> str:
        return self.card.name

    def file(self, role: str, default: str | None = None) -> Path:
        """The existing file of a role. Raises `CardError` when the card or the folder has none."""
        name = self.card.files.get(role, default)
        if name is None:
            raise CardError(f"{CARD_FILE}: files.{role} is missing")
        path = self.folder / name
        if not path.is_file():
            raise CardError(f"files.{role}: {name!r} is not in the folder")
        return path

    def optional_file(self, role: str, default: str) -> Path | None:
        """The file of a role that may be absent unless the card names it."""
        if role not in self.card.files and not (self.folder / default).is_file():
            return None
        return self.file(role, default)


def load(folder: Path) -> Deployment:
    """Reads and validates the card in a folder. Raises `CardError`."""
    try:
        content = (folder / CARD_FILE).read_bytes()
    except OSError as error:
        raise CardError(f"{CARD_FILE} cannot be read: {error.strerror}") from None
    return Deployment(parse(content), folder)


def parse(content: bytes) -> Card:
    """Validates the bytes of a card. Raises `CardError`."""
    try:
        data = from_json(content)
    except ValueError as error:
        raise CardError(f"{CARD_FILE} is not JSON: {error}") from None
    try:
        card = Card.model_validate(data)
    except ValidationError as error:
        raise CardError("; ".join(_sentences(error))) from None
    problems = [*_misplaced(card), *_widened(card), *_incomplete(card)]
    if problems:
        raise CardError("; ".join(f"{CARD_FILE}: {problem}" for problem in problems))
    return card


def _sentences(error: ValidationError) -> Iterator[str]:
    for problem in error.errors(include_url=False):
        steps = (str(step) for step in problem["loc"])
        place = ".".join(step for step in steps if not step.startswith("<")) or "the file"
        # Who mistakes `key_setting` for the place of the key must not find the key in a log.
        value = "" if problem["loc"][:1] == ("remote",) else f", not {problem['input']!r}"
        yield f"{CARD_FILE}: {place}: {problem['msg']}{value}"


def _misplaced(card: Card) -> Iterator[str]:
    """Parameters that no row knows for this card's routes, or that stand in the wrong list."""
    for place, declared in ((ParameterPlace.STANDARD, card.parameters), (ParameterPlace.EXTRA, card.extras)):
        section = "parameters" if place is ParameterPlace.STANDARD else "extras"
        for name in declared:
            row = BY_NAME.get(name)
            if row is None or row.place is not place:
                yield f"{section}.{name} is not a parameter that {section} can declare"
            elif not row.routes & card.routes:
                yield f"{section}.{name} does not belong to {card.type}"


def _widened(card: Card) -> Iterator[str]:
    """Limits that go beyond the API's own."""
    for name, limits in {**card.parameters, **card.extras}.items():
        row = BY_NAME.get(name)
        if row is None:
            continue
        yield from _outside(row, limits)


def _outside(row: Parameter, limits: Limits) -> Iterator[str]:
    if limits.min is not None and (row.minimum is None or limits.min < row.minimum):
        yield f"{row.name}.min is {limits.min}, the API's own is {row.minimum}"
    if limits.max is not None and (row.maximum is None or limits.max > row.maximum):
        yield f"{row.name}.max is {limits.max}, the API's own is {row.maximum}"
    for value in limits.values or ():
        if value not in row.values:
            yield f"{row.name}.values has {value!r}, the API knows {', '.join(row.values) or 'none'}"
    if limits.max_items is not None and row.kind not in (ValueKind.ARRAY, ValueKind.STRINGS):
        yield f"{row.name} is no list and has no max_items"


def _incomplete(card: Card) -> Iterator[str]:
    """Declarations that mean nothing without another field."""
    yield from misplaced(card.backend, card.remote, card.type, any_extras=card.takes_any)
    tools = card.parameters.get("tools")
    if tools and card.backend == REMOTE and tools.dialect:
        yield "parameters.tools.dialect means nothing elsewhere: the endpoint reads its model's calls itself"
    if (safe := card.extras.get("safe_prompt")) and not safe.text:
        yield "extras.safe_prompt needs text: the sentence put before the conversation"
    if tools and card.backend != REMOTE and not tools.dialect:
        yield "parameters.tools needs dialect: how the model writes calls"
    if "tools" in card.parameters and "tool_choice" not in card.parameters:
        yield "parameters.tools needs parameters.tool_choice beside it"
    yield from _untold_efforts(card)
    if card.reasoning and card.type is not Task.CHAT:
        yield f"reasoning does not belong to {card.type}"
    if card.embedding.truncate and Route.EMBEDDINGS not in card.routes:
        yield f"embedding.truncate does not belong to {card.type}"
    if card.type is Task.CLASSIFICATION and not card.classification.labels:
        yield "classification.labels is missing: which harm each label stands for"
    sizes, native = card.embedding.matryoshka, card.embedding.dimensions
    if sizes and (native is None or max(sizes) > native):
        yield f"embedding.matryoshka goes up to {max(sizes)}, embedding.dimensions is {native}"


def _untold_efforts(card: Card) -> Iterator[str]:
    """Efforts that are declared and of which the chat template would hear nothing."""
    effort = card.extras.get("reasoning_effort")
    if effort is None or card.remote is not None:
        return
    told = effort.template or {}
    for value in effort.values or BY_NAME["reasoning_effort"].values:
        if value not in told:
            yield f"extras.reasoning_effort needs template.{value}: what the chat template is given for it"
    for name in sorted({name for given in told.values() for name in given} & TAKEN):
        yield f"extras.reasoning_effort.template: {name} is what the conversation itself gives"


def schema() -> dict[str, Any]:
    """The JSON Schema of `model.json`, for editors; what may be declared comes from the table."""
    whole = Card.model_json_schema(by_alias=True)
    for section, place in (("parameters", ParameterPlace.STANDARD), ("extras", ParameterPlace.EXTRA)):
        rows = {row.name: _declaration(row) for row in BY_NAME.values() if row.place is place}
        whole["properties"][section] = {"type": "object", "properties": rows, "additionalProperties": False}
    whole["properties"]["extras"] = {"anyOf": [whole["properties"]["extras"], {"const": "any"}]}
    return whole


def _declaration(row: Parameter) -> dict[str, Any]:
    """A row's limits, no wider than the API's own."""
    limits: dict[str, Any] = {}
    if row.minimum is not None:
        limits["min"] = limits["max"] = {"minimum": row.minimum, "maximum": row.maximum}
    if row.values:
        limits["values"] = {"items": {"enum": list(row.values)}}
    return {"$ref": "#/$defs/Limits", "description": row.meaning, "properties": limits}

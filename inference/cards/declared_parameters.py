"""The parameters that a card declares, each with its limits, checked against the API's own table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Discriminator, Field, Tag

from inference.api.parameters import BY_NAME, Parameter, ParameterPlace, ValueKind
from inference.cards import CardPart
from inference.contracts import Route, Task

SECTIONS: Mapping[str, ParameterPlace] = {
    "parameters": ParameterPlace.STANDARD,
    "extras": ParameterPlace.EXTRA,
}
"""The keys of a card that declare parameters, and the place in the table of those they may declare."""

REQUEST_VARIABLES = frozenset({"messages", "tools", "documents", "add_generation_prompt"})
"""Variables of a chat template that every request sets, and no card may."""


Default: TypeAlias = bool | int | float | str | tuple[str, ...]
"""The value of a parameter that a request leaves out."""
SYNONYMS = {"max_tokens": ("max_completion_tokens",), "max_completion_tokens": ("max_tokens",)}
"""Parameters that mean the same: a request that has the one does not leave out the other."""


class Limits(CardPart):
    """The limits of a declared parameter; absent fields leave the API's own."""

    min: float | None = Field(None, description="The smallest value accepted.")
    max: float | None = Field(None, description="The largest value accepted.")
    max_items: int | None = Field(None, ge=1, description="The most items of a list, or strings of `stop`.")
    values: tuple[str, ...] | None = Field(None, min_length=1, description="The values accepted.")
    default: Default | None = Field(
        None, description="The value of a request that leaves the parameter out, instead of the API's own."
    )
    dialect: str | None = Field(None, description="`tools`: the format in which the model writes tool calls.")
    max_calls: int | None = Field(
        None, ge=1, description="`tools`: the calls with which an answer is over; absent: as many as it has."
    )
    text: str | None = Field(None, description="`safe_prompt`: the sentence put before the conversation.")
    template: Mapping[str, Mapping[str, Any]] | None = Field(
        None, description="`reasoning_effort`: the variables that each value sets in the chat template."
    )

    @property
    def choices(self) -> tuple[str, ...]:
        """The accepted values: those declared, else those that set variables; empty where all are."""
        return self.values or tuple(self.template or ())


Extras = Annotated[
    Annotated[Literal["any"], Tag("<word>")] | Annotated[Mapping[str, Limits], Tag("<declared>")],
    Discriminator(lambda value: "<word>" if isinstance(value, str) else "<declared>"),
]
"""The declared extras with their limits, or `any`: every extra is passed on to the endpoint."""


def section_problems(
    section: str, declared: Mapping[str, Limits], routes: frozenset[Route], task: Task
) -> Iterator[str]:
    """Yield a sentence for each parameter that a section cannot declare, or not with these limits."""
    for name, limits in declared.items():
        row = BY_NAME.get(name)
        if row is None or row.place is not SECTIONS[section]:
            yield f"{section}.{name} is not a parameter that {section} can declare"
        elif not row.routes & routes:
            yield f"{section}.{name} does not belong to {task}"
        else:
            yield from (f"{section}.{name}.{problem}" for problem in _limit_problems(row, limits))


def _limit_problems(row: Parameter, limits: Limits) -> Iterator[str]:
    """Yield a sentence for each limit that is wider than the API's own."""
    if limits.min is not None and (row.minimum is None or limits.min < row.minimum):
        yield f"min is {limits.min}, the API's own minimum is {_shown(row.minimum)}"
    if limits.max is not None and (row.maximum is None or limits.max > row.maximum):
        yield f"max is {limits.max}, the API's own maximum is {_shown(row.maximum)}"
    for value in limits.values or ():
        if value not in row.values:
            yield f"values has {value!r}, the API's own are {', '.join(row.values) or 'none'}"
    if limits.max_items is not None and row.kind not in (ValueKind.ARRAY, ValueKind.STRINGS):
        yield "max_items is set, but the parameter is not a list"
    if limits.max_calls is not None and row.name != "tools":
        yield "max_calls is set, but the parameter is not tools"
    if limits.default is not None and (problem := _default_problem(row, limits, limits.default)):
        yield f"default is {_written(limits.default)}, {problem}"


def _default_problem(row: Parameter, limits: Limits, value: Default) -> str | None:
    """Return what is wrong with a default: a request that sends the value would be refused."""
    if not row.card_default:
        return f"but {row.name} has no default that a card can set"
    if not _is_of(row.kind, value):
        return f"the parameter's type is {row.kind}"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        low = row.minimum if limits.min is None else limits.min
        high = row.maximum if limits.max is None else limits.max
        if not (low is None or value >= low) or not (high is None or value <= high):
            return f"the values accepted are {_shown(low)} to {_shown(high)}"
    choices = limits.choices or row.values
    if row.kind is ValueKind.STRING and choices and value not in choices:
        return f"the values accepted are {', '.join(choices)}"
    if isinstance(value, tuple) and limits.max_items is not None and len(value) > limits.max_items:
        return f"max_items is {limits.max_items}"
    return None


def _is_of(kind: ValueKind, value: Default) -> bool:
    match kind:
        case ValueKind.BOOLEAN:
            return isinstance(value, bool)
        case ValueKind.INTEGER:
            return isinstance(value, int) and not isinstance(value, bool)
        case ValueKind.NUMBER:
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        case ValueKind.STRINGS:
            return isinstance(value, (str, tuple))
        case _:
            return isinstance(value, str)


def _written(value: Default) -> str:
    """Return the value as the card has it."""
    return json.dumps(value, ensure_ascii=False)


def with_defaults(body: Mapping[str, Any], declared: Mapping[str, Limits], route: Route) -> dict[str, Any]:
    """Return the body of a request with the defaults of a card for what it leaves out."""
    filled = dict(body)
    for name, limits in declared.items():
        row = BY_NAME.get(name)
        if limits.default is None or row is None or route not in row.routes:
            continue
        if not any(other in filled for other in (name, *SYNONYMS.get(name, ()))):
            filled[name] = list(limits.default) if isinstance(limits.default, tuple) else limits.default
    return filled


def _shown(limit: float | None) -> str:
    return "none" if limit is None else str(limit)


def effort_problems(effort: Limits) -> Iterator[str]:
    """Yield a sentence for each value of `reasoning_effort` that the chat template would not notice."""
    templates = effort.template or {}
    for value in effort.choices or BY_NAME["reasoning_effort"].values:
        if value not in templates:
            yield f"extras.reasoning_effort needs template.{value}: the variables that the chat template gets"
    for name in sorted({name for variables in templates.values() for name in variables} & REQUEST_VARIABLES):
        yield f"extras.reasoning_effort.template sets {name}, which every request sets itself"


def section_schema(section: str) -> dict[str, Any]:
    """Return the JSON Schema of a section: the parameters it may declare, with limits within the API's."""
    rows = (row for row in BY_NAME.values() if row.place is SECTIONS[section])
    properties = {row.name: _declaration_schema(row) for row in rows}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _declaration_schema(row: Parameter) -> dict[str, Any]:
    limits: dict[str, Any] = {}
    if row.minimum is not None:
        limits["min"] = limits["max"] = {"minimum": row.minimum, "maximum": row.maximum}
        limits["default"] = {"minimum": row.minimum, "maximum": row.maximum}
    if row.values:
        limits["values"] = {"items": {"enum": list(row.values)}}
    if not row.card_default:
        limits["default"] = {"type": "null"}
    return {"$ref": "#/$defs/Limits", "description": row.meaning, "properties": limits}

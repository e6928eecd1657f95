"""The capabilities of a deployment: one reading of its card, for the refusal and for `/info`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from inference.api.embeddings import TEXT_BESIDE_IMAGE
from inference.api.offenders import MOST_OFFENDERS, abridged, value_at
from inference.api.parameters import BY_NAME, Parameter, ParameterPlace, of_route
from inference.api.routes import with_forms
from inference.api.validation import Request
from inference.cards.card import Card, usual_task
from inference.cards.declared_parameters import Limits
from inference.contracts import Route
from inference.errors import Location, Offender, ParameterNotSupported

VALUES_OF_THEIR_OWN = ("dimensions", "truncate")
"""Parameters of which every deployment takes some value, declared or not."""


def check(request: Request, body: dict[str, Any], card: Card) -> None:
    """Raise `ParameterNotSupported` that names everything the card does not honour; `body` has the values."""
    inputs = islice(_inputs(request, body, card), MOST_OFFENDERS)
    offenders = [*_parameters(body, card, request.route), *inputs]
    if offenders:
        raise ParameterNotSupported(offenders)


def unsupported(body: dict[str, Any], card: Card, route: Route) -> tuple[Location, ...]:
    """Return the locations of what the deployment cannot honour, which `drop` leaves out."""
    return tuple(offender.loc for offender in _parameters(body, card, route))


def ignored(body: dict[str, Any], card: Card) -> tuple[str, ...]:
    """Return the names of neutral values that this deployment takes and does not hold to.

    A model that reasons and has no switch for it reasons under `reasoning_effort: none` too.
    """
    if card.reasoning is None or body.get("reasoning_effort") != "none":
        return ()
    effort = card.limits("reasoning_effort")
    held = effort is not None and "none" in (effort.choices or ("none",))
    return () if held else ("reasoning_effort",)


def describe(card: Card) -> dict[str, Any]:
    """Return, for every parameter of a deployment's routes, its range or that it is refused."""
    rows = {row.name: row for route in sorted(with_forms(card.routes)) for row in of_route(route)}
    described = {
        name: _described(row, card) for name, row in rows.items() if row.place is not ParameterPlace.ENVELOPE
    }
    if Route.IMAGE_EMBEDDINGS in card.routes:
        described[TEXT_BESIDE_IMAGE] = {"supported": takes_text_beside_image(card)}
    return described


def takes_text_beside_image(card: Card) -> bool:
    """Return True if an image may have a `text` beside it: only a model that reads texts can honour it."""
    return card.has_text_tower


def _parameters(body: dict[str, Any], card: Card, route: Route) -> Iterator[Offender]:
    for row in of_route(route, ParameterPlace.STANDARD, ParameterPlace.EXTRA):
        if row.name not in body:
            continue
        if row.is_neutral(body[row.name]):
            continue
        value = _subject(row, body[row.name])
        if problem := _problem(row, value, card):
            yield Offender(("body", row.name), abridged(value), problem, _code(row, card))
        elif row.name == "stream_options" and value.get("include_obfuscation"):
            message = f"include_obfuscation is not supported by {card.name}, whose chunks have no padding"
            place = ("body", row.name, "include_obfuscation")
            yield Offender(place, True, message, "unsupported_parameter")


def _code(row: Parameter, card: Card) -> str:
    """Return OpenAI's code: of a parameter that the deployment does not have, or of a value of one it has."""
    has = row.name in VALUES_OF_THEIR_OWN or card.limits(row.name) is not None
    return "unsupported_value" if has else "unsupported_parameter"


def _subject(row: Parameter, value: Any) -> Any:
    """Return the value that is checked and shown: of a `response_format` or `tool_choice` object its type.

    A JSON object with a schema asks for what `json_schema` does, and `allowed_tools` for what its mode does.
    """
    if row.name == "response_format" and isinstance(value, dict):
        return "json_schema" if value.get("schema") else value.get("type")
    if row.name == "tool_choice" and isinstance(value, dict):
        allowed = value.get("allowed_tools") if value.get("type") == "allowed_tools" else None
        return allowed["mode"] if allowed else value.get("type")
    if row.name in ("stop", "modalities") and isinstance(value, list):
        return tuple(value)
    return value


def _problem(row: Parameter, value: Any, card: Card) -> str | None:
    if row.name == "dimensions":
        return _dimensions_problem(value, card)
    if row.name == "truncate" and value in _truncations(card):
        return None
    limits = card.limits(row.name)
    if limits is None:
        if row.place is ParameterPlace.EXTRA and card.passes_through(row.name):
            return None
        named = value if row.values and isinstance(value, str) else row.name
        return f"{named} is not supported by {card.name}"
    return _beyond(row, limits, value, card)


def _own_values(row: Parameter, card: Card) -> tuple[str, ...]:
    """Return the values of a parameter whose words are the model's own; empty for any other."""
    words = {"task": card.embedding.tasks, "prompt_name": card.named_prompts}.get(row.name, {})
    return tuple(words)


def _beyond(row: Parameter, limits: Limits, value: Any, card: Card) -> str | None:
    allowed, name = _own_values(row, card) or limits.choices, card.name
    if allowed and isinstance(value, str) and value not in allowed:
        return f"{value} is not supported by {name}, which takes {', '.join(allowed)}"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if limits.max is not None and value > limits.max:
            return f"{row.name} {value} is above the {limits.max:g} that {name} takes"
        if limits.min is not None and value < limits.min:
            return f"{row.name} {value} is below the {limits.min:g} that {name} takes"
    if limits.max_items is not None and isinstance(value, (tuple, list)) and len(value) > limits.max_items:
        return f"{row.name} has {len(value)} items, {name} takes {limits.max_items}"
    return None


def _dimensions_problem(value: Any, card: Card) -> str | None:
    """Return the problem of a size other than the native one, unless the model was trained for it."""
    sizes = {card.embedding.dimensions, *card.embedding.matryoshka}
    if value in sizes:
        return None
    known = ", ".join(str(size) for size in sorted(size for size in sizes if size))
    return (
        f"dimensions {value} is not supported by {card.name}, which gives {known or 'its native size only'}"
    )


def _truncations(card: Card) -> tuple[str, ...]:
    """Return the values that `truncate` may have: to refuse, the deployment's own, those it declares."""
    limits = card.limits("truncate")
    declared = (limits.values or BY_NAME["truncate"].values) if limits else ()
    return tuple(dict.fromkeys(("NONE", *filter(None, (card.embedding.truncate,)), *declared)))


def _truncation(card: Card) -> dict[str, Any]:
    values, usual = _truncations(card), card.embedding.truncate or "NONE"
    return {"supported": len(values) > 1, "values": list(values), "default": usual, "extra": True}


def _inputs(request: Request, body: dict[str, Any], card: Card) -> Iterator[Offender]:
    """Yield the inputs of a kind that the model does not take: images, audio, a text beside an image."""
    for loc, kind in request.input_kinds():
        if kind == TEXT_BESIDE_IMAGE and not takes_text_beside_image(card):
            message = f"text beside an image is not supported by {card.name}, which has no text tower"
            yield Offender(loc, abridged(value_at(body, loc)), message)
        elif kind != TEXT_BESIDE_IMAGE and kind not in card.inputs:
            message = f"{kind} parts are not supported by {card.name}"
            yield Offender(loc, abridged(value_at(body, loc)), message)


def _usual(row: Parameter, card: Card) -> Any:
    """Return the value of a parameter that a request leaves out, as far as it is one for all requests."""
    if row.name == "task" and card.embedding.tasks:
        return card.embedding.task or usual_task(card.embedding.tasks)
    return card.default_prompt if row.name == "prompt_name" else row.default


def _described(row: Parameter, card: Card) -> dict[str, Any]:
    if row.name == "dimensions":
        sizes = sorted({size for size in (card.embedding.dimensions, *card.embedding.matryoshka) if size})
        return {"supported": bool(sizes), "values": sizes}
    if row.place is ParameterPlace.LABEL:
        return {"supported": True, "extra": True}
    if row.place is ParameterPlace.DERIVED:
        names = [name for name in row.declared_as if card.limits(name)] or row.declared_as[:1]
        return _described(BY_NAME[names[0]], card) if names else {"supported": False}
    if row.name == "truncate":
        return _truncation(card)
    limits = card.limits(row.name)
    if limits is None:
        passed = row.place is ParameterPlace.EXTRA and card.passes_through(row.name)
        return {"supported": True, "extra": True} if passed else {"supported": False}
    described = {
        "min": row.minimum if limits.min is None else limits.min,
        "max": row.maximum if limits.max is None else limits.max,
        "max_items": limits.max_items,
        "values": list(_own_values(row, card) or limits.choices or row.values) or None,
        "default": _usual(row, card) if limits.default is None else limits.default,
        "max_calls": limits.max_calls,
        "extra": True if row.place is ParameterPlace.EXTRA else None,
    }
    return {"supported": True, **{key: value for key, value in described.items() if value is not None}}

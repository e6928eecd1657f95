"""Can this deployment honour this request? One reading of the card, for the refusal and for `/info`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from inference.api.chat import ChatRequest
from inference.api.embeddings import ImageEmbeddingsRequest
from inference.api.parameters import BY_NAME, Parameter, ParameterPlace, of_route
from inference.api.validation import Request, abridged
from inference.cards.card import Card
from inference.cards.declared_parameters import Limits
from inference.contracts import Route
from inference.errors import Offender, ParameterNotSupported

TEXT_BESIDE_IMAGE = "input.text"
"""What `/info` calls it, beside the parameters."""


def check(request: Request, body: dict[str, Any], card: Card, route: Route) -> None:
    """Raises `ParameterNotSupported` that names all it cannot honour; `body` gives the values."""
    offenders = [
        *_parameters(body, card, route),
        *_message_parts(request, body, card),
        *_texts_beside_images(request, card),
    ]
    if offenders:
        raise ParameterNotSupported(offenders)


def unsupported(body: dict[str, Any], card: Card, route: Route) -> tuple[str, ...]:
    """The names of the parameters in a body that the deployment cannot honour: what `drop` leaves out."""
    return tuple(str(offender.loc[1]) for offender in _parameters(body, card, route))


def describe(card: Card) -> dict[str, Any]:
    """What a deployment honours: for every parameter of its routes its range, or that it is refused."""
    rows = {row.name: row for route in sorted(card.routes) for row in of_route(route)}
    described = {
        name: _described(row, card) for name, row in rows.items() if row.place is not ParameterPlace.ENVELOPE
    }
    if Route.IMAGE_EMBEDDINGS in card.routes:
        described[TEXT_BESIDE_IMAGE] = {"supported": takes_text_beside_image(card)}
    return described


def takes_text_beside_image(card: Card) -> bool:
    """Whether an input of pictures may have a `text`: only a model that reads texts can honour it."""
    return card.has_text_tower


def _parameters(body: dict[str, Any], card: Card, route: Route) -> Iterator[Offender]:
    for row in of_route(route, ParameterPlace.STANDARD, ParameterPlace.EXTRA):
        if row.name not in body:
            continue
        value = _subject(row, body[row.name])
        problem = None if _asks_nothing(row, value) else _problem(row, value, card)
        if problem:
            yield Offender(("body", row.name), abridged(value), problem)


def _asks_nothing(row: Parameter, value: Any) -> bool:
    """Whether the value is the row's neutral one. To Python 0 equals False, to a caller it does not."""
    return isinstance(value, bool) == isinstance(row.neutral, bool) and bool(value == row.neutral)


def _subject(row: Parameter, value: Any) -> Any:
    """What is judged, and what the refusal shows: of a `response_format` or `tool_choice` object its type."""
    if row.name in ("response_format", "tool_choice") and isinstance(value, dict):
        return value.get("type")
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
        if row.place is ParameterPlace.EXTRA and card.passes(row.name):
            return None
        named = value if row.values and isinstance(value, str) else row.name
        return f"{named} is not supported by {card.name}"
    return _beyond(row, limits, value, card.name)


def _beyond(row: Parameter, limits: Limits, value: Any, name: str) -> str | None:
    allowed = limits.values
    if allowed is not None and isinstance(value, str) and value not in allowed:
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
    """The native size is always fine; a smaller one only where the model was trained for it."""
    sizes = {card.embedding.dimensions, *card.embedding.matryoshka}
    if value in sizes:
        return None
    known = ", ".join(str(size) for size in sorted(size for size in sizes if size))
    return (
        f"dimensions {value} is not supported by {card.name}, which gives {known or 'its native size only'}"
    )


def _truncations(card: Card) -> tuple[str, ...]:
    """What may be asked for: to refuse, always; what the deployment does unasked; what it declares."""
    limits = card.limits("truncate")
    declared = (limits.values or BY_NAME["truncate"].values) if limits else ()
    return tuple(dict.fromkeys(("NONE", *filter(None, (card.embedding.truncate,)), *declared)))


def _truncation(card: Card) -> dict[str, Any]:
    values, usual = _truncations(card), card.embedding.truncate or "NONE"
    return {"supported": len(values) > 1, "values": list(values), "default": usual, "extra": True}


def _message_parts(request: Request, body: dict[str, Any], card: Card) -> Iterator[Offender]:
    """Pictures and sound in a conversation with a model that does not take them."""
    if not isinstance(request, ChatRequest):
        return
    for index, message in enumerate(request.messages):
        parts = message.content if isinstance(message.content, list) else ()
        for place, part in enumerate(parts):
            if part.type not in card.inputs:
                value = body["messages"][index]["content"][place]
                yield Offender(
                    ("body", "messages", index, "content", place),
                    abridged(value),
                    f"{part.type} parts are not supported by {card.name}",
                )


def _texts_beside_images(request: Request, card: Card) -> Iterator[Offender]:
    if not isinstance(request, ImageEmbeddingsRequest) or takes_text_beside_image(card):
        return
    message = f"text beside an image is not supported by {card.name}, which has no text tower"
    for index, one in enumerate(request.input):
        if one.text is not None:
            yield Offender(("body", "input", index, "text"), abridged(one.text), message)


def _described(row: Parameter, card: Card) -> dict[str, Any]:
    if row.name == "dimensions":
        sizes = sorted({size for size in (card.embedding.dimensions, *card.embedding.matryoshka) if size})
        return {"supported": bool(sizes), "values": sizes}
    if row.place is ParameterPlace.LABEL:
        return {"supported": True, "extra": True}
    if row.name == "truncate":
        return _truncation(card)
    limits = card.limits(row.name)
    if limits is None:
        passed = row.place is ParameterPlace.EXTRA and card.passes(row.name)
        return {"supported": True, "extra": True} if passed else {"supported": False}
    described = {
        "min": row.minimum if limits.min is None else limits.min,
        "max": row.maximum if limits.max is None else limits.max,
        "max_items": limits.max_items,
        "values": list(limits.values or row.values) or None,
        "default": row.default,
        "extra": True if row.place is ParameterPlace.EXTRA else None,
    }
    return {"supported": True, **{key: value for key, value in described.items() if value is not None}}

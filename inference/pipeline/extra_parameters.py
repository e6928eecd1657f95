"""The policy on body keys that the route does not know, which the header `extra-parameters` chooses.

    error         the default: 400 that names them all
    drop          left out, and named in the response header `x-ms-dropped-parameters`
    pass-through  handed to the model where its card declares them, else 422 (here for names that no row
                  knows, in `capabilities.py` for those that one does); a card that takes any extras
                  hands them all on, whatever they are called

`allow` is the introduction's word for `pass-through`, `ignore` the early reference's word for `drop`; both
are taken under every api-version. Under the OpenAI base paths there is no such header: OpenAI's own
parameters are native there, and an unknown name is refused, unless the card takes any. Keys below the root
follow the same policy, named by their paths. A value that asks for nothing passes under every policy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any

from inference.api.offenders import MOST_OFFENDERS, abridged
from inference.api.parameters import ParameterPlace, rows_of
from inference.api.parameters.responses import WORDS_HERE
from inference.api.validation import Request, nested_extras, path_of
from inference.cards.card import Card
from inference.contracts import Route
from inference.errors import (
    ExtraParametersNotAllowed,
    InvalidExtraParametersHeader,
    Location,
    Offender,
    ParameterNotSupported,
)

HEADER = "extra-parameters"


class ExtraParametersPolicy(StrEnum):
    """The treatment of extra parameters."""

    ERROR = "error"
    DROP = "drop"
    PASS_THROUGH = "pass-through"
    NATIVE = "native"
    """The OpenAI base paths: no header, the extra rows of the table are known."""


WORDS: Mapping[str, ExtraParametersPolicy] = {
    "error": ExtraParametersPolicy.ERROR,
    "drop": ExtraParametersPolicy.DROP,
    "pass-through": ExtraParametersPolicy.PASS_THROUGH,
    "allow": ExtraParametersPolicy.PASS_THROUGH,
    "ignore": ExtraParametersPolicy.DROP,
}


@dataclass(frozen=True, slots=True)
class SortedBody:
    """A body after the policy, and the names of the keys it dropped."""

    body: dict[str, Any]
    dropped: tuple[str, ...] = ()


def policy_of(header: str | None) -> ExtraParametersPolicy:
    """Return the policy of a header. Raises `InvalidExtraParametersHeader`."""
    if header is None or not header.strip():
        return ExtraParametersPolicy.ERROR
    policy = WORDS.get(header.strip().lower())
    if policy is None:
        raise InvalidExtraParametersHeader(
            f"Unexpected EXTRA_PARAMETERS option {header.strip()}, expected options are {list(WORDS)}",
            offenders=[Offender(("header", HEADER), header, f"expected one of {', '.join(WORDS)}")],
        )
    return policy


def sort(body: dict[str, Any], policy: ExtraParametersPolicy, card: Card, route: Route) -> SortedBody:
    """Apply the policy. Raises `ExtraParametersNotAllowed` or `ParameterNotSupported`."""
    extra = tuple(name for name in body if _is_extra(name, body[name], route))
    if policy is ExtraParametersPolicy.NATIVE:
        extra = tuple(name for name in extra if not _is_native(name, route, card))
    if not extra:
        return SortedBody(body)
    if policy in (ExtraParametersPolicy.ERROR, ExtraParametersPolicy.NATIVE):
        raise _not_allowed(_located(extra, body), policy, _words_of(route))
    if policy is ExtraParametersPolicy.DROP:
        return SortedBody({name: value for name, value in body.items() if name not in extra}, extra)
    # Rows of the table go on to the capability check, which lets neutral values pass.
    unknown = [name for name in extra if not (_has_row(name, route) or card.passes_through(name))]
    if unknown:
        raise ParameterNotSupported(_offenders(_located(unknown, body), f"is not supported by {card.name}"))
    return SortedBody(body)


def _is_native(name: str, route: Route, card: Card) -> bool:
    """Return True for a key that is taken under the OpenAI paths. Another route's word is never handed on."""
    return _has_row(name, route) or (card.passes_through(name) and name not in _words_of(route))


def _words_of(route: Route) -> Mapping[str, str]:
    """Return the words of other routes for which a route has a word of its own."""
    return WORDS_HERE if route == Route.RESPONSES else {}


def _located(names: Iterable[str], body: dict[str, Any]) -> dict[str, tuple[Location, Any]]:
    return {name: (("body", name), body[name]) for name in names}


def _has_row(name: str, route: Route) -> bool:
    return name in rows_of(route)


def _is_extra(name: str, value: Any, route: Route) -> bool:
    """Return True for a key beyond the API's own, unless its value asks for nothing."""
    if (row := rows_of(route).get(name)) is None:
        return True
    return row.place in (ParameterPlace.EXTRA, ParameterPlace.LABEL) and not row.is_neutral(value)


def sort_nested(
    request: Request, body: dict[str, Any], policy: ExtraParametersPolicy, card: Card
) -> tuple[Location, ...]:
    """Return the locations of unknown keys below the root of a body that the policy drops.

    Raises `ExtraParametersNotAllowed` or `ParameterNotSupported`, as `sort` does for keys of the root.
    """
    extras = list(nested_extras(request, body))
    passes = policy in (ExtraParametersPolicy.NATIVE, ExtraParametersPolicy.PASS_THROUGH)
    if not extras or (passes and card.accepts_any_extra):
        return ()
    if policy is ExtraParametersPolicy.DROP:
        return tuple(loc for loc, _ in extras)
    values = {path_of(loc): (loc, value) for loc, value in extras}
    if policy is ExtraParametersPolicy.PASS_THROUGH:
        raise ParameterNotSupported(_offenders(values, f"is not supported by {card.name}"))
    raise _not_allowed(values, policy)


def _offenders(
    values: Mapping[str, tuple[Location, Any]], problem: str, words: Mapping[str, str] | None = None
) -> list[Offender]:
    """Return the first offenders of keys that are named by their paths."""
    hints = {name: f"; the word here is {word}" for name, word in (words or {}).items() if word}
    return [
        Offender(loc, abridged(value), f"{name} {problem}{hints.get(name, '')}")
        for name, (loc, value) in islice(values.items(), MOST_OFFENDERS)
    ]


def _not_allowed(
    values: Mapping[str, tuple[Location, Any]],
    policy: ExtraParametersPolicy,
    words: Mapping[str, str] | None = None,
) -> ExtraParametersNotAllowed:
    names = list(values)
    hints = [f"{name} is {words[name]} here" for name in names if words and words.get(name)]
    shown = [str(abridged(name)) for name in names[:MOST_OFFENDERS]]
    if len(names) > MOST_OFFENDERS:
        shown.append(f"and {len(names) - MOST_OFFENDERS} more")
    named = ", ".join(name or "''" for name in shown)
    message = (
        "; ".join([f"Unrecognized request arguments supplied: {named}", *hints])
        if policy is ExtraParametersPolicy.NATIVE
        else f"Extra parameters {shown} are not allowed when extra-parameters is not set or set to be "
        "'error'. Set extra-parameters to 'pass-through' to pass to the model."
    )
    return ExtraParametersNotAllowed(message, offenders=_offenders(values, "is an extra parameter", words))

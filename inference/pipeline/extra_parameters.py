"""The policy on body keys that the route does not know, which the header `extra-parameters` chooses.

    error         the default: 400 that names them all
    drop          left out, and named in the response header `x-ms-dropped-parameters`
    pass-through  handed to the model where its card declares them, else 422 (here for names that no row
                  knows, in `capabilities.py` for those that one does); a card that takes any extras
                  hands them all on, whatever they are called

`allow` is the introduction's word for `pass-through`, `ignore` the early reference's word for `drop`; both
are taken under every api-version. Under the OpenAI base paths there is no such header: OpenAI's own
parameters are native there, and an unknown name is refused, unless the card takes any.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from inference.api.parameters import BY_NAME, ParameterPlace
from inference.api.validation import MOST_OFFENDERS, abridged
from inference.cards.card import Card
from inference.contracts import Route
from inference.errors import (
    ExtraParametersNotAllowed,
    InvalidExtraParametersHeader,
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
    extra = tuple(name for name in body if _is_extra(name, route))
    if policy is ExtraParametersPolicy.NATIVE:
        extra = tuple(name for name in extra if not (_has_row(name, route) or card.passes_through(name)))
    if not extra:
        return SortedBody(body)
    if policy in (ExtraParametersPolicy.ERROR, ExtraParametersPolicy.NATIVE):
        raise _not_allowed(extra, body, policy)
    if policy is ExtraParametersPolicy.DROP:
        return SortedBody({name: value for name, value in body.items() if name not in extra}, extra)
    # Rows of the table go on to the capability check, which lets neutral values pass.
    unknown = [name for name in extra if not (_has_row(name, route) or card.passes_through(name))]
    if unknown:
        raise ParameterNotSupported(
            [
                Offender(("body", n), abridged(body[n]), f"{n} is not supported by {card.name}")
                for n in unknown[:MOST_OFFENDERS]
            ]
        )
    return SortedBody(body)


def _has_row(name: str, route: Route) -> bool:
    return name in BY_NAME and route in BY_NAME[name].routes


def _is_extra(name: str, route: Route) -> bool:
    return not _has_row(name, route) or BY_NAME[name].place in (ParameterPlace.EXTRA, ParameterPlace.LABEL)


def _not_allowed(
    names: tuple[str, ...], body: dict[str, Any], policy: ExtraParametersPolicy
) -> ExtraParametersNotAllowed:
    listed = list(names)
    message = (
        f"Unrecognized request arguments supplied: {', '.join(names)}"
        if policy is ExtraParametersPolicy.NATIVE
        else f"Extra parameters {listed} are not allowed when extra-parameters is not set or set to be "
        "'error'. Set extra-parameters to 'pass-through' to pass to the model."
    )
    return ExtraParametersNotAllowed(
        message,
        offenders=[
            Offender(("body", n), abridged(body[n]), f"{n} is an extra parameter")
            for n in names[:MOST_OFFENDERS]
        ],
    )

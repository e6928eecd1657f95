"""What a new card declares: all that the backend honours for the model's routes.

What needs more than the backend (tools a dialect, safe_prompt a text) is added by who knows it.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from inference.api.parameters import BY_NAME, ParameterPlace
from inference.backends import BACKENDS, CONDITIONAL_PARAMETERS
from inference.cards.card import ROUTES
from inference.contracts import Task

Declared: TypeAlias = dict[str, dict[str, Any]]

NONE: frozenset[str] = frozenset()


def declared(
    task: Task,
    backend: str,
    place: ParameterPlace,
    *,
    more: frozenset[str] = NONE,
    without: frozenset[str] = NONE,
) -> Declared:
    """Names to limits, in the table's order: `Place.STANDARD` for `parameters`, `Place.EXTRA` for `extras`.

    `more` are those of `CONDITIONAL_PARAMETERS` that this model has what they need for; `without` it cannot
    do.
    """
    row = BACKENDS[backend]
    return {
        name: {}
        for name, parameter in BY_NAME.items()
        if parameter.place is place
        and name in row.honours
        and parameter.routes & ROUTES[task]
        and (name not in CONDITIONAL_PARAMETERS or name in more)
        and name not in without
    }

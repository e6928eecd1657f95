"""What a new card declares: all that the backend honours for the model's routes.

What needs more than the backend (tools a dialect, safe_prompt a text) is added by who knows it.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from inference.api.parameters import BY_NAME, ParameterPlace
from inference.api.routes import routes_of
from inference.backends import BACKENDS
from inference.contracts import Task

Declared: TypeAlias = dict[str, dict[str, Any]]

NEED_MORE = frozenset(
    {"tools", "tool_choice", "parallel_tool_calls", "safe_prompt", "input_type", "reasoning_effort"}
)
"""Parameters that mean nothing without a field or file that not every model has."""
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

    `more` are those of `NEED_MORE` that this model has what they need for; `without` it cannot do.
    """
    row = BACKENDS[backend]
    return {
        name: {}
        for name, parameter in BY_NAME.items()
        if parameter.place is place
        and name in row.honours
        and parameter.routes & routes_of(task)
        and (name not in NEED_MORE or name in more)
        and name not in without
    }

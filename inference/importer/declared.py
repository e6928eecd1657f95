"""The parameters that a new card declares: all that the backend honours on the routes of the model's task.

Parameters that need a field or file of their own are added by the caller: `tools` needs the name of a tool
format, `safe_prompt` a text.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from inference.api.parameters import BY_NAME, ParameterPlace
from inference.api.routes import routes_of
from inference.backends import BACKENDS, CONDITIONAL_PARAMETERS
from inference.contracts import Route, Task

Declared: TypeAlias = dict[str, dict[str, Any]]

NONE: frozenset[str] = frozenset()


def declared(
    task: Task,
    backend: str,
    place: ParameterPlace,
    *,
    more: frozenset[str] = NONE,
    without: frozenset[str] = NONE,
    routes: frozenset[Route] | None = None,
) -> Declared:
    """Return limits by parameter, in the table's order; `place` chooses between `parameters` and `extras`.

    `more` are those of `CONDITIONAL_PARAMETERS` that this model has what they need for; `without` it cannot
    do. `routes` are those that the deployment serves, if it serves more than its task says.
    """
    row, served = BACKENDS[backend], routes or routes_of(task)
    return {
        name: {}
        for name, parameter in BY_NAME.items()
        if parameter.place is place
        and name in row.honours
        and parameter.routes & served
        and (name not in CONDITIONAL_PARAMETERS or name in more)
        and name not in without
    }

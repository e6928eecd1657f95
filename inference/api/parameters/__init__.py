"""Every request parameter, once, as a row.

Validation, the capability check, the card's rules and `/info` read these rows; none of them keeps a list of
its own. To add a parameter, add its row here and its rule where it takes effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from inference.api.parameters.extra import EXTRA
from inference.api.parameters.labels import LABELS
from inference.api.parameters.parameter import Parameter, ParameterPlace, ValueKind
from inference.api.parameters.responses import RESPONSE_PARAMETERS
from inference.api.parameters.scoring import SCORING_ROWS
from inference.api.parameters.standard import STANDARD
from inference.contracts import Route

__all__ = ["BY_NAME", "ROWS", "Parameter", "ParameterPlace", "ValueKind", "default_of", "of_route", "rows_of"]

ROWS: tuple[Parameter, ...] = (*STANDARD, *EXTRA, *LABELS, *RESPONSE_PARAMETERS, *SCORING_ROWS)

BY_NAME: Mapping[str, Parameter] = {
    name: next(row for row in ROWS if row.name == name) for name in dict.fromkeys(row.name for row in ROWS)
}
"""The rows by name; of a name that means something else on other routes the first one: see `rows_of`."""


@cache
def of_route(route: Route, *places: ParameterPlace) -> tuple[Parameter, ...]:
    """Return the rows of a route, in the table's order; of all places when none is named."""
    return tuple(row for row in ROWS if route in row.routes and (not places or row.place in places))


@cache
def rows_of(route: Route) -> Mapping[str, Parameter]:
    """Return the rows of a route by name."""
    return {row.name: row for row in of_route(route)}


@cache
def default_of(name: str, route: Route, version: str) -> Any:
    """Return the value of a parameter that a request leaves out, under an api-version or `openai`."""
    row = rows_of(route).get(name) or BY_NAME[name]
    if route in row.defaults_by_route:
        return row.defaults_by_route[route]
    return row.defaults_by_version.get(version, row.default)

"""`x-dry-run: true`: the outcome that a request would have, without running the model.

A dry run goes as far as the prompt's tokens and reports its findings: the parameters that would be honoured,
the names that would be dropped, every refusal, the tokens of the prompt and the room that the context leaves.
It answers 200 also where the request would be refused, because the refusal is its result; only a request that
leaves nothing to try (no key, no JSON, no such deployment) is refused itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeAlias

from inference.api.error_body import code_of, details_of, status_of
from inference.api.offenders import abridged
from inference.api.parameters import ParameterPlace, rows_of
from inference.contracts import Route
from inference.errors import (
    ApiError,
    ExtraParametersNotAllowed,
    InvalidDryRunHeader,
    InvalidInput,
    Offender,
    RequestTooLarge,
    Unprocessable,
)
from inference.pipeline.admission import AdmittedRequest, ResolvedRequest
from inference.settings.setting import boolean

DRY_RUN_HEADER = "x-dry-run"
UNJUDGED = (ExtraParametersNotAllowed, InvalidInput)
"""Refusals that come before the capabilities of the deployment were checked."""
REPORTED = (Unprocessable, ExtraParametersNotAllowed, RequestTooLarge)
"""Refusals that a dry run reports instead of being refused with them."""


class Plan(Protocol):
    """A request that is lowered and could run now."""

    def room(self) -> dict[str, Any]:
        """Return the tokens of the prompts or inputs, and the room that the context leaves.

        `unheld` has the names, found in lowering, of what would not be honoured.
        """
        ...


Planner: TypeAlias = Callable[[], Awaitable[tuple[ResolvedRequest, Plan]]]
"""Resolves an admitted request and lowers it."""


def is_dry_run(headers: Mapping[str, str]) -> bool:
    """Return True if the request is to be run dry. Raises `InvalidDryRunHeader` for a value in doubt."""
    text = headers.get(DRY_RUN_HEADER, "")
    try:
        return bool(text.strip()) and boolean(text)
    except ValueError as error:
        message = f"{DRY_RUN_HEADER} is {str(abridged(text))!r}: {error}."
        offender = Offender(("header", DRY_RUN_HEADER), abridged(text), str(error))
        raise InvalidDryRunHeader(message, offenders=[offender]) from None


async def dry_run(admitted: AdmittedRequest, plan: Planner) -> dict[str, Any]:
    """Return the report on a request. Raises the refusals of opening its model."""
    report: dict[str, Any] = {"object": "dry_run", "model": admitted.deployment.name}
    try:
        resolved, planned = await plan()
    except REPORTED as error:
        return report | _outcome(admitted, (), error)
    room = planned.room()
    dropped = (*resolved.dropped, *room.pop("unheld", ()))
    return report | _outcome(admitted, dropped, None) | room


def _outcome(admitted: AdmittedRequest, dropped: tuple[str, ...], error: ApiError | None) -> dict[str, Any]:
    names = {offender.loc[1] for offender in error.offenders if len(offender.loc) > 1} if error else set()
    honoured = {
        name: abridged(value)
        for name, value in admitted.body.items()
        if not isinstance(error, UNJUDGED)
        and name not in (*names, *dropped)
        and _is_parameter(name, admitted.route)
    }
    return {
        "status": status_of(error, admitted.style) if error else 200,
        "code": code_of(error, admitted.style) if error else None,
        "honoured": honoured,
        "dropped": list(dropped),
        "refused": details_of(error) if error else [],
    }


def _is_parameter(name: str, route: Route) -> bool:
    row = rows_of(route).get(name)
    return row is not None and row.place is not ParameterPlace.ENVELOPE

"""From a path to what it asks for: base path, deployment, dialect, route.

    /                                    native, the deployment chosen by header, body or default
    /models                              the same, as a Foundry resource has it
    /deployments/{name}                  native, one deployment
    /openai/deployments/{name}           OpenAI, one deployment, as Azure OpenAI has it
    /openai/v1, /openai, /v1             OpenAI, the deployment chosen by `model` (`AzureOpenAI` lists
                                         models at /openai/models)
    /deployments/{name}/v1               OpenAI, one deployment (what Prompt flow makes of an endpoint)

Fixed words are compared without case, as Azure Functions does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from inference.contracts import Route
from inference.errors import MissingApiVersion, Offender, UnsupportedApiVersion


class ApiStyle(StrEnum):
    """Whose rules a path follows where the two APIs differ."""

    NATIVE = "native"
    OPENAI = "openai"


@dataclass(frozen=True, slots=True)
class Target:
    """What a path asks for. No such route: `route` is None. `item` is the name in `/models/{name}`."""

    route: Route | None
    dialect: ApiStyle = ApiStyle.NATIVE
    deployment: str | None = None
    item: str | None = None


BASES: tuple[tuple[tuple[str, ...], ApiStyle], ...] = (
    (("openai", "deployments", "{name}"), ApiStyle.OPENAI),
    (("openai", "v1"), ApiStyle.OPENAI),
    (("openai",), ApiStyle.OPENAI),
    (("deployments", "{name}", "v1"), ApiStyle.OPENAI),
    (("deployments", "{name}"), ApiStyle.NATIVE),
    (("v1",), ApiStyle.OPENAI),
    (("models",), ApiStyle.NATIVE),
    ((), ApiStyle.NATIVE),
)
"""Base paths, the longer before those they begin with."""


def resolve(path: str) -> Target:
    """What a decoded path, with or without slashes around it, asks for."""
    parts = tuple(path.strip("/").split("/"))
    for base, dialect in BASES:
        rest = parts[len(base) :]
        if not _matches(base, parts):
            continue
        target = _target(rest, dialect, _name(base, parts))
        if target.route is not None:
            return target
    return Target(None, ApiStyle.OPENAI if parts[0].lower() in ("openai", "v1") else ApiStyle.NATIVE)


def _matches(base: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    return len(parts) > len(base) and all(
        word == "{name}" or word == part.lower() for word, part in zip(base, parts, strict=False)
    )


def _name(base: tuple[str, ...], parts: tuple[str, ...]) -> str | None:
    return parts[base.index("{name}")] if "{name}" in base else None


def _target(rest: tuple[str, ...], dialect: ApiStyle, deployment: str | None) -> Target:
    if rest[0].lower() == Route.MODELS and len(rest) == 2:
        return Target(Route.MODELS, dialect, deployment, item=rest[1])
    word = "/".join(rest).lower()
    return Target(Route(word) if word in set(Route) else None, dialect, deployment)


PARAMETER = "api-version"
PRESENT = "2024-05-01-preview"
"""What a request without a version, or with another date, is served as: what the official clients send."""
OLDEST = "2024-04-01-preview"
STABLE = "2025-04-01"
DATE = re.compile(r"\d{4}-\d{2}-\d{2}(-preview)?")


def version_of(query: Mapping[str, str], dialect: ApiStyle, *, required: bool) -> str:
    """The version to behave as; `openai` under the OpenAI paths, which have none to speak of.

    Any date is taken, because clients of Azure OpenAI send its dates on these routes. Raises
    `MissingApiVersion` where the operator requires one, `UnsupportedApiVersion` for what is no date.
    """
    if dialect is ApiStyle.OPENAI:
        return ApiStyle.OPENAI
    text = query.get(PARAMETER)
    if not text:
        if required:
            raise MissingApiVersion("The api-version query parameter (?api-version=) is required.")
        return PRESENT
    if not DATE.fullmatch(text):
        raise UnsupportedApiVersion(
            f"Unsupported api-version {text!r}: expected a date such as {PRESENT}.",
            offenders=[Offender(("query", PARAMETER), text, "expected YYYY-MM-DD or YYYY-MM-DD-preview")],
        )
    return text if text in (OLDEST, STABLE) else PRESENT

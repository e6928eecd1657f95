"""The stages before a model is needed: from a call to an order that one deployment can honour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from inference.api.completions import GenerationBody
from inference.api.http_types import HttpRequest
from inference.api.parameters import ParameterPlace, of_route
from inference.api.paths import ApiStyle, version_of
from inference.api.validation import AnyRequest, read_object, validate
from inference.auth.authority import Authority
from inference.cards.card import Card, Deployment
from inference.contracts import Route
from inference.errors import UnsupportedMediaType
from inference.pipeline.capabilities import check, unsupported
from inference.pipeline.extra_parameters import HEADER, ExtraParametersPolicy, policy_of, sort
from inference.pipeline.limits import within_limits
from inference.prompt.output_format import is_constrained
from inference.registry.registry import Registry
from inference.settings import Settings
from inference.telemetry.request_log import RequestTrace

LONGEST_LIST = 4_000
"""Characters of a header that lists names; clients refuse headers of some ten thousand."""


@dataclass(frozen=True, slots=True)
class ResolvedRequest:
    """What was settled about a request: who answers, by which rules, and what was left out of it."""

    route: Route
    deployment: Deployment
    dialect: ApiStyle
    version: str
    dropped: tuple[str, ...]
    characters: int
    """Of text, in the body as it came."""
    constrained: bool = False
    """Whether the answer's form is asked for: what is to be compiled then takes milliseconds."""
    body: Mapping[str, Any] = field(default_factory=dict)
    """What is left of the body as it came, for who is handed it on."""

    @property
    def card(self) -> Card:
        return self.deployment.card

    @property
    def headers(self) -> dict[str, str]:
        """What the answer says about itself: who answered, and what was dropped."""
        served = {"x-ms-served-model": self.deployment.name}
        return {**served, "x-ms-dropped-parameters": _listed(self.dropped)} if self.dropped else served


@dataclass(frozen=True, slots=True)
class AdmittedRequest:
    """A call whose deployment is known and whose body is not judged yet."""

    route: Route
    deployment: Deployment
    dialect: ApiStyle
    version: str
    policy: ExtraParametersPolicy
    body: dict[str, Any]
    characters: int


async def receive(
    call: HttpRequest, trace: RequestTrace, settings: Settings, registry: Registry, authority: Authority
) -> AdmittedRequest:
    """Stages receive, who and which deployment. Raises what each stage raises; nothing is loaded for it."""
    assert call.target.route is not None
    route, dialect = call.target.route, call.target.dialect
    await authority.admit(call.headers)
    version = version_of(call.query, dialect, required=settings.require_api_version)
    policy = (
        ExtraParametersPolicy.NATIVE if dialect is ApiStyle.OPENAI else policy_of(call.headers.get(HEADER))
    )
    _require_json(call.headers.get("content-type", ""))
    body = read_object(await call.read(settings.max_body_bytes))
    characters = within_limits(body, settings)
    deployment = registry.choose(route, fixed=call.fixed_deployment, asked=_asked(body))
    trace.deployment = deployment.name
    return AdmittedRequest(route, deployment, dialect, version, policy, body, characters)


def settle(
    shape: type[AnyRequest], draft: AdmittedRequest, trace: RequestTrace
) -> tuple[AnyRequest, ResolvedRequest]:
    """Stages extras, parse and can-it: a request that its deployment can honour.

    Raises `ExtraParametersNotAllowed`, `InvalidInput` or `ParameterNotSupported`.
    """
    card, route = draft.deployment.card, draft.route
    kept = sort(draft.body, draft.policy, card, route)
    request, body, dropped = validate(shape, kept.body), kept.body, kept.dropped
    if draft.policy is ExtraParametersPolicy.DROP and (names := unsupported(body, card, route)):
        dropped += names
        body = {name: value for name, value in body.items() if name not in names}
        request = validate(shape, body)
    check(request, body, card, route)
    trace.dropped = dropped
    trace.file_under(_labels(body, route))
    constrained = isinstance(request, GenerationBody) and is_constrained(request)
    settled = ResolvedRequest(
        route=route,
        deployment=draft.deployment,
        dialect=draft.dialect,
        version=draft.version,
        dropped=dropped,
        characters=draft.characters,
        constrained=constrained,
        body=body,
    )
    return request, settled


def _listed(names: tuple[str, ...]) -> str:
    """Names as a header may hold them: a caller's own may have any character and any length."""
    text = ", ".join(quote(name, safe="") for name in names)
    return text if len(text) <= LONGEST_LIST else text[:LONGEST_LIST].rpartition(", ")[0] + ", ..."


def _labels(body: dict[str, Any], route: Route) -> dict[str, Any]:
    return {row.name: body[row.name] for row in of_route(route, ParameterPlace.LABEL) if row.name in body}


def _asked(body: dict[str, Any]) -> str | None:
    """The body's `model`; one that is no text is refused with the other schema violations."""
    model = body.get("model")
    return model if isinstance(model, str) and model else None


def _require_json(content_type: str) -> None:
    media = content_type.split(";")[0].strip().lower()
    if media and media != "application/json" and not media.endswith("+json"):
        raise UnsupportedMediaType(f"The body must be application/json, not {media}.")

"""The stages before a model is needed: from an HTTP request to one that its deployment can honour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from inference.api.parameters import ParameterPlace, of_route
from inference.api.paths import version_of
from inference.api.validation import AnyRequest, read_object, validate
from inference.auth.authority import Authenticator
from inference.cards.card import Card, Deployment
from inference.contracts import ApiStyle, Route
from inference.errors import UnsupportedMediaType
from inference.pipeline.capabilities import check, unsupported
from inference.pipeline.exchange import Deployments, Exchange
from inference.pipeline.extra_parameters import HEADER, ExtraParametersPolicy, policy_of, sort
from inference.pipeline.limits import within_limits
from inference.settings import Settings
from inference.telemetry.request_log import RequestTrace

LONGEST_LIST = 4_000
"""Characters of a header that lists names; clients refuse headers of some ten thousand."""


@dataclass(frozen=True, slots=True)
class AdmittedRequest:
    """A request whose caller may call and whose deployment is known; its body is not validated yet."""

    route: Route
    deployment: Deployment
    style: ApiStyle
    version: str
    policy: ExtraParametersPolicy
    body: dict[str, Any]
    characters: int


@dataclass(frozen=True, slots=True)
class ResolvedRequest:
    """The decisions about a validated request: its deployment, the rules it follows, the names left out."""

    route: Route
    deployment: Deployment
    style: ApiStyle
    version: str
    dropped: tuple[str, ...]
    characters: int
    """Characters of text in the body as it came."""
    body: Mapping[str, Any] = field(default_factory=dict)
    """The keys that remain of the body, for an endpoint that the request is handed on to."""

    @property
    def card(self) -> Card:
        return self.deployment.card

    @property
    def headers(self) -> dict[str, str]:
        """The response headers that name the deployment and the dropped parameters."""
        served = {"x-ms-served-model": self.deployment.name}
        return {**served, "x-ms-dropped-parameters": _listed(self.dropped)} if self.dropped else served


async def admit(
    exchange: Exchange, settings: Settings, deployments: Deployments, authority: Authenticator
) -> AdmittedRequest:
    """Run the stages receive, who and which deployment. Raises the refusal of each; loads nothing."""
    http, target = exchange.http, exchange.http.target
    await authority.authenticate(http.headers)
    version = version_of(http.query, target.style, required=settings.require_api_version)
    native = target.style is ApiStyle.NATIVE
    policy = policy_of(http.headers.get(HEADER)) if native else ExtraParametersPolicy.NATIVE
    _require_json(http.headers.get("content-type", ""))
    body = read_object(await http.read(settings.max_body_bytes))
    characters = within_limits(body, settings)
    route = target.known_route
    deployment = deployments.choose(route, fixed=http.fixed_deployment, asked=_model_of(body))
    exchange.trace.deployment = deployment.name
    return AdmittedRequest(route, deployment, target.style, version, policy, body, characters)


def resolve_request(
    request_type: type[AnyRequest], admitted: AdmittedRequest, trace: RequestTrace
) -> tuple[AnyRequest, ResolvedRequest]:
    """Run the stages extra parameters, validation and capabilities: a request its deployment can honour.

    Raises `ExtraParametersNotAllowed`, `InvalidInput` or `ParameterNotSupported`.
    """
    card, route = admitted.deployment.card, admitted.route
    kept = sort(admitted.body, admitted.policy, card, route)
    request, body, dropped = validate(request_type, kept.body), kept.body, kept.dropped
    if admitted.policy is ExtraParametersPolicy.DROP and (names := unsupported(body, card, route)):
        dropped += names
        body = {name: value for name, value in body.items() if name not in names}
        request = validate(request_type, body)
    check(request, body, card)
    trace.dropped = dropped
    trace.record_labels(_labels(body, route))
    resolved = ResolvedRequest(
        route=route,
        deployment=admitted.deployment,
        style=admitted.style,
        version=admitted.version,
        dropped=dropped,
        characters=admitted.characters,
        body=body,
    )
    return request, resolved


def _listed(names: tuple[str, ...]) -> str:
    """Return names as a header may hold them: a caller's own may have any character and any length."""
    text = ", ".join(quote(name, safe="") for name in names)
    return text if len(text) <= LONGEST_LIST else text[:LONGEST_LIST].rpartition(", ")[0] + ", ..."


def _labels(body: dict[str, Any], route: Route) -> dict[str, Any]:
    return {row.name: body[row.name] for row in of_route(route, ParameterPlace.LABEL) if row.name in body}


def _model_of(body: dict[str, Any]) -> str | None:
    """Return the body's `model`; one that is no text is refused with the other schema violations."""
    model = body.get("model")
    return model if isinstance(model, str) and model else None


def _require_json(content_type: str) -> None:
    media = content_type.split(";")[0].strip().lower()
    if media and media != "application/json" and not media.endswith("+json"):
        raise UnsupportedMediaType(f"The body must be application/json, not {media}.")

"""The stages before a model is needed: from an HTTP request to one that its deployment can honour."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ParamSpec, TypeVar
from urllib.parse import quote

from inference.api.generation import GenerationBody
from inference.api.http_types import version_of
from inference.api.parameters import ParameterPlace, of_route
from inference.api.validation import AnyRequest, path_of, read_object, validate, without
from inference.auth.authority import Authenticator
from inference.cards.card import Card, Deployment
from inference.contracts import ApiStyle, Route
from inference.errors import Location, Offender, RequestTooLarge, UnknownModel, UnsupportedMediaType
from inference.pipeline.capabilities import check, ignored, unsupported
from inference.pipeline.exchange import Deployments, Exchange
from inference.pipeline.extra_parameters import (
    HEADER,
    ExtraParametersPolicy,
    policy_of,
    sort,
    sort_nested,
)
from inference.settings import Settings
from inference.telemetry.request_log import RequestTrace

P = ParamSpec("P")
Result = TypeVar("Result")

TEXTS = ("messages", "prompt", "input", "tools")
"""The keys of texts to be tokenised."""
WRITTEN = ("tools", "arguments")
"""The keys of objects whose own keys are tokenised with them."""
SHORT = 16_384
"""Bytes of a body that is read on the event loop: 5 ms at worst, where a thread takes 0.1 ms to answer."""
MEDIA = ("image", "image_url", "input_audio", "audio_url")
"""The keys of media, which the size of the body and their pixels bound, not the limit on text."""


def within_limits(body: Mapping[str, Any], settings: Settings) -> None:
    """Raise `RequestTooLarge` for lists that are too long and for more text than is tokenised at once."""
    _limit_lists(body, settings)
    for name in TEXTS:
        count = _characters(body.get(name), written=name in WRITTEN)
        if count > settings.max_text_characters:
            most = settings.max_text_characters
            raise _too_large(name, f"{count} characters of text", most, count, "string_above_max_length")


def _limit_lists(body: Mapping[str, Any], settings: Settings) -> None:
    limits = {
        "messages": settings.max_messages,
        "tools": settings.max_tools,
        "input": settings.max_inputs,
        "prompt": settings.max_choices,
    }
    for name, most in limits.items():
        value = body.get(name)
        if isinstance(value, list) and len(value) > most and not _is_token_array(name, value):
            raise _too_large(name, f"{len(value)} items", most, len(value), "array_above_max_length")


def _is_token_array(name: str, value: list[Any]) -> bool:
    """Return True for a token array, which may be as long as a prompt: the context bounds it."""
    return name in ("input", "prompt") and isinstance(value[0], int)


def _characters(value: Any, *, written: bool = False) -> int:
    """Return the characters of text in a value, those of keys too where they are `written`.

    A token id counts for one. What stands for media in a message is none where a caller's own object is.
    """
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list):
        return sum(1 if isinstance(item, int) else _characters(item, written=written) for item in value)
    if isinstance(value, dict) and written:
        return sum(len(key) + _characters(item, written=True) for key, item in value.items())
    if isinstance(value, dict):
        return sum(
            _characters(item, written=key in WRITTEN) for key, item in value.items() if key not in MEDIA
        )
    return 0


def _too_large(name: str, found: str, most: int, count: int, code: str) -> RequestTooLarge:
    message = f"{name} has {found}, this endpoint takes {most}"
    return RequestTooLarge(message, offenders=[Offender(("body", name), count, message, code)])


def check_choices(choices: int, request: GenerationBody, settings: Settings) -> None:
    """Raise `RequestTooLarge` for more choices than this endpoint generates for one request."""
    if choices > settings.max_choices:
        message = f"{choices} choices are requested, this endpoint returns at most {settings.max_choices}"
        offender = Offender(("body", request.choices_key), choices, message, "integer_above_max_value")
        raise RequestTooLarge(offender.sentence, offenders=[offender])


LONGEST_MODEL = 256
"""Characters of a deployment's name: file systems take no longer ones."""
LONGEST_LIST = 4_000
"""Characters of a header that lists names; clients refuse headers of some ten thousand."""
LONGEST_NAME = 100
"""Characters of a name that such a header shows whole; percent-encoded they may be twelve times as many."""
EMPTY_NAME = "%22%22"
"""The empty name, which a body can have as a key, in such a header."""


@dataclass(frozen=True, slots=True)
class AdmittedRequest:
    """A request whose caller may call and whose deployment is known; its body is not validated yet."""

    route: Route
    deployment: Deployment
    style: ApiStyle
    version: str
    policy: ExtraParametersPolicy
    body: dict[str, Any]
    size: int
    """Bytes of the body as it came."""


@dataclass(frozen=True, slots=True)
class ResolvedRequest:
    """The decisions about a validated request: its deployment, the rules it follows, the names left out."""

    route: Route
    deployment: Deployment
    style: ApiStyle
    version: str
    dropped: tuple[str, ...]
    size: int = 0
    """Bytes of the body as it came."""
    body: Mapping[str, Any] = field(default_factory=dict)
    """The keys that remain of the body, for an endpoint that the request is handed on to."""

    @property
    def card(self) -> Card:
        return self.deployment.card

    def also_without(self, names: tuple[str, ...]) -> ResolvedRequest:
        """Return the request with more names of what is not honoured, found later."""
        return replace(self, dropped=(*self.dropped, *names)) if names else self

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
    content = await http.read(settings.max_body_bytes)
    body = await off_loop(len(content), _read_body, content, settings)
    route = target.known_route
    deployment = deployments.choose(route, fixed=http.fixed_deployment, model=_model_of(body))
    exchange.trace.deployment = deployment.name
    return AdmittedRequest(route, deployment, target.style, version, policy, body, len(content))


async def off_loop(size: int, work: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
    """Return the result of work on a body of `size` bytes; a thread does it unless the body is short.

    A thread shares the interpreter with the event loop but for single calls, which their inputs' bounds
    keep below 50 ms.
    """
    if size <= SHORT:
        return work(*args, **kwargs)
    return await asyncio.to_thread(work, *args, **kwargs)


def _read_body(content: bytes, settings: Settings) -> dict[str, Any]:
    body = read_object(content)
    within_limits(body, settings)
    return body


def resolve_request(
    request_type: type[AnyRequest], admitted: AdmittedRequest, trace: RequestTrace
) -> tuple[AnyRequest, ResolvedRequest]:
    """Run the stages extra parameters, validation and capabilities: a request its deployment can honour.

    Raises `ExtraParametersNotAllowed`, `InvalidInput` or `ParameterNotSupported`.
    """
    card, route = admitted.deployment.card, admitted.route
    kept = sort(admitted.body, admitted.policy, card, route)
    request, body, dropped = validate(request_type, kept.body), kept.body, kept.dropped
    unwanted = sort_nested(request, body, admitted.policy, card)
    if admitted.policy is ExtraParametersPolicy.DROP:
        unwanted = _outermost((*unwanted, *unsupported(body, card, route)))
    if unwanted:
        body = without(body, unwanted)
        request = validate(request_type, body)
    check(request, body, card)
    dropped += (*map(path_of, unwanted), *ignored(body, card))
    trace.dropped = dropped
    trace.record_labels(_labels(body, route))
    resolved = ResolvedRequest(
        route=route,
        deployment=admitted.deployment,
        style=admitted.style,
        version=admitted.version,
        dropped=dropped,
        size=admitted.size,
        body=body,
    )
    return request, resolved


def _outermost(locations: tuple[Location, ...]) -> tuple[Location, ...]:
    """Return the locations without those that lie inside another one."""
    known = set(locations)
    return tuple(loc for loc in locations if not any(loc[:length] in known for length in range(2, len(loc))))


def _listed(names: tuple[str, ...]) -> str:
    """Return names as a header may hold them: a caller's own may have any character and any length."""
    listed, length = [], 0
    for name in names:
        shown = quote(name[:LONGEST_NAME], safe="[].$", errors="replace") or EMPTY_NAME
        listed.append(shown + "..." if len(name) > LONGEST_NAME else shown)
        length += len(listed[-1]) + 2
        if length > LONGEST_LIST:
            return ", ".join([*listed[:-1], "..."])
    return ", ".join(listed)


def _labels(body: dict[str, Any], route: Route) -> dict[str, Any]:
    return {row.name: body[row.name] for row in of_route(route, ParameterPlace.LABEL) if row.name in body}


def _model_of(body: dict[str, Any]) -> str | None:
    """Return the body's `model`; one that is no text is refused with the other schema violations.

    Raises `UnknownModel` for one that is longer than the name of any deployment.
    """
    model = body.get("model")
    if isinstance(model, str) and len(model) > LONGEST_MODEL:
        raise UnknownModel(f"Unknown model: {model[:LONGEST_MODEL]}...")
    return model if isinstance(model, str) and model else None


def _require_json(content_type: str) -> None:
    media = content_type.split(";")[0].strip().lower()
    if media and media != "application/json" and not media.endswith("+json"):
        raise UnsupportedMediaType(f"The body must be application/json, not {media}.")

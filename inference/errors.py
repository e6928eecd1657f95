"""The tree of refusals. `api/error_body.py` renders every one of them in the style of the path.

The status and the code are those of the native paths. Under the OpenAI paths a wrong value is a 400, and the
code is OpenAI's: that of the first offender, else the `openai_code` of the class, where there is one.

    ApiError                                 status  code
    ├── InvalidHttp                             400  invalid_http
    ├── InvalidJson                             400  invalid_json
    ├── ContentFiltered                         400  content_filter
    ├── ExtraParametersNotAllowed               400  extra_parameters_not_allowed
    ├── InvalidExtraParametersHeader            400  invalid_extra_parameters_header
    ├── InvalidDryRunHeader                     400  invalid_dry_run_header
    ├── NoModelName                             400  no_model_name
    ├── MissingApiVersion                       400  MissingApiVersionParameter
    ├── UnsupportedApiVersion                   400  UnsupportedApiVersionValue
    ├── Unauthorized                            401  Unauthorized
    ├── NotFound                                404  not_found
    │   ├── UnknownModel                        404  unknown_model
    │   └── ResourceNotFound                    404  404
    ├── MethodNotAllowed                        405  MethodNotAllowed
    ├── RequestTimedOut                         408  request_timeout
    ├── RequestTooLarge                         413  request_too_large
    ├── UnsupportedMediaType                    415  unsupported_media_type
    ├── Unprocessable                           422
    │   ├── InvalidInput                        422  Invalid input
    │   └── ParameterNotSupported               422  parameter_not_supported
    ├── DeploymentBroken                        424  deployment_broken
    ├── DeploymentTooLarge                      424  deployment_too_large
    ├── GenerationFailed                        424  model_failed
    ├── UpstreamError                           502  upstream_failed
    │   ├── UpstreamRefused          its own or 502  its own or upstream_refused
    │   ├── UpstreamUnreachable                 503  upstream_unreachable
    │   └── UpstreamTimeout                     504  upstream_timeout
    └── Repeatable (with Retry-After)            500
        ├── Busy                                429  RateLimitReached
        ├── ModelNotReady                       503  model_not_ready
        ├── ShuttingDown                        503  shutting_down
        ├── TooManyConnections                  503  too_many_connections
        ├── IssuerUnreachable                   503  issuer_unreachable
        └── SafetyUnavailable                   503  content_safety_unavailable

A status that clients repeat by themselves (429, 500, 503) is used only where a repetition can help.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeAlias

Location: TypeAlias = tuple[str | int, ...]
"""The location of an offence: `body`, `query` or `header`, then keys and 0-based indexes."""

MOST_NAMED = 5
"""Offences that a message repeats; clients show the message alone, and a long one is not read."""


@dataclass(frozen=True, slots=True)
class Offender:
    """One offence: its location, the value there, a sentence about it, and OpenAI's code of its kind."""

    loc: Location
    input: Any
    message: str
    code: str = ""
    """Empty where the refusal's own `openai_code` is the word."""

    @property
    def target(self) -> str:
        """The parameter's name as clients write it: `messages[0].content`."""
        path = ""
        for step in self.loc[1:]:
            path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else step
        return path or str(self.loc[0])

    @property
    def sentence(self) -> str:
        """The message with its place: `temperature: 5 is more than 2`."""
        named = re.match(rf"{re.escape(self.target)}(?![\w.\[])", self.message)
        return self.message if named else f"{self.target}: {self.message}"


class ApiError(Exception):
    """A refusal with its status, its code and, where there are any, the offenders, first one first."""

    status: int = 500
    code: str = "internal_error"
    openai_code: str = ""
    """OpenAI's code, where it has another word for the same."""

    def __init__(
        self,
        message: str,
        *,
        offenders: Sequence[Offender] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.offenders = tuple(offenders)
        self.headers = dict(headers or {})

    @property
    def param(self) -> str | None:
        """The `param` of the body: the first offender's target, unless a leaf names another."""
        return self.offenders[0].target if self.offenders else None


class InvalidHttp(ApiError):
    """The bytes of a connection are no HTTP request."""

    status, code = 400, "invalid_http"


class InvalidJson(ApiError):
    """The body is not a JSON object."""

    status, code = 400, "invalid_json"


class ContentFiltered(ApiError):
    """The content filter does not let a text or an image of the request pass."""

    status, code = 400, "content_filter"

    def __init__(self, key: str, results: Mapping[str, Any]) -> None:
        """Take the key of the body that has it, and the findings in the wire's words."""
        super().__init__("The response was filtered")
        self.key = key
        self.results = results

    @property
    def param(self) -> str:
        return self.key


class ExtraParametersNotAllowed(ApiError):
    """The body has keys the route does not know, and no `extra-parameters` that lets them pass."""

    status, code, openai_code = 400, "extra_parameters_not_allowed", "unknown_parameter"


class InvalidExtraParametersHeader(ApiError):
    """The `extra-parameters` header has none of the five words."""

    status, code = 400, "invalid_extra_parameters_header"


class InvalidDryRunHeader(ApiError):
    """The header `x-dry-run` says neither yes nor no."""

    status, code = 400, "invalid_dry_run_header"


class NoModelName(ApiError):
    """Several deployments could answer and the request names none."""

    status, code, openai_code = 400, "no_model_name", "missing_required_parameter"

    @property
    def param(self) -> str:
        return "model"


class MissingApiVersion(ApiError):
    """`api-version` is absent although the operator made it mandatory."""

    status, code = 400, "MissingApiVersionParameter"


class UnsupportedApiVersion(ApiError):
    """`api-version` is not a date."""

    status, code = 400, "UnsupportedApiVersionValue"


class Unauthorized(ApiError):
    """No valid key and no valid token."""

    status, code, openai_code = 401, "Unauthorized", "invalid_api_key"

    def __init__(self, message: str) -> None:
        super().__init__(message, headers={"WWW-Authenticate": "Bearer"})


class NotFound(ApiError):
    """No such route, or the deployment does not serve it."""

    status, code = 404, "not_found"


class UnknownModel(NotFound):
    """No deployment has that name."""

    code, openai_code = "unknown_model", "model_not_found"

    @property
    def param(self) -> str:
        return "model"


class ResourceNotFound(NotFound):
    """A native route asked for under an OpenAI base path, where Azure has none."""

    code = "404"


class MethodNotAllowed(ApiError):
    """The route exists under another method."""

    status, code = 405, "MethodNotAllowed"


class RequestTimedOut(ApiError):
    """The request did not come whole within the time for its head or its body."""

    status, code = 408, "request_timeout"


class RequestTooLarge(ApiError):
    """The body, or one list in it, is over a configured limit."""

    status, code = 413, "request_too_large"


class UnsupportedMediaType(ApiError):
    """The body is declared as something other than JSON, or has an encoding that is not decoded."""

    status, code = 415, "unsupported_media_type"


class Unprocessable(ApiError):
    """Valid JSON that cannot be served, at the locations of its offenders."""

    status = 422

    def __init__(self, offenders: Sequence[Offender], message: str = "") -> None:
        """Take the offenders, and the message where it is another than their sentences."""
        super().__init__(message or _sentences(offenders), offenders=offenders)


class InvalidInput(Unprocessable):
    """A value breaks the API's schema."""

    code, openai_code = "Invalid input", "invalid_value"


class ParameterNotSupported(Unprocessable):
    """A valid value that this deployment cannot honour."""

    code, openai_code = "parameter_not_supported", "unsupported_value"
    summary: ClassVar[str] = "One of the parameters contain invalid values."
    """The flat `message` of the API's introduction; the `error` object has the message with the place."""


CONTEXT_LENGTH_EXCEEDED = "context_length_exceeded"
"""OpenAI's code of a text that is longer than the context of its model."""


def context_length_exceeded(
    offenders: Sequence[Offender], *, context: int, tokens: int | None = None
) -> ParameterNotSupported:
    """Return the refusal of texts that are longer than the context; the first has so many `tokens`.

    None stands for texts with so many characters that they are not tokenised.

    Its message has OpenAI's wording, by which LiteLLM and others know on every path that the conversation is
    to be shortened, and OpenAI's code, for which LangChain looks in the message, all that `openai` shows.
    """
    target, found = offenders[0].target, str(tokens or f"more than {context}")
    message = (
        f"This model's maximum context length is {context} tokens. However, your {target} resulted in "
        f"{found} tokens. Please reduce the length of the {target} ({CONTEXT_LENGTH_EXCEEDED})."
    )
    located = [replace(offender, code=CONTEXT_LENGTH_EXCEEDED) for offender in offenders]
    return ParameterNotSupported(located, message)


def _sentences(offenders: Sequence[Offender]) -> str:
    """Return the sentences of the first offenders, and how many more there are."""
    text = "; ".join(offender.sentence for offender in offenders[:MOST_NAMED])
    more = len(offenders) - MOST_NAMED
    return f"{text}; and {more} more" if more > 0 else text


class DeploymentBroken(ApiError):
    """The deployment's folder is at fault; repeating the request cannot help, so the status says 424."""

    status, code = 424, "deployment_broken"


class DeploymentTooLarge(ApiError):
    """The deployment never fits the memory or the disk that models may take; repeating cannot help."""

    status, code = 424, "deployment_too_large"


class Repeatable(ApiError):
    """A refusal with the seconds after which a repetition may succeed."""

    seconds: ClassVar[float] = 2

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        self.retry_after = self.seconds if retry_after is None else retry_after
        super().__init__(message, headers={"Retry-After": str(math.ceil(self.retry_after))})


class Busy(Repeatable):
    """The queue is full."""

    status, code, seconds = 429, "RateLimitReached", 1
    openai_code = "rate_limit_exceeded"


class GenerationFailed(ApiError):
    """The model failed on its own account, and would again: clients repeat a 500 by themselves, not a 424."""

    status, code = 424, "model_failed"


class UpstreamError(ApiError):
    """The endpoint of a remote deployment returned no valid answer: no JSON, a stream without an end."""

    status, code = 502, "upstream_failed"


class UpstreamRefused(UpstreamError):
    """The endpoint of a remote deployment refused; its status and its code, if it has one, are kept."""

    code = "upstream_refused"

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str = "",
        offenders: Sequence[Offender] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, offenders=offenders, headers=headers)
        self.status = status
        self.code = code or self.code
        self.openai_code = _openai_code(self)


def _openai_code(error: UpstreamRefused) -> str:
    """Return OpenAI's code for an endpoint's refusal: endpoints of this API and of Azure have other words."""
    if "maximum context length is" in error.message:
        return CONTEXT_LENGTH_EXCEEDED
    if error.status == 429 and error.code != "insufficient_quota":
        return Busy.openai_code
    kinds = (InvalidInput, ParameterNotSupported, ExtraParametersNotAllowed)
    return next((kind.openai_code for kind in kinds if kind.code == error.code), "")


class UpstreamUnreachable(Repeatable, UpstreamError):
    """No connection, or one that broke before anything came back."""

    status, code = 503, "upstream_unreachable"


class UpstreamTimeout(UpstreamError):
    """The endpoint was silent for longer than its deployment allows."""

    status, code = 504, "upstream_timeout"


class ModelNotReady(Repeatable):
    """The model is still loading."""

    status, code = 503, "model_not_ready"


class ShuttingDown(Repeatable):
    """The process is being stopped: requests that wait are refused, running ones end after a while."""

    status, code, seconds = 503, "shutting_down", 5

    def __init__(self) -> None:
        super().__init__("The endpoint is shutting down; repeat the request in a few seconds.")


class TooManyConnections(Repeatable):
    """The host has as many connections as it takes."""

    status, code = 503, "too_many_connections"


class IssuerUnreachable(Repeatable):
    """A token cannot be verified, because the keys of its issuer could not be fetched."""

    status, code = 503, "issuer_unreachable"


class SafetyUnavailable(Repeatable):
    """The content filter could not judge, so nothing passes; `limited` by a moderator's rate limit."""

    status, code = 503, "content_safety_unavailable"

    def __init__(self, message: str, *, retry_after: float | None = None, limited: bool = False) -> None:
        super().__init__(message, retry_after=retry_after)
        self.limited = limited

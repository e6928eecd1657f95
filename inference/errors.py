"""The tree of refusals. `api/error_body.py` renders every one of them in the style of the path.

The status and the code are those of the native paths. Under the OpenAI paths a wrong value is a 400, and the
code is OpenAI's: that of the first offender, else the `openai_code` of the class, if it has one. A status
that clients repeat by themselves (429, 500, 503) is used only where a repetition can help.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
        """The parameter's name as clients write it: `messages[0].content`; an empty name as `''`."""
        path = ""
        for step in self.loc[1:]:
            path += f"[{step}]" if isinstance(step, int) else ("." if path else "") + (step or "''")
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
    place: str | None = None
    """The parameter at fault of a refusal without offenders."""

    def __init_subclass__(
        cls, *, status: int | None = None, code: str | None = None, openai_code: str | None = None
    ) -> None:
        """Take the status and the codes of a kind, those of its parent where it has none of its own."""
        super().__init_subclass__()
        cls.status = cls.status if status is None else status
        cls.code = cls.code if code is None else code
        cls.openai_code = cls.openai_code if openai_code is None else openai_code

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
        return self.offenders[0].target if self.offenders else self.place


class InvalidHttp(ApiError, status=400, code="invalid_http"):
    """The bytes of a connection are no HTTP request."""


class InvalidJson(ApiError, status=400, code="invalid_json"):
    """The body is not a JSON object."""


class ContentFiltered(ApiError, status=400, code="content_filter"):
    """The content filter does not let a text or an image of the request pass."""

    def __init__(self, key: str, results: Mapping[str, Any]) -> None:
        """Take the key of the body that has it, and the findings in the wire's words."""
        super().__init__("The response was filtered")
        self.key = key
        self.results = results

    @property
    def param(self) -> str:
        return self.key


class ExtraParametersNotAllowed(
    ApiError, status=400, code="extra_parameters_not_allowed", openai_code="unknown_parameter"
):
    """The body has keys the route does not know, and no `extra-parameters` that lets them pass."""


class InvalidExtraParametersHeader(ApiError, status=400, code="invalid_extra_parameters_header"):
    """The `extra-parameters` header has none of the five words."""


class InvalidDryRunHeader(ApiError, status=400, code="invalid_dry_run_header"):
    """The header `x-dry-run` says neither yes nor no."""


class NoModelName(ApiError, status=400, code="no_model_name", openai_code="missing_required_parameter"):
    """Several deployments could answer and the request names none."""

    place = "model"


class MissingApiVersion(ApiError, status=400, code="MissingApiVersionParameter"):
    """`api-version` is absent although the operator made it mandatory."""


class UnsupportedApiVersion(ApiError, status=400, code="UnsupportedApiVersionValue"):
    """`api-version` is not a date."""


class Unauthorized(ApiError, status=401, code="Unauthorized", openai_code="invalid_api_key"):
    """No valid key and no valid token."""

    def __init__(self, message: str) -> None:
        super().__init__(message, headers={"WWW-Authenticate": "Bearer"})


class NotFound(ApiError, status=404, code="not_found"):
    """No such route, or the deployment does not serve it."""


class UnknownModel(NotFound, code="unknown_model", openai_code="model_not_found"):
    """No deployment has that name."""

    place = "model"


class ResourceNotFound(NotFound, code="404"):
    """A native route requested under an OpenAI base path, where Azure has none."""


class MethodNotAllowed(ApiError, status=405, code="MethodNotAllowed"):
    """The route exists under another method."""


class RequestTimedOut(ApiError, status=408, code="request_timeout"):
    """The request did not come whole within the time for its head or its body."""


class RequestTooLarge(ApiError, status=413, code="request_too_large"):
    """The body, one list in it, or a conversation that is to be kept, is over a configured limit."""


class UnsupportedMediaType(ApiError, status=415, code="unsupported_media_type"):
    """The body is declared as something other than JSON, or has an encoding that is not decoded."""


class Unprocessable(ApiError, status=422):
    """Valid JSON that cannot be served, at the locations of its offenders."""

    def __init__(self, offenders: Sequence[Offender], message: str = "") -> None:
        """Take the offenders, and the message where it is another than their sentences."""
        super().__init__(message or sentences(offenders), offenders=offenders)


class InvalidInput(Unprocessable, code="Invalid input", openai_code="invalid_value"):
    """A value breaks the API's schema."""


class ParameterNotSupported(Unprocessable, code="parameter_not_supported", openai_code="unsupported_value"):
    """A valid value that this deployment cannot honour."""

    summary: ClassVar[str] = "One of the parameters contain invalid values."
    """The flat `message` of the API's introduction; the `error` object has the message with the place."""


CONTEXT_LENGTH_EXCEEDED = "context_length_exceeded"
"""OpenAI's code of a text that is longer than the context of its model."""


def sentences(offenders: Sequence[Offender]) -> str:
    """Return the sentences of the first offenders, and how many more there are."""
    text = "; ".join(offender.sentence for offender in offenders[:MOST_NAMED])
    more = len(offenders) - MOST_NAMED
    return f"{text}; and {more} more" if more > 0 else text


class DeploymentBroken(ApiError, status=424, code="deployment_broken"):
    """The deployment's folder is at fault; repeating the request cannot help, so the status says 424."""


class DeploymentTooLarge(ApiError, status=424, code="deployment_too_large"):
    """The deployment never fits the memory or the disk that models may take; repeating cannot help."""


class Repeatable(ApiError):
    """A refusal with the seconds after which a repetition may succeed."""

    seconds: ClassVar[float] = 2

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        self.retry_after = self.seconds if retry_after is None else retry_after
        super().__init__(message, headers={"Retry-After": str(math.ceil(self.retry_after))})


class Busy(Repeatable, status=429, code="RateLimitReached", openai_code="rate_limit_exceeded"):
    """The queue is full."""

    seconds: ClassVar[float] = 1


class GenerationFailed(ApiError, status=424, code="model_failed"):
    """The model failed on its own account, and would again: clients repeat a 500 by themselves, not a 424."""


class UpstreamError(ApiError, status=502, code="upstream_failed"):
    """The endpoint of a remote deployment returned no valid answer: no JSON, a stream without an end."""


class UpstreamRefused(UpstreamError, code="upstream_refused"):
    """The endpoint of a remote deployment refused; its status and its code, if it has one, are kept."""

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


class UpstreamUnreachable(Repeatable, UpstreamError, status=503, code="upstream_unreachable"):
    """No connection, or one that broke before anything came back."""


class UpstreamTimeout(UpstreamError, status=504, code="upstream_timeout"):
    """The endpoint was silent for longer than its deployment allows."""


class ModelNotReady(Repeatable, status=503, code="model_not_ready"):
    """The model is still loading."""


class ShuttingDown(Repeatable, status=503, code="shutting_down"):
    """The process is being stopped: requests that wait are refused, running ones end after a while."""

    seconds: ClassVar[float] = 5

    def __init__(self) -> None:
        super().__init__("The endpoint is shutting down; repeat the request in a few seconds.")


class TooManyConnections(Repeatable, status=503, code="too_many_connections"):
    """The host has as many connections as it takes."""


class IssuerUnreachable(Repeatable, status=503, code="issuer_unreachable"):
    """A token cannot be verified, because the keys of its issuer could not be fetched."""


class SafetyUnavailable(Repeatable, status=503, code="content_safety_unavailable"):
    """The content filter could not judge, so nothing passes; `limited` by a moderator's rate limit."""

    def __init__(self, message: str, *, retry_after: float | None = None, limited: bool = False) -> None:
        super().__init__(message, retry_after=retry_after)
        self.limited = limited


class ResponseStoreUnavailable(Repeatable, status=503, code="response_store_unavailable"):
    """The store of responses cannot be used now: it does not answer, it refuses, or its disk is full."""

"""The one body of every refusal, natively and under the OpenAI paths."""

from __future__ import annotations

import json
from typing import Any

import pytest

from inference import errors
from inference.api.error_body import body_of, code_of, status_of
from inference.api.offenders import context_length_exceeded
from inference.contracts import ApiStyle
from inference.errors import (
    ApiError,
    Busy,
    ContentFiltered,
    ExtraParametersNotAllowed,
    InvalidInput,
    NotFound,
    Offender,
    ParameterNotSupported,
    Unauthorized,
)


def test_the_documented_refusal_comes_out_exactly() -> None:
    offender = Offender(
        ("body", "response_format"), "json_object", "json_object is not supported by tiny-chat"
    )
    assert body_of(ParameterNotSupported([offender])) == {
        "status": 422,
        "code": "parameter_not_supported",
        "detail": {"loc": ["body", "response_format"], "input": "json_object"},
        "message": "One of the parameters contain invalid values.",
        "error": {
            "code": "parameter_not_supported",
            "status": 422,
            "message": "response_format: json_object is not supported by tiny-chat",
            "target": "response_format",
            "details": [
                {
                    "code": "parameter_not_supported",
                    "message": "json_object is not supported by tiny-chat",
                    "target": "response_format",
                    "loc": ["body", "response_format"],
                    "input": "json_object",
                }
            ],
        },
    }


def test_the_openai_body_has_the_four_keys_of_openai() -> None:
    offender = Offender(("body", "messages", 0, "content"), 5, "must be a string, not 5", "invalid_type")
    assert body_of(InvalidInput([offender]), ApiStyle.OPENAI) == {
        "error": {
            "message": "messages[0].content: must be a string, not 5",
            "type": "invalid_request_error",
            "param": "messages[0].content",
            "code": "invalid_type",
        }
    }


def test_a_text_that_is_not_tokenised_is_said_to_have_more_tokens_than_the_context() -> None:
    error = context_length_exceeded([Offender(("body", "messages"), 9_000, "it is long")], context=8)
    assert error.message == (
        "This model's maximum context length is 8 tokens. However, your messages resulted in more than 8 "
        "tokens. Please reduce the length of the messages (context_length_exceeded)."
    )


def test_the_names_of_extra_parameters_stand_in_the_first_brackets_of_the_body() -> None:
    refusal = ExtraParametersNotAllowed("Extra ['n']", offenders=[Offender(("body", "n"), 2, "extra")])
    text = json.dumps(body_of(refusal))
    assert text[text.index("[") :].startswith("['n']")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (InvalidInput([Offender(("body", "n"), 0, "wrong")]), 400, "invalid_value"),
        (ParameterNotSupported([Offender(("body", "n"), 0, "wrong")]), 400, "unsupported_value"),
        (ExtraParametersNotAllowed("Unknown: x"), 400, "unknown_parameter"),
        (errors.NoModelName("No name."), 400, "missing_required_parameter"),
        (Unauthorized("No."), 401, "invalid_api_key"),
        (errors.UnknownModel("Unknown model: x"), 404, "model_not_found"),
        (errors.RequestTooLarge("The body is too large."), 413, "request_too_large"),
        (
            errors.RequestTooLarge(
                "x", offenders=[Offender(("body", "tools"), 9, "many", "array_above_max_length")]
            ),
            400,
            "array_above_max_length",
        ),
        (Busy("full"), 429, "rate_limit_exceeded"),
        (errors.UpstreamRefused("No.", status=422, code="Invalid input"), 400, "invalid_value"),
        (errors.UpstreamRefused("No.", status=422, code="parameter_not_supported"), 400, "unsupported_value"),
        (errors.UpstreamRefused("No.", status=422), 400, "upstream_refused"),
        (errors.UpstreamRefused("No.", status=429, code="busy"), 429, "rate_limit_exceeded"),
        (errors.UpstreamRefused("No.", status=429, code="insufficient_quota"), 429, "insufficient_quota"),
        (
            errors.UpstreamRefused("This model's maximum context length is 5 tokens.", status=400),
            400,
            "context_length_exceeded",
        ),
        (errors.ModelNotReady("Loading."), 503, "model_not_ready"),
        (ApiError("The request could not be served."), 500, "internal_error"),
    ],
)
def test_openai_paths_have_the_status_and_the_code_of_openai(error: ApiError, status: int, code: str) -> None:
    assert (status_of(error, ApiStyle.OPENAI), code_of(error, ApiStyle.OPENAI)) == (status, code)
    assert (status_of(error, ApiStyle.NATIVE), code_of(error, ApiStyle.NATIVE)) == (error.status, error.code)


def test_a_text_over_the_context_is_described_in_the_words_of_openai() -> None:
    error = context_length_exceeded([Offender(("body", "prompt", 1), "x", "it is long")], tokens=9, context=8)
    assert error.message == (
        "This model's maximum context length is 8 tokens. However, your prompt[1] resulted in 9 tokens. "
        "Please reduce the length of the prompt[1] (context_length_exceeded)."
    )
    assert code_of(error, ApiStyle.OPENAI) == "context_length_exceeded"
    assert body_of(error)["error"]["message"] == error.message
    assert body_of(error)["message"] == "One of the parameters contain invalid values."


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (InvalidInput([Offender(("body", "n"), 0, "too small")]), "invalid_request_error"),
        (Unauthorized("no"), "authentication_error"),
        (NotFound("no"), "not_found_error"),
        (Busy("full"), "rate_limit_error"),
        (ApiError("broken"), "server_error"),
    ],
)
def test_openai_types_follow_from_the_status(error: ApiError, kind: str) -> None:
    assert body_of(error, ApiStyle.OPENAI)["error"]["type"] == kind
    assert "type" not in body_of(error)["error"]


def test_a_refusal_without_offenders_has_code_status_and_message_alone() -> None:
    assert body_of(Busy("full")) == {
        "status": 429,
        "code": "RateLimitReached",
        "message": "full",
        "error": {"code": "RateLimitReached", "status": 429, "message": "full"},
    }
    assert body_of(Busy("full"), ApiStyle.OPENAI)["error"]["param"] is None


def test_every_offender_has_an_entry_and_the_first_is_the_detail() -> None:
    offenders = [Offender(("body", "n"), 0, "too small"), Offender(("body", "stop", 1), 5, "no text")]
    body = body_of(InvalidInput(offenders))
    assert body["detail"] == {"loc": ["body", "n"], "input": 0}
    assert body["error"]["target"] == "n"
    assert [(one["target"], one["message"], one["input"]) for one in body["error"]["details"]] == [
        ("n", "too small", 0),
        ("stop[1]", "no text", 5),
    ]


@pytest.mark.parametrize(("style", "param"), [(ApiStyle.NATIVE, "messages"), (ApiStyle.OPENAI, "prompt")])
def test_a_filtered_request_has_the_results_and_the_key_of_its_texts(style: ApiStyle, param: str) -> None:
    results: dict[str, Any] = {"hate": {"filtered": True, "severity": "high"}}
    message = "The response was filtered"
    assert body_of(ContentFiltered("messages", results), style) == {
        "status": 400,
        "code": "content_filter",
        "message": message,
        "param": param,
        "type": None,
        "error": {
            "code": "content_filter",
            "status": 400,
            "message": message,
            "param": param,
            "type": None,
            "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": results},
        },
    }

"""The one body of every refusal, natively and under the OpenAI paths."""

from __future__ import annotations

import json
from typing import Any

import pytest

from inference.api.error_body import body_of
from inference.errors import (
    ApiError,
    Busy,
    ContentFiltered,
    ExtraParametersNotAllowed,
    GenerationFailed,
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
            "message": "One of the parameters contain invalid values.",
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


def test_openai_bodies_name_type_and_param() -> None:
    offender = Offender(("body", "messages", 0, "content"), 5, "wrong")
    nested = body_of(ParameterNotSupported([offender]), openai=True)["error"]
    assert nested["type"] == "invalid_request_error"
    assert nested["param"] == "messages[0].content"
    assert nested["message"] == "wrong"


def test_the_names_of_extra_parameters_stand_in_the_first_brackets_of_the_body() -> None:
    refusal = ExtraParametersNotAllowed("Extra ['n']", offenders=[Offender(("body", "n"), 2, "extra")])
    text = json.dumps(body_of(refusal))
    assert text[text.index("[") :].startswith("['n']")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (InvalidInput([Offender(("body", "n"), 0, "too small")]), "invalid_request_error"),
        (Unauthorized("no"), "authentication_error"),
        (NotFound("no"), "not_found_error"),
        (Busy("full"), "rate_limit_error"),
        (GenerationFailed("NaN"), "invalid_request_error"),
        (ApiError("broken"), "server_error"),
    ],
)
def test_openai_types_follow_from_the_status(error: ApiError, kind: str) -> None:
    assert body_of(error, openai=True)["error"]["type"] == kind
    assert "type" not in body_of(error)["error"]


def test_a_refusal_without_offenders_has_code_status_and_message_alone() -> None:
    assert body_of(Busy("full")) == {
        "status": 429,
        "code": "RateLimitReached",
        "message": "full",
        "error": {"code": "RateLimitReached", "status": 429, "message": "full"},
    }
    assert body_of(Busy("full"), openai=True)["error"]["param"] is None


def test_every_offender_has_an_entry_and_the_first_is_the_detail() -> None:
    offenders = [Offender(("body", "n"), 0, "too small"), Offender(("body", "stop", 1), 5, "no text")]
    body = body_of(InvalidInput(offenders))
    assert body["detail"] == {"loc": ["body", "n"], "input": 0}
    assert body["error"]["target"] == "n"
    assert [(one["target"], one["message"], one["input"]) for one in body["error"]["details"]] == [
        ("n", "too small", 0),
        ("stop[1]", "no text", 5),
    ]


@pytest.mark.parametrize(("openai", "param"), [(False, "messages"), (True, "prompt")])
def test_a_filtered_request_has_the_results_and_the_key_of_its_texts(param: str, *, openai: bool) -> None:
    results: dict[str, Any] = {"hate": {"filtered": True, "severity": "high"}}
    message = "The response was filtered"
    assert body_of(ContentFiltered("messages", results), openai=openai) == {
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

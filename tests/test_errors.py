"""The bodies of refusals."""

import json

import pytest

from inference import errors
from inference.api.error_body import body_of
from inference.errors import (
    ApiError,
    Busy,
    ExtraParametersNotAllowed,
    Offender,
    ParameterNotSupported,
    Unauthorized,
)


def leaves(kind: type[ApiError]) -> list[type[ApiError]]:
    return [leaf for child in kind.__subclasses__() for leaf in (child, *leaves(child))]


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
    ("loc", "target"),
    [
        (("body",), "body"),
        (("body", "stop"), "stop"),
        (("body", "input", 3, "image"), "input[3].image"),
        (("query", "api-version"), "api-version"),
    ],
)
def test_targets_are_written_as_clients_write_paths(loc: errors.Location, target: str) -> None:
    assert Offender(loc, None, "").target == target


def test_every_kind_is_drawn_in_the_tree_with_its_status_and_code() -> None:
    drawn = errors.__doc__ or ""
    for kind in leaves(ApiError):
        line = next(line for line in drawn.splitlines() if f" {kind.__name__} " in line)
        assert f" {kind.status}" in line
        assert kind.code == ApiError.code or line.endswith(kind.code)


def test_repeatable_refusals_say_when_to_come_back() -> None:
    assert Busy("full", retry_after=3).headers == {"Retry-After": "3"}
    assert Unauthorized("no").headers == {"WWW-Authenticate": "Bearer"}

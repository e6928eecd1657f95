"""The tree of refusals."""

import pytest

from inference import errors
from inference.errors import (
    ApiError,
    Busy,
    InvalidInput,
    Offender,
    Unauthorized,
)
from inference.settings import PROJECT


def leaves(kind: type[ApiError]) -> list[type[ApiError]]:
    return [leaf for child in kind.__subclasses__() for leaf in (child, *leaves(child))]


def test_the_first_offences_are_in_the_message_and_the_others_are_counted() -> None:
    offenders = [Offender(("body", f"p{number}"), 1, "is wrong") for number in range(7)]
    assert InvalidInput(offenders).message == (
        "p0: is wrong; p1: is wrong; p2: is wrong; p3: is wrong; p4: is wrong; and 2 more"
    )


def test_a_sentence_that_starts_with_its_place_is_not_given_it_again() -> None:
    assert Offender(("body", "n"), 2, "n is not supported by x").sentence == "n is not supported by x"
    assert Offender(("body", "n"), 2, "nothing fits").sentence == "n: nothing fits"
    assert Offender(("body", "input"), [""], "input[0] is empty").sentence == "input: input[0] is empty"


@pytest.mark.parametrize(
    ("loc", "target"),
    [
        (("body", ""), "''"),
        (("body", "messages", 0, ""), "messages[0].''"),
        (("body",), "body"),
        (("body", "stop"), "stop"),
        (("body", "input", 3, "image"), "input[3].image"),
        (("query", "api-version"), "api-version"),
    ],
)
def test_targets_are_written_as_clients_write_paths(loc: errors.Location, target: str) -> None:
    assert Offender(loc, None, "").target == target


def test_every_kind_is_drawn_in_the_tree_with_its_status_and_code() -> None:
    drawn = (PROJECT / "docs" / "architecture.md").read_text().partition("## Refusals")[2]
    for kind in leaves(ApiError):
        line = next(line for line in drawn.splitlines() if f" {kind.__name__} " in line)
        assert f" {kind.status}" in line
        assert kind.code == ApiError.code or line.endswith(kind.code)


def test_repeatable_refusals_say_when_to_come_back() -> None:
    assert Busy("full", retry_after=3).headers == {"Retry-After": "3"}
    assert Unauthorized("no").headers == {"WWW-Authenticate": "Bearer"}

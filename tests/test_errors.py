"""The tree of refusals."""

import pytest

from inference import errors
from inference.errors import (
    ApiError,
    Busy,
    Offender,
    Unauthorized,
)


def leaves(kind: type[ApiError]) -> list[type[ApiError]]:
    return [leaf for child in kind.__subclasses__() for leaf in (child, *leaves(child))]


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

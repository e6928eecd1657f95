"""Token counts add up over the sequences of a request."""

from __future__ import annotations

import pytest

from inference.contracts import Usage


def test_usages_add_up_field_by_field() -> None:
    total = Usage(1, 2, 3, 4) + Usage(10, 20, 30, 40)
    assert total == Usage(11, 22, 33, 44)
    assert total.total_tokens == 33


@pytest.mark.parametrize(
    ("one", "other", "total"), [(None, None, None), (None, 0, 0), (2, None, 2), (0, 3, 3)]
)
def test_reasoning_tokens_stay_unknown_only_where_both_are(
    one: int | None, other: int | None, total: int | None
) -> None:
    both = Usage(reasoning_tokens=one) + Usage(reasoning_tokens=other)
    assert both.reasoning_tokens == total

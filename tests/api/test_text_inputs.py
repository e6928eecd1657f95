"""Values that are one text or many."""

from __future__ import annotations

from typing import Any

import pytest

from inference.api.text_inputs import as_list, one_by_one, read, strings_in, with_token_ids


@pytest.mark.parametrize(
    ("value", "items", "ids"),
    [
        ("ab", ["ab"], False),
        (["a", "b"], ["a", "b"], False),
        ([1, 2], [[1, 2]], True),
        ([[1], [2, 3]], [[1], [2, 3]], True),
        ([""], [""], False),
    ],
)
def test_texts_and_token_arrays_are_taken_one_by_one(value: Any, items: list[Any], *, ids: bool) -> None:
    assert one_by_one(value) == items
    assert with_token_ids(value) is ids


@pytest.mark.parametrize(
    ("value", "texts"), [(None, ()), ("a", ("a",)), ("", ("",)), (["a", "b"], ("a", "b")), ([], ())]
)
def test_stop_strings_become_a_list(value: Any, texts: tuple[str, ...]) -> None:
    assert as_list(value) == texts


def test_token_ids_are_decoded_and_texts_are_not() -> None:
    assert read("a", lambda ids: f"decoded {ids}") == "a"
    assert read([1, 2], lambda ids: f"decoded {ids}") == "decoded [1, 2]"


def test_the_texts_of_a_json_value_come_in_its_sequence_without_keys() -> None:
    value = {"a": "one", "b": [{"c": "two"}, ["three"], 4, None, True], "d": {"e": {"f": "four"}}}
    assert list(strings_in(value)) == ["one", "two", "three", "four"]
    assert list(strings_in("alone")) == ["alone"]
    assert list(strings_in(5)) == []

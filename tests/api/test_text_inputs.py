"""Values that are one text or many."""

from __future__ import annotations

from typing import Any

import pytest

from inference.api.text_inputs import (
    as_list,
    json_texts,
    name_texts,
    one_by_one,
    read,
    undeclared_texts,
    with_token_ids,
)
from inference.api.validation import WireModel


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


def test_the_texts_of_a_json_value_come_in_its_sequence_with_the_names_of_properties() -> None:
    value = {"a": "one", "b": [{"c": "two"}, ["three"], 4, None, True], "d": {"e_f": {"g": "four"}}}
    assert list(json_texts(value)) == ["a", "one", "b", "c", "two", "three", "d", "e_f", "e f", "g", "four"]
    assert list(json_texts("alone")) == ["alone"]
    assert list(json_texts(5)) == []


@pytest.mark.parametrize(
    ("name", "texts"),
    [("look", ["look"]), ("look_it-up", ["look_it-up", "look it up"]), ("two words", ["two words"])],
)
def test_the_words_that_a_name_joins_are_texts_too(name: str, texts: list[str]) -> None:
    assert list(name_texts(name)) == texts


class _Inner(WireModel):
    known: str = ""


class _Outer(WireModel):
    inner: list[_Inner]
    free: dict[str, str]


def test_texts_under_undeclared_keys_are_found_at_any_depth() -> None:
    inner = [{"known": "no", "more": "one"}, {"known": "no"}, {"deep": {"er": ["two"]}}]
    outer = _Outer.model_validate({"inner": inner, "free": {"no": "no"}, "last": "three"})
    assert list(undeclared_texts(outer)) == ["last", "three", "more", "one", "deep", "er", "two"]
    assert list(undeclared_texts("text")) == []

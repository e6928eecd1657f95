"""Ids of responses and items."""

import pytest

from inference.response_store.ids import is_response_id, item_id, new_response_id, response_of

KEY = "0123456789abcdef0123456789abcdef"

FOREIGN = [
    "",
    "resp_",
    f"resp_{KEY[:-1]}",
    f"resp_{KEY}0",
    f"resp_{KEY.upper()}",
    f"resp_{KEY}\n",
    f" resp_{KEY}",
    f"chat_{KEY}",
    f"resp_../{KEY[3:]}",
    f"resp_{KEY[:-1]}%",
    f"resp_{KEY[:-1]}٣",
    "resp_' OR 1=1 --",
]


def test_a_new_id_has_the_form_of_a_responses_id_and_differs_from_the_last() -> None:
    first, second = new_response_id(), new_response_id()
    assert is_response_id(first)
    assert is_response_id(second)
    assert first != second


@pytest.mark.parametrize("text", FOREIGN)
def test_an_id_of_another_form_is_no_responses_id(text: str) -> None:
    assert not is_response_id(text)


def test_an_items_id_has_the_prefix_the_key_and_four_digits() -> None:
    assert item_id("msg", f"resp_{KEY}", 2) == f"msg_{KEY}0002"
    assert item_id("fco", f"resp_{KEY}", 12345) == f"fco_{KEY}12345"
    assert len(item_id("fco", f"resp_{KEY}", 0)) <= 64


@pytest.mark.parametrize("prefix", ["msg", "fc", "fco", "rs"])
def test_an_items_id_leads_to_its_response(prefix: str) -> None:
    response = new_response_id()
    assert response_of(item_id(prefix, response, 7)) == response


@pytest.mark.parametrize("text", [*FOREIGN, f"msg_{KEY}", f"msg_{KEY}001", f"resp_{KEY}0001", f"x_{KEY}0001"])
def test_an_id_of_another_form_belongs_to_no_response(text: str) -> None:
    assert response_of(text) is None


@pytest.mark.parametrize(("prefix", "response"), [("resp", f"resp_{KEY}"), ("msg", "resp_../secret")])
def test_no_items_id_is_made_of_foreign_parts(prefix: str, response: str) -> None:
    with pytest.raises(ValueError, match="make no item's id"):
        item_id(prefix, response, 0)

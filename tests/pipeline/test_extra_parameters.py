"""The header `extra-parameters`."""

from pathlib import Path
from typing import Any

import pytest

from inference.api.chat import ChatRequest
from inference.api.validation import validate
from inference.cards.card import Card
from inference.contracts import Route
from inference.errors import (
    ExtraParametersNotAllowed,
    InvalidExtraParametersHeader,
    Location,
    ParameterNotSupported,
)
from inference.pipeline.extra_parameters import ExtraParametersPolicy, policy_of, sort, sort_nested
from tests.backends.remote.remotes import card_of
from tests.support.cards import CHAT, deployment

BODY: dict[str, Any] = {"messages": [], "seed": 1, "top_k": 5, "colour": "blue"}


@pytest.fixture
def card(tmp_path: Path) -> Card:
    return deployment(tmp_path, CHAT).card


@pytest.mark.parametrize(
    ("header", "policy"),
    [
        (None, ExtraParametersPolicy.ERROR),
        ("", ExtraParametersPolicy.ERROR),
        ("error", ExtraParametersPolicy.ERROR),
        ("DROP", ExtraParametersPolicy.DROP),
        ("ignore", ExtraParametersPolicy.DROP),
        (" pass-through ", ExtraParametersPolicy.PASS_THROUGH),
        ("Allow", ExtraParametersPolicy.PASS_THROUGH),
    ],
)
def test_the_words(header: str | None, policy: ExtraParametersPolicy) -> None:
    assert policy_of(header) is policy


def test_another_word_is_refused_with_the_five() -> None:
    with pytest.raises(InvalidExtraParametersHeader) as refusal:
        policy_of("yes")
    assert refusal.value.message == (
        "Unexpected EXTRA_PARAMETERS option yes, expected options are "
        "['error', 'drop', 'pass-through', 'allow', 'ignore']"
    )


def test_error_names_them_all_in_the_order_of_the_body(card: Card) -> None:
    with pytest.raises(ExtraParametersNotAllowed) as refusal:
        sort(BODY, ExtraParametersPolicy.ERROR, card, Route.CHAT)
    assert refusal.value.message == (
        "Extra parameters ['top_k', 'colour'] are not allowed when extra-parameters is not set or set to be "
        "'error'. Set extra-parameters to 'pass-through' to pass to the model."
    )
    assert [offender.loc for offender in refusal.value.offenders] == [("body", "top_k"), ("body", "colour")]


def test_drop_leaves_them_out_and_says_so(card: Card) -> None:
    kept = sort(BODY, ExtraParametersPolicy.DROP, card, Route.CHAT)
    assert kept.body == {"messages": [], "seed": 1}
    assert kept.dropped == ("top_k", "colour")


def test_pass_through_takes_what_the_card_declares(card: Card) -> None:
    declared = {name: value for name, value in BODY.items() if name != "colour"}
    assert sort(declared, ExtraParametersPolicy.PASS_THROUGH, card, Route.CHAT).body == declared
    with pytest.raises(ParameterNotSupported) as refusal:
        sort(BODY, ExtraParametersPolicy.PASS_THROUGH, card, Route.CHAT)
    assert [(o.loc, o.input) for o in refusal.value.offenders] == [(("body", "colour"), "blue")]


def test_the_openai_paths_know_the_extra_rows_and_refuse_the_rest(card: Card) -> None:
    known = {"messages": [], "top_k": 5, "n": 2}
    assert sort(known, ExtraParametersPolicy.NATIVE, card, Route.CHAT).body == known
    with pytest.raises(ExtraParametersNotAllowed, match="Unrecognized request arguments supplied: colour"):
        sort(BODY, ExtraParametersPolicy.NATIVE, card, Route.CHAT)


def test_a_key_without_a_name_is_shown_as_the_place_shows_it(card: Card) -> None:
    with pytest.raises(ExtraParametersNotAllowed) as refusal:
        sort({"messages": [], "": 1}, ExtraParametersPolicy.NATIVE, card, Route.CHAT)
    assert refusal.value.message == "Unrecognized request arguments supplied: ''"


def test_a_row_of_another_route_is_an_extra(card: Card) -> None:
    with pytest.raises(ExtraParametersNotAllowed):
        sort({"messages": [], "dimensions": 8}, ExtraParametersPolicy.ERROR, card, Route.CHAT)


@pytest.mark.parametrize("policy", list(ExtraParametersPolicy))
def test_a_value_that_asks_for_nothing_passes_under_every_policy(
    card: Card, policy: ExtraParametersPolicy
) -> None:
    body = {"messages": [], "n": 1, "store": False, "top_k": -1, "logit_bias": {}, "user": ""}
    kept = sort(body, policy, card, Route.CHAT)
    assert (kept.body, kept.dropped) == (body, ())


NESTED: dict[str, Any] = {
    "messages": [{"role": "user", "content": "hi", "mood": "good"}],
    "stream_options": {"speed": 2},
}
PLACES = (("body", "messages", 0, "mood"), ("body", "stream_options", "speed"))


def nested(card: Card, policy: ExtraParametersPolicy) -> tuple[Location, ...]:
    return sort_nested(validate(ChatRequest, NESTED), NESTED, policy, card)


def test_keys_below_the_root_are_refused_dropped_or_not_supported(card: Card) -> None:
    for policy, message in (
        (
            ExtraParametersPolicy.ERROR,
            "Extra parameters ['messages[0].mood', 'stream_options.speed'] are not ",
        ),
        (
            ExtraParametersPolicy.NATIVE,
            "Unrecognized request arguments supplied: messages[0].mood, stream_options.speed",
        ),
    ):
        with pytest.raises(ExtraParametersNotAllowed) as refusal:
            nested(card, policy)
        assert refusal.value.message.startswith(message)
        assert [(o.loc, o.input) for o in refusal.value.offenders] == list(
            zip(PLACES, ("good", 2), strict=True)
        )
    with pytest.raises(ParameterNotSupported) as unsupported:
        nested(card, ExtraParametersPolicy.PASS_THROUGH)
    assert unsupported.value.offenders[0].message == "messages[0].mood is not supported by tiny-chat"
    assert nested(card, ExtraParametersPolicy.DROP) == PLACES


def test_keys_below_the_root_are_passed_on_by_a_card_that_takes_any() -> None:
    card = card_of(extras="any")
    assert nested(card, ExtraParametersPolicy.PASS_THROUGH) == ()
    assert nested(card, ExtraParametersPolicy.NATIVE) == ()
    assert nested(card, ExtraParametersPolicy.DROP) == PLACES
    with pytest.raises(ExtraParametersNotAllowed):
        nested(card, ExtraParametersPolicy.ERROR)

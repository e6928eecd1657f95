"""Keys."""

import pytest

from inference.auth import Authority
from inference.errors import Unauthorized
from inference.settings import Settings

KEYS = Settings(api_keys=("first", "second"))


def admitted(settings: Settings, headers: dict[str, str], *, loopback: bool = False) -> bool:
    try:
        Authority.from_settings(settings, loopback=loopback).admit(headers)
    except Unauthorized:
        return False
    return True


@pytest.mark.parametrize(
    ("headers", "fine"),
    [
        ({"api-key": "first"}, True),
        ({"api-key": "second"}, True),
        ({"authorization": "Bearer first"}, True),
        ({"authorization": "bearer first"}, True),
        ({"api-key": "wrong", "authorization": "Bearer second"}, True),
        ({"api-key": "first", "authorization": "Bearer wrong"}, True),
        ({}, False),
        ({"api-key": "First"}, False),
        ({"api-key": ""}, False),
        ({"authorization": "first"}, False),
        ({"authorization": "Basic first"}, False),
        ({"authorization": "Bearer "}, False),
        ({"api-key": "schlüssel"}, False),
    ],
)
@pytest.mark.parametrize("loopback", [True, False])
def test_one_right_key_in_either_header_will_do(headers: dict[str, str], fine: bool, loopback: bool) -> None:
    assert admitted(KEYS, headers, loopback=loopback) is fine


@pytest.mark.parametrize(
    ("anonymous", "loopback", "fine"), [(False, True, True), (True, False, True), (False, False, False)]
)
def test_without_keys_this_machine_or_everyone_by_choice(anonymous: bool, loopback: bool, fine: bool) -> None:
    assert admitted(Settings(anonymous=anonymous), {}, loopback=loopback) is fine


def test_the_refusal_says_what_clients_look_for() -> None:
    with pytest.raises(Unauthorized, match="Auth token validation failed") as refusal:
        Authority.from_settings(KEYS, loopback=False).admit({"api-key": "wrong"})
    assert refusal.value.headers == {"WWW-Authenticate": "Bearer"}


def test_the_refusal_of_an_endpoint_without_keys_says_what_to_set() -> None:
    with pytest.raises(Unauthorized, match="INFERENCE_API_KEYS"):
        Authority.from_settings(Settings(), loopback=False).admit({"api-key": "any"})


def test_keys_are_not_printed() -> None:
    assert "first" not in repr(Authority.from_settings(KEYS, loopback=False))

"""Bodies that are no JSON object, and their type."""

from __future__ import annotations

import pytest

from tests.http.refusals import offender, refusal
from tests.http.servers import Server

PATH = "/deployments/tiny-chat/chat/completions"
TALK = b'{"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1'


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"hello",
        b"[]",
        b'"text"',
        b"null",
        b"true",
        b"12",
        TALK,
        TALK + b"} and more",
        TALK + b",}",
        TALK + b', "temperature": NaN}',
        TALK + b', "temperature": Infinity}',
        TALK + b', "temperature": -Infinity}',
        b'{"messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"messages": [{"role": "user", "content": "\xed\xa0\x80"}]}',
        b'{"messages": [{"role": "user", "content": "\xff"}]}',
        b"\xff\xfe{\x00}\x00",
        b"{'messages': []}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        TALK + b', "deep": ' + b"[" * 1000 + b"]" * 1000 + b"}",
        TALK + b', "seed": ' + b"9" * 10_000 + b"}",
    ],
    ids=lambda content: content[:50].decode(errors="replace") or "nothing",
)
def test_no_json_object(endpoint: Server, content: bytes) -> None:
    body = refusal(endpoint.post(PATH, content=content), 400, "invalid_json")

    assert body["message"].startswith(
        ("The body is not valid JSON: ", "The body must be a JSON object, not ")
    )
    assert len(body["message"]) < 200


def test_of_two_equal_keys_the_last_one_counts(endpoint: Server) -> None:
    answer = endpoint.post(PATH, content=TALK + b', "max_tokens": 3, "temperature": 9, "temperature": 0}')

    assert answer.json()["usage"]["completion_tokens"] == 3


@pytest.mark.parametrize("number", ["9223372036854775808", "-9223372036854775809", "1" + "0" * 100])
def test_integers_beyond_64_bits(endpoint: Server, number: str) -> None:
    answer = endpoint.post(PATH, content=TALK + f', "seed": {number}}}'.encode())

    loc, shown = offender(answer, 422, "Invalid input")
    assert loc == ["body", "seed"]
    assert str(shown) == number


def test_numbers_that_overflow(endpoint: Server) -> None:
    answer = endpoint.post(PATH, content=TALK + b', "temperature": 1e999}')

    assert offender(answer, 422, "Invalid input")[0] == ["body", "temperature"]


@pytest.mark.parametrize(
    "media", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "json"]
)
def test_other_types_than_json(endpoint: Server, media: str) -> None:
    answer = endpoint.post(PATH, content=TALK + b"}", headers={"Content-Type": media})

    assert media.split(";")[0] in refusal(answer, 415, "unsupported_media_type")["message"]


@pytest.mark.parametrize(
    "media", ["application/json; charset=utf-8", "Application/JSON", "application/vnd.openai+json", ""]
)
def test_types_of_json(endpoint: Server, media: str) -> None:
    answer = endpoint.post(PATH, content=TALK + b"}", headers={"Content-Type": media})

    assert answer.status_code == 200


def test_no_type_at_all(endpoint: Server) -> None:
    assert endpoint.http.post(PATH, content=TALK + b"}").status_code == 200


def test_the_text_of_any_character_comes_through(endpoint: Server) -> None:
    messages = [{"role": "user", "content": 'é 漢 🙂 \u0000 \u2028 \uffff "\\'}]
    tokens = endpoint.chat("greeter", messages=messages, max_tokens=0).json()["usage"]["prompt_tokens"]
    nothing = endpoint.chat("greeter", messages=[{"role": "user", "content": ""}], max_tokens=0)

    text = str(messages[0]["content"]).encode()
    assert tokens - nothing.json()["usage"]["prompt_tokens"] == len(text)

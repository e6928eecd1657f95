"""The parser of streamed answers and of errors."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from inference.cli.chat_client import AnswerPiece, Refusal, error_message, parse_stream


async def lines(*texts: str) -> AsyncGenerator[str, None]:
    for text in texts:
        yield text


async def test_events_become_pieces_and_other_lines_are_ignored() -> None:
    stream = lines(
        ": comment",
        'data: {"choices": [{"delta": {"content": "a"}}]}',
        "",
        'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}',
        'data: {"choices": [], "usage": {"completion_tokens": 1}}',
        "data: [DONE]",
    )
    assert [piece async for piece in parse_stream(stream)] == [
        AnswerPiece("a"),
        AnswerPiece("", "stop"),
        AnswerPiece("", None, {"completion_tokens": 1}),
    ]


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        (["data: {}"], "closed before the answer was complete"),
        (['data: {"error": {"message": "model failed"}}', "data: [DONE]"], "model failed"),
        (["data: []"], "not a JSON object"),
        (["data: {"], "not a JSON object"),
    ],
)
async def test_a_broken_stream_is_a_refusal(texts: list[str], reason: str) -> None:
    with pytest.raises(Refusal, match=reason):
        async for _ in parse_stream(lines(*texts)):
            pass


def test_the_message_of_an_error_is_that_of_the_api_or_the_start_of_the_body() -> None:
    assert error_message(b'{"error": {"message": "no"}}', 400) == "no"
    assert error_message(b"<html>", 502) == "502: <html>"

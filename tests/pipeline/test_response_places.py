"""Refusals of a chat in the words of a response."""

from __future__ import annotations

from typing import Any

import pytest

from inference.errors import InvalidInput, Location, Offender, ParameterNotSupported
from inference.pipeline.response_places import place_of, relocate, renamed

PLACES: dict[Location, Location] = {
    ("messages", 1): ("input", 0),
    ("messages", 1, "content", 2): ("input", 0, "content", 2),
    ("messages", 1, "tool_calls", 0): ("input", 1),
}


@pytest.mark.parametrize(
    ("chat", "here"),
    [
        (("messages",), ("input",)),
        (("messages", 1), ("input", 0)),
        (("messages", 1, "content", 2, "image_url", "url"), ("input", 0, "content", 2, "image_url")),
        (("messages", 1, "content", 2, "text"), ("input", 0, "content", 2)),
        (("messages", 1, "tool_calls", 0, "function", "name"), ("input", 1)),
        (("tools", 3, "function", "parameters", "type"), ("tools", 3, "parameters", "type")),
        (("tools",), ("tools",)),
        (("tool_choice", "function", "name"), ("tool_choice", "name")),
        (("response_format", "json_schema", "schema", "a"), ("text", "format", "schema", "a")),
        (("response_format",), ("text", "format")),
        (("reasoning_effort",), ("reasoning", "effort")),
        (("max_tokens",), ("max_output_tokens",)),
        (("temperature",), ("temperature",)),
    ],
)
def test_a_location_of_a_chat_has_its_place(chat: Location, here: Location) -> None:
    assert place_of(("body", *chat), PLACES) == ("body", *here)


@pytest.mark.parametrize(
    ("chat", "here"),
    [
        ("tools[1].function.parameters.x", "tools[1].parameters.x"),
        ("response_format.json_schema.schema.x", "text.format.schema.x"),
        ("reasoning_effort", "reasoning.effort"),
        ("max_tokens", "max_output_tokens"),
        ("max_tokens_of_mine", "max_tokens_of_mine"),
    ],
)
def test_a_written_path_has_its_place(chat: str, here: str) -> None:
    assert renamed(chat) == here


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("max_tokens 5 is above 3", "max_output_tokens 5 is above 3"),
        ("image_url parts are not supported", "input_image parts are not supported"),
        ("the word `messages` stays", "the word `messages` stays"),
    ],
)
def test_the_words_of_a_message_are_those_of_the_route(message: str, expected: str) -> None:
    error = InvalidInput([Offender(("body", "stop"), 1, message)])
    relocate(error, PLACES)
    assert error.message == f"stop: {expected}"


def test_a_message_of_its_own_keeps_its_form() -> None:
    offender: Any = Offender(("body", "messages"), 9, "the prompt has 9 tokens")
    error = ParameterNotSupported([offender], "Your messages resulted in 9 tokens.")
    relocate(error, PLACES)
    assert (error.message, error.param) == ("Your input resulted in 9 tokens.", "input")

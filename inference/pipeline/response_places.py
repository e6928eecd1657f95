"""Refusals of the chat that a response is lowered to, in the words and at the places of `/responses`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from inference.errors import ApiError, Location, Offender, Unprocessable, sentences

PATHS: tuple[tuple[Location, Location], ...] = (
    (("tool_choice", "function", "name"), ("tool_choice", "name")),
    (("tool_choice", "allowed_tools"), ("tool_choice",)),
    (("response_format", "json_schema"), ("text", "format")),
    (("response_format",), ("text", "format")),
    (("reasoning_effort",), ("reasoning", "effort")),
    (("verbosity",), ("text", "verbosity")),
    (("max_tokens",), ("max_output_tokens",)),
    (("max_completion_tokens",), ("max_output_tokens",)),
    (("logprobs",), ("top_logprobs",)),
    (("messages",), ("input",)),
)
"""Keys of a chat's body and those of a response's, the longer before those they begin with."""
WORDS = {
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "response_format": "text.format",
    "reasoning_effort": "reasoning.effort",
    "messages": "input",
    "logprobs": "top_logprobs",
    "image_url parts": "input_image parts",
    "file parts": "input_file parts",
    "chat/completions": "responses",
}
WORD = re.compile(
    r"(?<![\w.`'])(" + "|".join(sorted(map(re.escape, WORDS), key=len, reverse=True)) + r")(?![\w])"
)


def place_of(loc: Location, places: Mapping[Location, Location]) -> Location:
    """Return the place in a response's body of a location in the chat's, by the longest known beginning."""
    root, *steps = loc
    path = tuple(steps)
    if len(path) > 2 and path[0] == "tools" and path[2] == "function":
        return (root, *path[:2], *path[3:])
    for length in range(len(path), 0, -1):
        if (place := places.get(path[:length])) is not None:
            rest = (
                path[length:]
                if path[0] != "messages"
                else [step for step in path[length:] if step == "image_url"]
            )
            return (root, *place, *rest)
    for chat, here in PATHS:
        if path[: len(chat)] == chat:
            return (root, *here, *path[len(chat) :])
    return loc


def renamed(path: str) -> str:
    """Return a chat's parameter, written as clients do, as that of a response."""
    path = re.sub(r"^tools\[(\d+)\]\.function", r"tools[\1]", path)
    for chat, here in PATHS:
        dotted = ".".join(map(str, chat))
        if path == dotted or path.startswith((f"{dotted}.", f"{dotted}[")):
            return ".".join(map(str, here)) + path[len(dotted) :]
    return path


@contextmanager
def relocated(places: Mapping[Location, Location]) -> Iterator[None]:
    """Raise the refusals of a chat as those of the response that it stands for."""
    try:
        yield
    except ApiError as error:
        relocate(error, places)
        raise


def relocate(error: ApiError, places: Mapping[Location, Location]) -> None:
    """Change the places and the words of a refusal."""
    composed = isinstance(error, Unprocessable) and error.message == sentences(error.offenders)
    error.offenders = tuple(_relocated(offender, places) for offender in error.offenders)
    error.message = sentences(error.offenders) if composed else _in_words(error.message)


def _relocated(offender: Offender, places: Mapping[Location, Location]) -> Offender:
    if offender.loc[:1] != ("body",):
        return offender
    return replace(offender, loc=place_of(offender.loc, places), message=_in_words(offender.message))


def _in_words(message: str) -> str:
    return WORD.sub(lambda found: WORDS[found[0]], message)

"""The limits of one request, checked before any stage looks at each item of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inference.api.generation import GenerationBody
from inference.errors import Offender, RequestTooLarge
from inference.settings import Settings

TEXTS = ("messages", "prompt", "input")
"""The keys of texts to be tokenised."""
MEDIA = ("image", "image_url", "input_audio", "audio_url")
"""The keys of media, which the size of the body and their pixels bound, not the limit on text."""


def within_limits(body: Mapping[str, Any], settings: Settings) -> int:
    """Return the characters of text in a body.

    Raises `RequestTooLarge` for lists that are too long and for more text than is tokenised at once.
    """
    _limit_lists(body, settings)
    total = 0
    for name in TEXTS:
        count = _characters(body.get(name))
        if count > settings.max_text_characters:
            raise _too_large(name, f"{count} characters of text", settings.max_text_characters, count)
        total += count
    return total


def _limit_lists(body: Mapping[str, Any], settings: Settings) -> None:
    limits = {
        "messages": settings.max_messages,
        "tools": settings.max_tools,
        "input": settings.max_inputs,
        "prompt": settings.max_choices,
    }
    for name, most in limits.items():
        value = body.get(name)
        if isinstance(value, list) and len(value) > most and not _is_token_array(name, value):
            raise _too_large(name, f"{len(value)} items", most, len(value))


def _is_token_array(name: str, value: list[Any]) -> bool:
    """Return True for a token array, which may be as long as a prompt: the context bounds it."""
    return name in ("input", "prompt") and isinstance(value[0], int)


def _characters(value: Any) -> int:
    """Return the characters of text in a value; a token id counts for one."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list):
        return sum(1 if isinstance(item, int) else _characters(item) for item in value)
    if isinstance(value, dict):
        return sum(_characters(item) for key, item in value.items() if key not in MEDIA)
    return 0


def _too_large(name: str, found: str, most: int, count: int) -> RequestTooLarge:
    message = f"{name} has {found}, this endpoint takes {most}"
    return RequestTooLarge(message, offenders=[Offender(("body", name), count, message)])


def check_choices(choices: int, request: GenerationBody, settings: Settings) -> None:
    """Raise `RequestTooLarge` for more choices than this endpoint generates for one request."""
    if choices > settings.max_choices:
        message = f"{choices} choices are asked for, this endpoint gives at most {settings.max_choices}"
        offender = Offender(("body", request.choices_key), choices, message)
        raise RequestTooLarge(message, offenders=[offender])

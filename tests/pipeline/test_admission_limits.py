"""How much one request may ask for."""

from typing import Any

import pytest

from inference.errors import RequestTooLarge
from inference.pipeline.admission import within_limits
from inference.settings import Settings

SETTINGS = Settings(max_messages=2, max_tools=1, max_inputs=3, max_choices=2, max_text_characters=10)
USER = {"role": "user", "content": "hi"}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"messages": [USER] * 1, "tools": [{}]},
        {"input": ["a"] * 3},
        {"prompt": list(range(9))},
        {"input": [list(range(9))]},
        {"input": "a" * 10},
        {"input": [{"image": "a" * 100}]},
        {"messages": "not a list", "input": None, "prompt": 5},
    ],
)
def test_what_is_within(body: dict[str, Any]) -> None:
    within_limits(body, SETTINGS)


@pytest.mark.parametrize(
    ("body", "name", "count"),
    [
        ({"messages": [USER] * 3}, "messages", 3),
        ({"messages": [1] * 3}, "messages", 3),
        ({"tools": [{}] * 2}, "tools", 2),
        ({"input": ["a"] * 4}, "input", 4),
        ({"prompt": ["a"] * 3}, "prompt", 3),
        ({"input": "a" * 11}, "input", 11),
        ({"prompt": ["a" * 6, "b" * 5]}, "prompt", 11),
        ({"prompt": list(range(11))}, "prompt", 11),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}]}, "messages", 9),
    ],
)
def test_what_is_too_much(body: dict[str, Any], name: str, count: int) -> None:
    settings = Settings(
        max_messages=2, max_tools=1, max_inputs=3, max_choices=2, max_text_characters=8 if count == 9 else 10
    )
    with pytest.raises(RequestTooLarge) as refusal:
        within_limits(body, settings)
    assert refusal.value.offenders[0].loc == ("body", name)
    assert refusal.value.offenders[0].input == count

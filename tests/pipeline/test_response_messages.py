"""Items become messages, and their places lead back."""

from __future__ import annotations

from typing import Any

import pytest

from inference.pipeline.response_items import ItemIds, complete_items
from inference.pipeline.response_messages import Messages

RESPONSE = "resp_" + "a" * 32


def messages(*items: dict[str, Any]) -> Messages:
    made = Messages({"sealed": "Hm."}.get)  # type: ignore[arg-type]
    for index, item in enumerate(complete_items(items, ItemIds(RESPONSE))):
        made.add(item, ("input", index))
    return made


def call(call_id: str = "c", name: str = "f") -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": "{}"}


def output(call_id: str = "c", text: Any = "o") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": text}


def thought(text: str = "Hm.") -> dict[str, Any]:
    return {"type": "reasoning", "content": [{"type": "reasoning_text", "text": text}]}


def chat_call(call_id: str = "c", name: str = "f") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": "{}"}}


USER = {"role": "user", "content": "Hi"}
ANSWER = {"role": "assistant", "content": "Yes."}


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ((USER, ANSWER), [USER, ANSWER]),
        (
            (USER, ANSWER, call("a"), call("b", "g")),
            [USER, {**ANSWER, "tool_calls": [chat_call("a"), chat_call("b", "g")]}],
        ),
        (
            (USER, call()),
            [USER, {"role": "assistant", "content": None, "tool_calls": [chat_call()]}],
        ),
        (
            (thought(), ANSWER, USER),
            [{"role": "assistant", "reasoning_content": "Hm.", "content": "Yes."}, USER],
        ),
        (
            (thought("One."), thought("Two."), call()),
            [
                {
                    "role": "assistant",
                    "reasoning_content": "One.\nTwo.",
                    "content": None,
                    "tool_calls": [chat_call()],
                }
            ],
        ),
        ((thought(), USER), [USER]),
        ((ANSWER, ANSWER), [ANSWER, ANSWER]),
        (({"type": "reasoning", "summary": [], "encrypted_content": "foreign"}, ANSWER), [ANSWER]),
        (
            (call(), output(text=[{"type": "input_text", "text": "o"}]), call("d")),
            [
                {"role": "assistant", "content": None, "tool_calls": [chat_call()]},
                {"role": "tool", "tool_call_id": "c", "content": "o"},
                {"role": "assistant", "content": None, "tool_calls": [chat_call("d")]},
            ],
        ),
        (
            ({"role": "developer", "content": [{"type": "input_text", "text": t} for t in "ab"]},),
            [{"role": "developer", "content": [{"type": "text", "text": t} for t in "ab"]}],
        ),
        (
            ({"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},),
            [{"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}],
        ),
        (
            ({"role": "user", "content": [{"type": "input_image", "image_url": "data:,a"}]},),
            [
                {
                    "role": "user",
                    "content": [{"type": "image_url", "image_url": {"url": "data:,a", "detail": "auto"}}],
                }
            ],
        ),
    ],
)
def test_items_make_the_messages_of_a_chat(
    items: tuple[dict[str, Any], ...], expected: list[dict[str, Any]]
) -> None:
    made = messages(*items)
    assert made.list == expected
    assert made.orphans == []


def test_sealed_reasoning_is_opened() -> None:
    made = messages({"type": "reasoning", "summary": [], "encrypted_content": "sealed"}, ANSWER)
    assert made.list[0]["reasoning_content"] == "Hm."


def test_the_output_of_no_call_is_found() -> None:
    (orphan,) = messages(call("a"), output("b")).orphans
    assert (orphan.target, orphan.input) == ("input[1].call_id", "b")


def test_places_lead_to_the_items() -> None:
    parts = [{"type": "input_text", "text": "a"}, {"type": "input_image", "image_url": "data:,a"}]
    places = messages(ANSWER, call("a"), call("b"), {"role": "user", "content": parts}).places
    assert places["messages", 0] == ("input", 0)
    assert places["messages", 0, "tool_calls", 1] == ("input", 2)
    assert places["messages", 1, "content", 1] == ("input", 3, "content", 1)


def test_items_are_completed_with_types_ids_and_status() -> None:
    items = complete_items([USER, {**ANSWER, "id": "msg_mine"}, {"id": "msg_x"}], ItemIds(RESPONSE))
    assert items == [
        {
            "type": "message",
            "id": f"msg_{'a' * 32}0001",
            "status": "completed",
            "role": "user",
            "content": [{"type": "input_text", "text": "Hi"}],
        },
        {
            "type": "message",
            "id": "msg_mine",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Yes.", "annotations": [], "logprobs": []}],
        },
        {"type": "item_reference", "id": "msg_x"},
    ]

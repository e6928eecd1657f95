"""The chat template: what it renders, and that training learns exactly what serving asks for."""

from __future__ import annotations

import pytest

from training.chat.corpus import WORKED, dialogues
from training.chat.dialogue import Message, Split, assistant, system, user
from training.chat.template import END_OF_TURN, answer_text, learnt_text, render

CALL = {"type": "function", "function": {"name": "get_weather", "arguments": {"city": "Oslo", "days": 2}}}
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}
CALL_TEXT = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo", "days": 2}}\n</tool_call>'


def test_a_conversation_is_chatml() -> None:
    text = render([system("Be brief."), user("Hi"), assistant("Hello!"), user("Bye")], [], prompt=True)
    assert text == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
        "<|im_start|>assistant\nHello!<|im_end|>\n<|im_start|>user\nBye<|im_end|>\n<|im_start|>assistant\n"
    )


def test_no_system_turn_without_system_message_or_tools() -> None:
    assert render([user("Hi")], [], prompt=False) == "<|im_start|>user\nHi<|im_end|>\n"


def test_tools_are_offered_after_the_system_text() -> None:
    text = render([system("Be brief."), user("Hi")], [TOOL], prompt=False)
    assert text.startswith("<|im_start|>system\nBe brief.\n\nYou may call these tools:\n<tools>\n")
    assert (
        '{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}' in text
    )
    assert text.count("<|im_start|>system") == 1


@pytest.mark.parametrize("arguments", [{"city": "Oslo", "days": 2}, '{"city": "Oslo", "days": 2}'])
def test_a_past_call_reads_the_same_from_object_and_from_text(arguments: object) -> None:
    call = {"type": "function", "function": {"name": "get_weather", "arguments": arguments}}
    for content in ("", None):
        message: Message = {"role": "assistant", "content": content, "tool_calls": [call]}
        assert answer_text(message) == CALL_TEXT


def test_text_and_several_calls_are_parted_by_lines() -> None:
    message: Message = {"role": "assistant", "content": "Looking.", "tool_calls": [CALL, CALL]}
    assert answer_text(message) == f"Looking.\n{CALL_TEXT}\n{CALL_TEXT}"


def test_results_of_one_message_share_a_turn() -> None:
    results: list[Message] = [
        {"role": "tool", "tool_call_id": name, "content": name} for name in ("one", "two")
    ]
    text = render([user("Hi"), *results], [], prompt=False)
    assert text.endswith(
        "<|im_start|>user\n<tool_response>\none\n</tool_response>\n<tool_response>\ntwo\n</tool_response><|im_end|>\n"
    )


def test_learnt_spans_are_what_serving_asks_the_model_to_say() -> None:
    for dialogue in dialogues(5, Split.TRAIN, 200, WORKED):
        text, spans = learnt_text(dialogue)
        assert text == render(dialogue.messages, dialogue.tools, prompt=False)
        learnt = [text[start:end] for start, end in spans]
        answers = [answer_text(m) + END_OF_TURN for m in dialogue.messages if m["role"] == "assistant"]
        assert learnt == answers
        last = dialogue.messages[:-1]
        assert text[: spans[-1][0]] == render(last, dialogue.tools, prompt=True)

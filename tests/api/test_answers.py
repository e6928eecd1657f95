"""Bodies and chunks, as the clients were measured to read them."""

import re
from typing import Any

import pytest

from inference.api.answers import AnswerHead, ChatRenderer, CompletionRenderer, new_id, usage_body, usage_of
from inference.contracts import (
    ApiStyle,
    CompletedChoice,
    CompletedToolCall,
    Finish,
    FinishReason,
    Reasoning,
    Text,
    Token,
    ToolCallArguments,
    ToolCallStart,
    Usage,
)

HEAD = AnswerHead("1", "tiny", 5)
USAGE = Usage(3, 2)
STOP = Finish(FinishReason.STOP, USAGE)


def delta(chunk: dict[str, Any] | None) -> Any:
    assert chunk is not None
    assert {"id", "object", "created", "model", "choices"} <= set(chunk)
    return chunk["choices"][0]["delta"]


def test_ids_follow_the_dialect() -> None:
    assert re.fullmatch("[0-9a-f]{32}", new_id(ApiStyle.NATIVE, "chatcmpl-"))
    assert re.fullmatch("chatcmpl-[0-9a-zA-Z]{29}", new_id(ApiStyle.OPENAI, "chatcmpl-"))


def test_a_whole_chat_answer() -> None:
    reply = CompletedChoice("hi", None, (), FinishReason.LENGTH, USAGE)
    body = ChatRenderer().whole(HEAD, [reply], USAGE)
    assert body["object"] == "chat.completion"
    assert body["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "hi"},
            "finish_reason": "length",
            "logprobs": None,
        }
    ]
    assert body["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def test_an_answer_of_calls_alone_has_no_content() -> None:
    calls = (CompletedToolCall("call_1", "look", '{"a": 1}'),)
    message = ChatRenderer().whole(
        HEAD, [CompletedChoice(None, None, calls, FinishReason.TOOL_CALLS, USAGE)], USAGE
    )
    assert message["choices"][0]["message"] == {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"a": 1}'}}
        ],
    }


def test_thoughts_stand_beside_the_content() -> None:
    body = ChatRenderer().whole(HEAD, [CompletedChoice("hi", "hm", (), FinishReason.STOP, USAGE)], USAGE)
    message = {"role": "assistant", "content": "hi", "reasoning_content": "hm"}
    assert body["choices"][0]["message"] == message
    assert delta(ChatRenderer().chunk(HEAD, 0, Reasoning("h"))) == {"content": "", "reasoning_content": "h"}


def test_the_first_delta_alone_has_the_role() -> None:
    answers = ChatRenderer()
    assert delta(answers.first(HEAD, 0)) == {"role": "assistant", "content": ""}
    for event in (Text("a"), Reasoning("b"), ToolCallStart(0, "c", "f"), ToolCallArguments(0, "{"), STOP):
        shown = delta(answers.chunk(HEAD, 0, event))
        assert "role" not in shown
        assert shown["content"] is not None


def test_a_call_in_chunks_has_its_index_each_time() -> None:
    answers = ChatRenderer()
    start = delta(answers.chunk(HEAD, 0, ToolCallStart(1, "call_1", "look")))["tool_calls"]
    assert start == [
        {"index": 1, "id": "call_1", "type": "function", "function": {"name": "look", "arguments": ""}}
    ]
    piece = delta(answers.chunk(HEAD, 0, ToolCallArguments(1, '{"a"')))["tool_calls"]
    assert piece == [{"index": 1, "function": {"arguments": '{"a"'}}]


def test_tokens_are_not_shown() -> None:
    assert ChatRenderer().chunk(HEAD, 0, Token(1)) is None
    assert CompletionRenderer().chunk(HEAD, 0, Token(1)) is None


def test_text_chunks_have_the_shape_of_whole_answers() -> None:
    answers = CompletionRenderer()
    assert answers.first(HEAD, 0) is None
    chunk = answers.chunk(HEAD, 1, Text("a"))
    assert chunk is not None
    assert chunk["object"] == "text_completion"
    assert chunk["choices"] == [{"index": 1, "text": "a", "finish_reason": None, "logprobs": None}]
    whole = answers.whole(HEAD, [CompletedChoice("a", None, (), FinishReason.STOP, USAGE)], USAGE)
    assert set(whole["choices"][0]) == set(chunk["choices"][0])


@pytest.mark.parametrize("answers", [ChatRenderer(), CompletionRenderer()])
def test_silence_and_usage_are_chunks_too(answers: ChatRenderer | CompletionRenderer) -> None:
    assert len(answers.beat(HEAD)["choices"]) == 1
    usage = answers.usage(HEAD, USAGE)
    assert usage["choices"] == []
    assert usage["usage"]["total_tokens"] == 5


def test_a_prompt_with_several_answers_counts_once() -> None:
    usages = [Usage(3, 1), Usage(3, 2), Usage(7, 4), Usage(7, 8)]
    assert usage_of(usages, 2) == Usage(10, 15)
    thought = [Usage(3, 1, reasoning_tokens=1), Usage(3, 2), Usage(3, 4, reasoning_tokens=3)]
    assert usage_of(thought, 3) == Usage(3, 7, reasoning_tokens=4)
    assert usage_body(Usage(3, 1, reasoning_tokens=0))["completion_tokens_details"] == {"reasoning_tokens": 0}
    assert "completion_tokens_details" not in usage_body(USAGE)
    assert usage_body(Usage(3, 1, 2))["prompt_tokens_details"] == {"cached_tokens": 2}

"""The events of a response, and the response that they add up to."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any

import pytest

from inference.api.response_events import ResponseBuilder
from inference.api.response_objects import response_base
from inference.api.responses import ResponsesRequest
from inference.api.validation import validate
from inference.contracts import (
    Event,
    Finish,
    FinishReason,
    Reasoning,
    ScoredToken,
    Text,
    TokenLogprob,
    ToolCallArguments,
    ToolCallStart,
    Usage,
)
from inference.errors import GenerationFailed
from tests.support.responses import check_event, check_stream

STOP = Finish(FinishReason.STOP, Usage(3, 2, 1, 1))
CUT = Finish(FinishReason.LENGTH, Usage(3, 2))


def builder(*, scored: bool = False, seal: Any = None, **body: Any) -> ResponseBuilder:
    body = {"input": "Hi", **body}
    base = response_base(
        validate(ResponsesRequest, body),
        body,
        response_id="resp_1",
        model="tiny",
        created=7,
        store=False,
    )
    numbers = count()
    return ResponseBuilder(base, lambda kind: f"{kind}_{next(numbers)}", scored=scored, seal=seal)


def run(made: ResponseBuilder, *events: Event) -> list[dict[str, Any]]:
    found = [*made.opening()]
    for event in events:
        found += made.add(event)
    return [*found, *made.close(), made.end()]


def kinds(events: Sequence[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


def test_a_text_is_a_message_with_one_part() -> None:
    events = run(builder(), Text("Good"), Text(" day."), STOP)
    assert kinds(events) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    response = check_stream(events)
    assert response["output"] == [
        {
            "id": "message_0",
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Good day.", "annotations": [], "logprobs": []}],
        }
    ]
    assert response["usage"] == {
        "input_tokens": 3,
        "input_tokens_details": {"cached_tokens": 1},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 1},
        "total_tokens": 5,
    }


def test_reasoning_is_an_item_before_the_message() -> None:
    response = check_stream(run(builder(), Reasoning("So"), Reasoning("..."), Text("4"), STOP))
    assert [item["type"] for item in response["output"]] == ["reasoning", "message"]
    assert response["output"][0]["content"] == [{"type": "reasoning_text", "text": "So..."}]
    assert response["output"][0]["summary"] == []


def test_reasoning_alone_has_no_message() -> None:
    response = check_stream(run(builder(), Reasoning("So"), CUT))
    assert [(item["type"], item["status"]) for item in response["output"]] == [("reasoning", "incomplete")]


def test_sealed_reasoning_stands_beside_the_text() -> None:
    response = check_stream(run(builder(seal=str.upper), Reasoning("so"), Text("4"), STOP))
    assert response["output"][0]["encrypted_content"] == "SO"


def test_calls_are_items_one_after_another() -> None:
    calls = (
        ToolCallStart(0, "call_a", "look"),
        ToolCallArguments(0, '{"a":'),
        ToolCallArguments(0, " 1}"),
        ToolCallStart(1, "call_b", "go"),
        ToolCallArguments(1, "{}"),
    )
    events = run(builder(), Text("Let me."), *calls, Finish(FinishReason.TOOL_CALLS, Usage()))
    assert kinds(events)[6:] == [
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    response = check_stream(events)
    found = [(item["type"], item.get("name"), item.get("arguments")) for item in response["output"]]
    assert found == [
        ("message", None, None),
        ("function_call", "look", '{"a": 1}'),
        ("function_call", "go", "{}"),
    ]
    assert [item["call_id"] for item in response["output"][1:]] == ["call_a", "call_b"]


def test_calls_whose_pieces_alternate_stay_apart() -> None:
    calls = (
        ToolCallStart(0, "call_a", "look"),
        ToolCallArguments(0, '{"a":'),
        ToolCallStart(1, "call_b", "go"),
        ToolCallArguments(1, '{"b":'),
        ToolCallArguments(0, " 1}"),
        ToolCallArguments(1, " 2}"),
    )
    response = check_stream(run(builder(), *calls, STOP))
    assert [item["arguments"] for item in response["output"]] == ['{"a": 1}', '{"b": 2}']


def test_text_after_a_call_is_a_message_of_its_own() -> None:
    call = (ToolCallStart(0, "call_a", "look"), ToolCallArguments(0, "{}"))
    response = check_stream(run(builder(), Text("One."), *call, Text("Two."), STOP))
    assert [item["type"] for item in response["output"]] == ["message", "function_call", "message"]


@pytest.mark.parametrize(
    ("reason", "word"),
    [(FinishReason.LENGTH, "max_output_tokens"), (FinishReason.CONTENT_FILTER, "content_filter")],
)
def test_a_cut_answer_is_incomplete_as_its_last_item_is(reason: FinishReason, word: str) -> None:
    call = (ToolCallStart(0, "call_a", "look"), ToolCallArguments(0, "{}"))
    response = check_stream(run(builder(), *call, Text("And"), Finish(reason, Usage())))
    assert response["status"] == "incomplete"
    assert response["incomplete_details"] == {"reason": word}
    assert response["completed_at"] is None
    assert [item["status"] for item in response["output"]] == ["completed", "incomplete"]


def test_a_cut_call_is_incomplete() -> None:
    response = check_stream(run(builder(), ToolCallStart(0, "c", "f"), ToolCallArguments(0, '{"a'), CUT))
    assert response["output"][0]["status"] == "incomplete"
    assert response["output"][0]["arguments"] == '{"a'


def test_an_answer_of_nothing_is_an_empty_message() -> None:
    response = check_stream(run(builder(), STOP))
    assert [part["text"] for item in response["output"] for part in item["content"]] == [""]


def test_an_answer_that_was_filtered_whole_has_no_output() -> None:
    assert check_stream(run(builder(), Finish(FinishReason.CONTENT_FILTER, Usage())))["output"] == []


def test_the_words_of_a_refusal_are_a_part_of_their_own() -> None:
    events = run(builder(), Text("I ", refusal=True), Text("cannot.", refusal=True), STOP)
    assert kinds(events)[3:8] == [
        "content_part.added",
        "refusal.delta",
        "refusal.delta",
        "refusal.done",
        "content_part.done",
    ]
    assert check_stream(events)["output"][0]["content"] == [{"type": "refusal", "refusal": "I cannot."}]


def test_log_probabilities_go_with_the_text() -> None:
    token = TokenLogprob("a", b"a", -0.5)
    score = ScoredToken(token, (token, TokenLogprob("b", b"b", -1.0)), 0)
    plain = {"token": "a", "logprob": -0.5, "bytes": [97]}
    other = {"token": "b", "logprob": -1.0, "bytes": [98]}
    events = run(builder(scored=True), Text("a", (score,)), STOP)
    expected = [{**plain, "top_logprobs": [plain, other]}]
    assert next(event for event in events if event["type"].endswith("text.delta"))["logprobs"] == expected
    assert check_stream(events)["output"][0]["content"][0]["logprobs"] == expected
    assert (
        check_stream(run(builder(), Text("a", (score,)), STOP))["output"][0]["content"][0]["logprobs"] == []
    )


def test_a_failure_has_the_shapes_of_both_readers() -> None:
    made = builder()
    events = [*made.opening(), *made.add(Text("So ")), *made.failed(GenerationFailed("The model failed."))]
    for event in events:
        check_event(event)
    error, failed = events[-2:]
    found = {"code": "model_failed", "message": "The model failed.", "param": None}
    assert error == {
        "type": "error",
        "sequence_number": 5,
        **found,
        "error": {"type": "server_error", **found},
    }
    assert (failed["type"], failed["response"]["status"]) == ("response.failed", "failed")
    assert failed["response"]["error"] == {"code": "model_failed", "message": "The model failed."}


def test_an_answer_without_a_finish_reason_fails() -> None:
    made = builder()
    with pytest.raises(GenerationFailed):
        list(made.close())


def test_the_response_repeats_what_was_in_force() -> None:
    tool = {"type": "function", "name": "look", "description": None}
    schema = {"type": "json_schema", "name": "a", "schema": {"type": "object"}, "strict": None}
    response = builder(
        instructions="Be brief.",
        tools=[tool],
        tool_choice={"type": "allowed_tools", "tools": [{"type": "function", "name": "look"}]},
        temperature=0.5,
        max_output_tokens=5,
        parallel_tool_calls=False,
        text={"format": schema, "verbosity": "low"},
        reasoning={"effort": "low", "summary": "auto"},
        metadata={"a": "b"},
        user="u",
    ).response
    assert response["tools"] == [{**tool, "parameters": None, "strict": None}]
    assert response["tool_choice"]["mode"] == "auto"
    assert response["text"] == {
        "format": {**schema, "description": None, "strict": False},
        "verbosity": "low",
    }
    assert response["reasoning"] == {"effort": "low", "summary": "auto"}
    assert (response["temperature"], response["top_p"]) == (0.5, 1.0)
    assert (response["instructions"], response["max_output_tokens"]) == ("Be brief.", 5)
    assert (response["metadata"], response["user"]) == ({"a": "b"}, "u")
    assert response["parallel_tool_calls"] is False

"""Questions that the stages ask of requests for text."""

from typing import Any

import pytest

from inference.api.chat import ChatRequest
from inference.api.completions import CompletionRequest
from inference.api.generation import GenerationBody
from inference.api.validation import Request, validate
from inference.errors import InvalidInput

USER = {"role": "user", "content": "hi"}


@pytest.mark.parametrize(
    ("request_type", "body", "most"),
    [
        (ChatRequest, {"messages": [USER]}, 100),
        (ChatRequest, {"messages": [USER], "max_tokens": 7}, 7),
        (ChatRequest, {"messages": [USER], "max_completion_tokens": 7}, 7),
        (ChatRequest, {"messages": [USER], "max_completion_tokens": 0, "max_tokens": 0}, 0),
        (CompletionRequest, {"prompt": "a"}, 256),
        (CompletionRequest, {"prompt": "a", "max_tokens": 0}, 0),
    ],
)
def test_the_token_limit_is_the_bodys_or_the_default(
    request_type: type[GenerationBody], body: dict[str, Any], most: int
) -> None:
    assert validate(request_type, body).token_limit(100) == most


def test_two_token_limits_that_disagree_are_refused() -> None:
    request = validate(ChatRequest, {"messages": [USER], "max_tokens": 3, "max_completion_tokens": 4})
    with pytest.raises(InvalidInput) as refusal:
        request.token_limit(100)
    assert refusal.value.offenders[0].loc == ("body", "max_completion_tokens")


def test_empty_stop_strings_are_left_out() -> None:
    request: Request = validate(CompletionRequest, {"prompt": "a", "stop": ["", "b"]})
    assert isinstance(request, CompletionRequest)
    assert request.stop_strings == ("b",)


@pytest.mark.parametrize(
    ("body", "draws"),
    [({}, 1), ({"n": 3}, 3), ({"best_of": 4}, 4), ({"n": 2, "best_of": 2, "stream": True}, 2)],
)
def test_answers_are_drawn_as_best_of_or_n_says(body: dict[str, Any], draws: int) -> None:
    assert validate(CompletionRequest, {"prompt": "a", **body}).drawn_per_prompt() == draws


@pytest.mark.parametrize("body", [{"n": 3, "best_of": 2}, {"best_of": 2, "stream": True}])
def test_best_of_below_n_and_in_a_stream_are_refused(body: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as refusal:
        validate(CompletionRequest, {"prompt": "a", **body}).drawn_per_prompt()
    assert refusal.value.offenders[0].loc == ("body", "best_of")


@pytest.mark.parametrize(
    ("body", "alternatives"),
    [
        ({}, None),
        ({"logprobs": False}, None),
        ({"logprobs": True}, 0),
        ({"logprobs": True, "top_logprobs": 4}, 4),
    ],
)
def test_a_chat_reports_its_top_logprobs(body: dict[str, Any], alternatives: int | None) -> None:
    messages = [{"role": "user", "content": "a"}]
    assert validate(ChatRequest, {"messages": messages, **body}).top_logprobs_count() == alternatives


@pytest.mark.parametrize("body", [{"top_logprobs": 2}, {"logprobs": False, "top_logprobs": 2}])
def test_top_logprobs_without_logprobs_are_refused(body: dict[str, Any]) -> None:
    messages = [{"role": "user", "content": "a"}]
    with pytest.raises(InvalidInput) as refusal:
        validate(ChatRequest, {"messages": messages, **body}).top_logprobs_count()
    assert refusal.value.offenders[0].loc == ("body", "top_logprobs")


NAMES = ["look", "find", "buy"]
TOOLS = [{"type": "function", "function": {"name": name}} for name in NAMES]


def allowed(mode: str, *names: str) -> dict[str, Any]:
    tools = [{"type": "function", "function": {"name": name}} for name in names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


def chat(**body: Any) -> ChatRequest:
    return validate(ChatRequest, {"messages": [USER], **body})


@pytest.mark.parametrize(
    ("choice", "offered", "forced"),
    [
        (None, NAMES, None),
        ("none", [], None),
        ("required", NAMES, "required"),
        (allowed("auto", "buy", "find"), ["find", "buy"], None),
        (allowed("required", "buy"), ["buy"], "required"),
    ],
)
def test_allowed_tools_narrow_the_offered_ones(choice: Any, offered: list[str], forced: str | None) -> None:
    request = chat(tools=TOOLS, tool_choice=choice)
    assert [tool.function.name for tool in request.offered_tools] == offered
    assert [loc for loc, _ in request.located_tools()] == [
        ("body", "tools", NAMES.index(name)) for name in offered
    ]
    assert (request.forced_choice, request.must_call) == (forced, forced is not None)


@pytest.mark.parametrize(
    ("tools", "known"), [(TOOLS[:1], "its functions are look"), ([], "it is empty"), (None, "it is empty")]
)
def test_an_allowed_tool_that_is_no_tool_is_refused_at_its_location(tools: Any, known: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        chat(tools=tools, tool_choice=allowed("auto", "sell"))
    (offender,) = refusal.value.offenders
    assert offender.target == "tool_choice.allowed_tools.tools[0].function.name"
    assert offender.input == "sell"
    assert offender.message == f"tools has no function named sell; {known}"


@pytest.mark.parametrize(
    "choice",
    [
        {"type": "allowed_tools"},
        {"type": "allowed_tools", "allowed_tools": {"mode": "none", "tools": [TOOLS[0]]}},
        {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}},
    ],
)
def test_an_incomplete_choice_of_allowed_tools_is_refused(choice: Any) -> None:
    with pytest.raises(InvalidInput) as refusal:
        chat(tools=TOOLS, tool_choice=choice)
    assert refusal.value.offenders[0].loc[:3] == ("body", "tool_choice", "allowed_tools")

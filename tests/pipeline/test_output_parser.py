"""The rules by which an answer's text is taken apart, and the exact parts that come out."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from inference.api.chat import ChatRequest
from inference.api.completions import CompletionRequest
from inference.api.validation import validate
from inference.cards.card import Card, Deployment, ReasoningTags
from inference.contracts import (
    ApiStyle,
    Event,
    Events,
    Finish,
    FinishReason,
    GenerationRequest,
    Prefilled,
    Reasoning,
    Route,
    Text,
    Token,
    ToolCallArguments,
    ToolCallStart,
    Usage,
)
from inference.errors import InvalidInput
from inference.output.token_counter import TokenCounter
from inference.pipeline.admission import ResolvedRequest
from inference.pipeline.generate import OutputParser
from inference.tool_formats import TOOL_FORMATS
from tests.support.cards import CHAT

HI = [{"role": "user", "content": "hi"}]
TAGS = ReasoningTags(open="<think>", close="</think>")
HERMES = TOOL_FORMATS["hermes"]
USAGE = Usage(3, 9)
STOP, LENGTH = Finish(FinishReason.STOP, USAGE), Finish(FinishReason.LENGTH, USAGE)
LOOK = '<tool_call>\n{"name": "look", "arguments": {"at": 1}}\n</tool_call>'
ASK = '<tool_call>\n{"name": "ask", "arguments": {}}\n</tool_call>'


def tool(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


def resolved(version: str, **card: Any) -> ResolvedRequest:
    deployment = Deployment(Card.model_validate({**CHAT, **card}), Path())
    style = ApiStyle.OPENAI if version == "openai" else ApiStyle.NATIVE
    return ResolvedRequest(Route.CHAT, deployment, style, version, (), 0)


def chat(version: str = "openai", *, reasoning: bool = False, **body: Any) -> OutputParser:
    tags: dict[str, str] | None = {} if reasoning else None
    return OutputParser.of(validate(ChatRequest, {"messages": HI, **body}), resolved(version, reasoning=tags))


def test_a_plain_conversation_is_parsed_for_stop_strings_alone() -> None:
    assert chat(stop=["a", "", "b"]) == OutputParser(("a", "b"), shows_reasoning=True)


def test_a_completion_goes_on_and_is_parsed_for_nothing_else() -> None:
    request = validate(CompletionRequest, {"prompt": "a", "stop": "b"})
    assert OutputParser.of(request, resolved("openai", reasoning={})) == OutputParser(("b",), continues=True)


@pytest.mark.parametrize(
    ("version", "shown"),
    [("openai", True), ("2025-04-01", True), ("2024-05-01-preview", False), ("2024-04-01-preview", False)],
)
def test_reasoning_is_shown_by_the_versions_that_have_a_field_for_it(version: str, *, shown: bool) -> None:
    assert chat(version, reasoning=True) == OutputParser((), tags=TAGS, shows_reasoning=shown)


@pytest.mark.parametrize(
    ("body", "offered", "stops", "single"),
    [
        ({}, {"look", "ask"}, ("x",), False),
        ({"tool_choice": "auto", "parallel_tool_calls": False}, {"look", "ask"}, ("x",), True),
        ({"tool_choice": "required", "parallel_tool_calls": True}, {"look", "ask"}, (), False),
        ({"tool_choice": tool("ask")}, {"ask"}, (), False),
    ],
)
def test_the_tools_that_may_be_called_are_known_and_a_forced_call_is_not_stopped(
    body: dict[str, Any], offered: set[str], stops: tuple[str, ...], *, single: bool
) -> None:
    parser = chat(tools=[tool("look"), tool("ask")], stop="x", **body)
    assert parser == OutputParser(
        stops,
        shows_reasoning=True,
        tool_format=HERMES,
        offered=frozenset(offered),
        single_call=single,
        must_call=not stops,
    )


def test_without_tools_that_may_be_called_no_call_is_looked_for() -> None:
    parser = chat(tools=[tool("look")], tool_choice="none", stop="x")
    assert (parser.tool_format, parser.offered, parser.stops) == (None, frozenset(), ("x",))


def test_a_choice_of_a_tool_that_is_not_offered_is_refused() -> None:
    with pytest.raises(InvalidInput) as refusal:
        chat(tools=[tool("look")], tool_choice=tool("other"))
    assert refusal.value.offenders[0].loc == ("body", "tool_choice", "function", "name")


def test_tags_and_markers_are_text_although_they_may_be_special_tokens() -> None:
    assert chat().visible == ()
    assert chat(reasoning=True).visible == ("<think>", "</think>")
    both = chat(reasoning=True, tools=[tool("look")])
    assert both.visible == ("<think>", "</think>", *HERMES.markers)
    assert HERMES.markers == ("<tool_call>", "</tool_call>")


class Answer:
    """The events of a text, one a piece, each with the token that completes it."""

    def __init__(self, *pieces: str, finish: Finish = STOP) -> None:
        self.pieces, self.finish = pieces, finish
        self.closed = False

    async def events(self) -> Events:
        try:
            yield Prefilled(0)
            for number, piece in enumerate(self.pieces):
                yield Token(number)
                yield Text(piece)
            yield self.finish
        finally:
            self.closed = True


def counter_of(parser: OutputParser, opened: str) -> TokenCounter:
    request = GenerationRequest(prompt=(1, 2, 3), max_tokens=9)
    return TokenCounter(request, parser.reasoning_counter(opened))


async def parts(parser: OutputParser, answer: Answer, opened: str = "") -> list[Event]:
    """Return the parts of an answer, the ids of its calls replaced by their numbers."""
    counter = counter_of(parser, opened)
    events = parser.parse(_texts(counter.count_reasoning(counter.count(answer.events()))), opened, counter)
    return [
        ToolCallStart(event.index, f"call-{event.index}", event.name)
        if isinstance(event, ToolCallStart)
        else event
        async for event in events
    ]


async def _texts(events: Events) -> Events:
    """Leave out the events that the stage of the stop strings takes."""
    async with aclosing(events):
        async for event in events:
            if not isinstance(event, (Token, Prefilled)):
                yield event


def joined(events: list[Event], kind: type[Text] | type[Reasoning]) -> str:
    return "".join(event.text for event in events if isinstance(event, kind))


REASONED = ("<thi", "nk>\nSo", " it is.\n", "</think>", "\n\nYes", ".")


async def test_reasoning_that_is_shown_is_parted_from_the_text_and_counted() -> None:
    assert await parts(chat(reasoning=True), Answer(*REASONED)) == [
        Reasoning("So"),
        Reasoning(" it is."),
        Text("Yes"),
        Text("."),
        Finish(FinishReason.STOP, Usage(3, 9, reasoning_tokens=4)),
    ]


async def test_reasoning_without_a_field_for_it_stays_in_the_text_with_its_tags() -> None:
    events = await parts(chat("2024-05-01-preview", reasoning=True), Answer(*REASONED))
    assert joined(events, Text) == "".join(REASONED)
    assert joined(events, Reasoning) == ""
    assert events[-1] == Finish(FinishReason.STOP, Usage(3, 9, reasoning_tokens=4))


@pytest.mark.parametrize(
    ("version", "text", "reasoned"),
    [("openai", "Yes", "So"), ("2024-05-01-preview", "<think>\nSo</think>Yes", "")],
)
async def test_reasoning_that_the_prompt_opened_starts_with_the_answer(
    version: str, text: str, reasoned: str
) -> None:
    events = await parts(chat(version, reasoning=True), Answer("So", "</think>", "Yes"), opened="<think>\n")
    assert (joined(events, Text), joined(events, Reasoning)) == (text, reasoned)
    assert events[-1] == Finish(FinishReason.STOP, Usage(3, 9, reasoning_tokens=2))


async def test_an_answer_without_reasoning_has_no_reasoning_tokens() -> None:
    assert await parts(chat(reasoning=True), Answer("Yes")) == [
        Text("Yes"),
        Finish(FinishReason.STOP, Usage(3, 9, reasoning_tokens=0)),
    ]
    assert await parts(chat(), Answer("<think>So</think>")) == [Text("<think>So</think>"), STOP]


async def test_calls_are_taken_out_of_the_text() -> None:
    parser = chat(tools=[tool("look"), tool("ask")])
    assert await parts(parser, Answer("Let me see. ", LOOK, ASK)) == [
        Text("Let me see."),
        ToolCallStart(0, "call-0", "look"),
        ToolCallArguments(0, '{"at": 1}'),
        ToolCallStart(1, "call-1", "ask"),
        ToolCallArguments(1, "{}"),
        Finish(FinishReason.TOOL_CALLS, USAGE),
    ]


async def test_a_call_that_is_cut_by_its_length_stays_so() -> None:
    events = await parts(chat(tools=[tool("look")]), Answer(LOOK, finish=LENGTH))
    assert events[-1] == LENGTH


async def test_a_call_of_a_tool_that_is_not_offered_is_text() -> None:
    events = await parts(chat(tools=[tool("look")]), Answer(ASK))
    assert (joined(events, Text), events[-1]) == (ASK, STOP)


async def test_calls_are_not_looked_for_without_tools() -> None:
    assert await parts(chat(), Answer(LOOK)) == [Text(LOOK), STOP]


@pytest.mark.parametrize("version", ["openai", "2024-05-01-preview"])
async def test_a_call_inside_reasoning_is_none(version: str) -> None:
    parser = chat(version, reasoning=True, tools=[tool("look"), tool("ask")])
    events = await parts(parser, Answer("<think>", LOOK, "</think>", ASK))
    calls = [event for event in events if isinstance(event, ToolCallStart)]
    assert calls == [ToolCallStart(0, "call-0", "ask")]
    kept = Reasoning if version == "openai" else Text
    assert LOOK in joined(events, kept)


async def test_a_single_call_ends_the_answer_and_closes_the_model() -> None:
    answer = Answer("See: ", LOOK, ASK, " Done.")
    parser = chat(tools=[tool("look"), tool("ask")], parallel_tool_calls=False)
    assert await parts(parser, answer) == [
        Text("See:"),
        ToolCallStart(0, "call-0", "look"),
        ToolCallArguments(0, '{"at": 1}'),
        Finish(FinishReason.TOOL_CALLS, Usage(3, 2)),
    ]
    assert answer.closed


async def test_a_single_call_after_reasoning_counts_both() -> None:
    parser = chat(reasoning=True, tools=[tool("look")], parallel_tool_calls=False)
    events = await parts(parser, Answer("<think>", "So", "</think>", LOOK, "more"))
    assert events[-1] == Finish(FinishReason.TOOL_CALLS, Usage(3, 4, reasoning_tokens=3))


async def test_tokens_are_counted_as_they_pass_and_the_events_stay_as_they_are() -> None:
    counter, answer = counter_of(chat(), ""), Answer("a", "b", "c")
    events = counter.count(answer.events())
    assert counter.usage() == Usage(3, 0)
    assert [await anext(events) for _ in range(4)] == [Prefilled(0), Token(0), Text("a"), Token(1)]
    assert counter.usage() == Usage(3, 2)
    await events.aclose()
    assert answer.closed


async def test_events_of_a_model_without_reasoning_are_not_wrapped() -> None:
    counter, events = counter_of(chat(), ""), Answer("a").events()
    assert counter.count_reasoning(events) is events
    await events.aclose()

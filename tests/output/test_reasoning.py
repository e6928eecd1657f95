"""Reasoning and answer, separated however the text is cut."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.contracts import (
    Event,
    Events,
    Finish,
    FinishReason,
    Reasoning,
    ScoredToken,
    Text,
    Token,
    TokenLogprob,
    ToolCallStart,
    Usage,
)
from inference.output.choices import fold
from inference.output.detokenize import apply_stop_strings, detokenize
from inference.output.reasoning import ReasoningCounter, ReasoningParser, inline_reasoning, separate_reasoning
from inference.output.tool_calls import parse_tool_calls
from inference.tool_formats import TOOL_FORMATS
from tests.output.test_chain import Characters
from tests.tool_formats.parsing import split

PROMPT = Usage(prompt_tokens=7)
CALL = '<tool_call>{"name": "add", "arguments": {}}</tool_call>'


def separated(pieces: Sequence[str], *, opened: str = "", verbatim: bool = False) -> tuple[str, str]:
    parser = ReasoningParser("<think>", "</think>", opened=opened, verbatim=verbatim)
    events = [event for piece in pieces for event in parser.push(piece)] + parser.flush()
    reasoned = "".join(event.text for event in events if isinstance(event, Reasoning))
    return reasoned, "".join(event.text for event in events if isinstance(event, Text))


@pytest.mark.parametrize(
    ("answer", "opened", "reasoned", "text"),
    [
        ("<think>\nhm </think>\n\nYes.\n", "", "hm", "Yes.\n"),
        (" \n<think>hm</think>Yes", "", "hm", "Yes"),
        ("hm\n</think>\n\nYes", "<think>\n", "hm", "Yes"),
        ("<think></think>Yes", "", "", "Yes"),
        ("<think>hm </thi", "", "hm </thi", ""),
        ("<think>a < b </think", "", "a < b </think", ""),
        ("<think>a</think>b<think>c</think>", "", "a", "b<think>c</think>"),
        (" Yes, <think> is a tag", "", "", " Yes, <think> is a tag"),
        ("<thi", "", "", "<thi"),
        ("<thinking>", "", "", "<thinking>"),
        ("no end", "<think>", "no end", ""),
        ("a</think>  ", "<think>", "a", ""),
        ("", "", "", ""),
    ],
)
def test_reasoning_is_separated_from_the_answer(answer: str, opened: str, reasoned: str, text: str) -> None:
    assert separated([answer], opened=opened) == (reasoned, text)
    assert separated(list(answer), opened=opened) == (reasoned, text)


fragments = st.sampled_from(["<think>", "</think>", "<", "/", "think>", " ", "\n", "a", "b c"])
answers = st.lists(fragments, max_size=12).map("".join)
places = st.lists(st.integers(0, 60), max_size=12)


@given(answers, places, st.sampled_from(["", "<think>\n"]))
def test_any_split_is_separated_the_same(answer: str, cuts: list[int], opened: str) -> None:
    assert separated(split(answer, cuts), opened=opened) == separated([answer], opened=opened)
    assert separated(list(answer), opened=opened) == separated([answer], opened=opened)


@given(answers, places, st.sampled_from(["", "<think>\n"]))
def test_verbatim_keeps_every_character(answer: str, cuts: list[int], opened: str) -> None:
    reasoned, text = separated(split(answer, cuts), opened=opened, verbatim=True)
    assert reasoned + text == opened + answer


async def model(text: str, reason: FinishReason = FinishReason.STOP) -> Events:
    for character in text:
        yield Token(ord(character))
    yield Finish(reason, PROMPT + Usage(completion_tokens=len(text)))


def reply(text: str, *, stops: Sequence[str] = (), opened: str = "", separate: bool = True) -> Events:
    """Return the stages of an answer, over a model that writes a character a token."""
    counter = ReasoningCounter(ReasoningParser("<think>", "</think>", opened=opened))
    events = apply_stop_strings(counter.count(detokenize(model(text), Characters())), stops, PROMPT)
    parser = ReasoningParser("<think>", "</think>", opened=opened, verbatim=not separate)
    events = separate_reasoning(events, parser, lambda: counter.tokens)
    hermes = TOOL_FORMATS["hermes"]
    called = parse_tool_calls(events, hermes.read(["add"], hermes.new_id))
    return called if separate else inline_reasoning(called)


@pytest.mark.parametrize(
    ("text", "opened", "tokens"),
    [
        ("<think>hm</think>\nYes", "", len("<think>hm</think>")),
        ("\n<think>hm</think>Yes", "", len("\n<think>hm</think>")),
        ("hm</think>Yes", "<think>", len("hm</think>")),
        ("<think>hm", "", len("<think>hm")),
        ("Yes, <think>", "", 0),
        ("<thi", "", 0),
        ("", "<think>", 0),
    ],
)
async def test_reasoning_tokens_are_counted(text: str, opened: str, tokens: int) -> None:
    whole = await fold(reply(text, opened=opened))
    assert whole.usage == Usage(7, len(text), reasoning_tokens=tokens)


async def test_a_call_inside_reasoning_is_no_call() -> None:
    text = f"<think>Maybe {CALL}?</think>\n{CALL}"
    whole = await fold(reply(text))
    assert (whole.reasoning, whole.text, len(whole.tool_calls)) == (f"Maybe {CALL}?", None, 1)
    assert whole.reason is FinishReason.TOOL_CALLS


async def test_inline_reasoning_stays_as_written() -> None:
    text = f"<think>\nMaybe {CALL}?\n</think>\n\nYes. "
    whole = await fold(reply(text, separate=False))
    assert (whole.reasoning, whole.text, whole.tool_calls) == (None, text, ())
    opened = await fold(reply("hm</think>Yes", opened="<think>\n", separate=False))
    assert opened.text == "<think>\nhm</think>Yes"


async def test_a_stop_string_keeps_the_count_of_reasoning_tokens() -> None:
    whole = await fold(reply("<think>hm</think>Yes. No", stops=["."]))
    assert (whole.reasoning, whole.text) == ("hm", "Yes")
    assert whole.usage == Usage(7, len("<think>hm</think>Yes."), reasoning_tokens=len("<think>hm</think>"))


async def test_reasoning_streams_as_it_comes() -> None:
    events = reply("<think>hm, so</think>" + CALL)
    assert await anext(events) == Reasoning("h")
    kinds = [type(event) async for event in events]
    assert kinds.index(ToolCallStart) > max(n for n, kind in enumerate(kinds) if kind is Reasoning)


async def test_log_probabilities_come_no_earlier_than_their_text() -> None:
    pieces = ["<think>", "h", "m ", "</thi", "nk>", "\n", "Y", "es"]

    async def scored() -> Events:
        for piece in pieces:
            yield Text(piece, (ScoredToken(TokenLogprob(piece, piece.encode(), -1.0), (), 0),))
        yield Finish(FinishReason.STOP, PROMPT)

    text, counted = "", ""
    events: list[Event] = []
    async for event in separate_reasoning(scored(), ReasoningParser("<think>", "</think>"), lambda: 5):
        events.append(event)
        if isinstance(event, Text):
            text += event.text
            counted += "".join(one.token.text for one in event.scores)
            assert not counted.endswith(("m ", "</thi"))
            assert counted.endswith("Y") is text.endswith("Y")
    assert (text, counted) == ("Yes", "".join(pieces))
    assert events[-1] == Finish(FinishReason.STOP, Usage(7, reasoning_tokens=5))

import pytest

from inference.contracts import (
    CompletedChoice,
    CompletedToolCall,
    Event,
    Events,
    Finish,
    FinishReason,
    Reasoning,
    Text,
    Token,
    ToolCallArguments,
    ToolCallStart,
    Usage,
)
from inference.errors import GenerationFailed
from inference.output.choices import fold

FINISH = Finish(FinishReason.STOP, Usage(1, 2))


async def stream(*events: Event) -> Events:
    for event in events:
        yield event


async def test_pieces_of_text_and_reasoning_are_joined() -> None:
    reply = await fold(stream(Reasoning("so "), Token(1), Text("a"), Reasoning("so"), Text("b"), FINISH))
    assert reply == CompletedChoice("ab", "so so", (), FinishReason.STOP, Usage(1, 2))


async def test_interleaved_calls_are_joined_by_index() -> None:
    reply = await fold(
        stream(
            ToolCallStart(0, "x", "add"),
            ToolCallStart(1, "y", "sub"),
            ToolCallArguments(1, "{"),
            ToolCallArguments(0, "{}"),
            ToolCallArguments(1, "}"),
            FINISH,
        )
    )
    assert reply.text is None
    assert reply.tool_calls == (CompletedToolCall("x", "add", "{}"), CompletedToolCall("y", "sub", "{}"))


async def test_an_answer_without_a_finish_is_an_error() -> None:
    with pytest.raises(GenerationFailed):
        await fold(stream(Text("a")))

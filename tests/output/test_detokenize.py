from collections.abc import Sequence

from inference.contracts import Event, Events, Finish, FinishReason, Text, Token, Usage
from inference.output.detokenize import detokenize

FINISH = Finish(FinishReason.LENGTH, Usage(3, 4))


class ByteStream:
    """A decoder of bytes: token 7 is the first half of an e with an accent, 8 the second."""

    def __init__(self) -> None:
        self.half = ""

    def push(self, token_id: int, /) -> str:
        if token_id == 7:
            self.half = "\N{REPLACEMENT CHARACTER}"
            return ""
        self.half = ""
        return "é" if token_id == 8 else f"<{token_id}>"

    def flush(self) -> str:
        return self.half


async def stream(*events: Event, closed: list[bool] | None = None) -> Events:
    try:
        for event in events:
            yield event
    finally:
        if closed is not None:
            closed.append(True)


async def detokenized(*events: Event) -> Sequence[Event]:
    return [event async for event in detokenize(stream(*events), ByteStream())]


async def test_each_token_is_followed_by_the_text_it_completes() -> None:
    assert await detokenized(Token(1), Token(7), Token(8), FINISH) == [
        Token(1),
        Text("<1>"),
        Token(7),
        Token(8),
        Text("é"),
        FINISH,
    ]


async def test_the_incomplete_character_of_a_model_that_stops_comes_before_the_finish() -> None:
    finish = Finish(FinishReason.STOP, Usage(3, 4))
    assert await detokenized(Token(7), finish) == [Token(7), Text("\N{REPLACEMENT CHARACTER}"), finish]


async def test_a_cut_inside_a_character_leaves_the_half_character_out() -> None:
    assert await detokenized(Token(1), Token(7), FINISH) == [Token(1), Text("<1>"), Token(7), FINISH]


async def test_an_empty_answer_is_only_a_finish() -> None:
    assert await detokenized(FINISH) == [FINISH]


async def test_closing_the_stage_closes_the_model() -> None:
    closed: list[bool] = []
    events = detokenize(stream(Token(1), Token(2), closed=closed), ByteStream())
    await anext(events)
    await events.aclose()
    assert closed == [True]

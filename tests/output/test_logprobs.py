"""Log probabilities arrive with the text they belong to, however it is buffered, cut or echoed."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from inference.contracts import (
    Event,
    Events,
    Finish,
    FinishReason,
    PositionLogprobs,
    Prefilled,
    ScoredToken,
    Text,
    Token,
    Usage,
)
from inference.output.detokenize import apply_stop_strings, detokenize_with_logprobs, echo, echo_with_logprobs

PROMPT = Usage(prompt_tokens=3)
END = Finish(FinishReason.LENGTH, Usage(3, 9))


class Pieces:
    """A decoder whose token ids are indices of pieces; text comes out where characters are whole."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = pieces
        self._pending = b""

    def push(self, token_id: int, /) -> str:
        self._pending += self._pieces[token_id]
        try:
            text = self._pending.decode()
        except UnicodeDecodeError:
            return ""
        self._pending = b""
        return text

    def flush(self) -> str:
        rest, self._pending = self._pending.decode(errors="replace"), b""
        return rest


async def scored(pieces: Sequence[bytes], end: Finish = END) -> Events:
    yield Prefilled(2)
    for number in range(len(pieces)):
        yield Token(number, PositionLogprobs(-0.5 * (number + 1), ((number, -0.25), (0, -4.0))))
    yield end


async def shown(pieces: Sequence[bytes], stops: Sequence[str] = (), offset: int = 0) -> list[Event]:
    tokens = detokenize_with_logprobs(scored(pieces), Pieces(pieces), lambda token: pieces[token], offset)
    return [event async for event in apply_stop_strings(tokens, stops, PROMPT)]


def scores_of(events: Sequence[Event]) -> list[ScoredToken]:
    return [score for event in events if isinstance(event, Text) for score in event.scores]


def text_of(events: Sequence[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Text))


async def test_every_token_comes_with_its_text() -> None:
    events = await shown([b"Hel", b"lo", b" you"])
    texts = [event for event in events if isinstance(event, Text)]
    assert [(text.text, len(text.scores)) for text in texts] == [("Hel", 1), ("lo", 1), (" you", 1)]
    first = texts[1].scores[0]
    assert (first.token.text, first.token.data, first.token.logprob) == ("lo", b"lo", -1.0)
    assert [(other.text, other.logprob) for other in first.top] == [("lo", -0.25), ("Hel", -4.0)]
    assert [score.offset for score in scores_of(events)] == [0, 3, 5]
    assert events[-1] == END


async def test_parts_of_a_character_come_with_the_whole() -> None:
    events = await shown([b"a", "é".encode()[:1], "é".encode()[1:], b"b"])
    texts = [event for event in events if isinstance(event, Text)]
    assert [(text.text, len(text.scores)) for text in texts] == [("a", 1), ("é", 2), ("b", 1)]
    assert [score.offset for score in scores_of(events)] == [0, 1, 1, 2]
    assert scores_of(events)[1].token.data == b"\xc3"
    assert scores_of(events)[1].token.text == "\N{REPLACEMENT CHARACTER}"


async def test_tokens_without_text_come_at_the_end() -> None:
    events = await shown([b"a", b"", b""])
    assert len(scores_of(events)) == 3
    assert events[-2] == Text("", tuple(scores_of(events)[1:]))


@pytest.mark.parametrize(
    ("stop", "text", "tokens"),
    [
        ("lo", "Hel", 1),
        ("el", "H", 1),
        ("o y", "Hell", 2),
        ("you", "Hello ", 3),
        ("H", "", 0),
        ("x", "Hello you", 3),
    ],
)
async def test_tokens_after_a_stop_string_have_no_scores(stop: str, text: str, tokens: int) -> None:
    events = await shown([b"Hel", b"lo", b" you"], [stop])
    assert text_of(events) == text
    assert len(scores_of(events)) == tokens


async def test_scores_wait_while_their_text_is_pending() -> None:
    events = await shown([b"a", b"b", b"c", b"x"], ["bcd"])
    texts = [event for event in events if isinstance(event, Text)]
    assert [(text.text, len(text.scores)) for text in texts] == [("a", 1), ("bcx", 3)]


async def test_an_echoed_prompt_precedes_the_answer_and_shifts_its_offsets() -> None:
    pieces = [b"Hi", b" th", b"ere"]
    prefilled = Prefilled(0, (PositionLogprobs(-1.0, ((2, -0.5),)), PositionLogprobs(-2.0, ())))

    async def events() -> Events:
        yield prefilled
        yield Token(0, PositionLogprobs(-3.0, ()))
        yield END

    token_bytes = pieces.__getitem__
    before = echo_with_logprobs("Hi there", (0, 1, 2), Pieces(pieces), token_bytes)
    tokens = detokenize_with_logprobs(events(), Pieces(pieces), token_bytes, len("Hi there"))
    received = [event async for event in apply_stop_strings(tokens, ["there"], PROMPT, before)]
    assert text_of(received) == "Hi thereHi"
    assert [(score.offset, score.token.logprob) for score in scores_of(received)] == [
        (0, None),
        (2, -1.0),
        (5, -2.0),
        (8, -3.0),
    ]


async def test_an_echo_without_scores_is_the_prompt() -> None:
    assert echo("any text")(Prefilled(0)) == Text("any text")


async def test_cached_tokens_are_counted_where_a_stop_string_ends_the_answer() -> None:
    events = await shown([b"Hel", b"lo", b" you"], ["lo"])
    assert events[-1] == Finish(FinishReason.STOP, Usage(3, 2, 2))

"""Tokens become text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Protocol, TypeAlias

from inference.contracts import Events, Finish, Prefilled, ScoredToken, Text, Token
from inference.output.logprobs import LogprobConverter, Spell


class TextDecoder(Protocol):
    """Decodes token ids that come one by one; never cuts a character."""

    def push(self, token_id: int, /) -> str:
        """The text that is complete with this token, maybe none."""
        ...

    def flush(self) -> str:
        """What was held back."""
        ...


async def detokenize(events: Events, stream: TextDecoder) -> Events:
    """Takes `Token`s and `Finish`; gives each `Token` on, then the `Text` it completes.

    The tokens stay in the stream because the next stage, `stop_strings`, counts them.
    """
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Finish) and (rest := stream.flush()):
                yield Text(rest)
            yield event
            if isinstance(event, Token) and (text := stream.push(event.id)):
                yield Text(text)


async def detokenize_scored(events: Events, stream: TextDecoder, spell: Spell, offset: int = 0) -> Events:
    """As `detokenize`, with the log probabilities of the tokens; `offset` as in `LogprobConverter`."""
    scorer = LogprobConverter(spell, offset)
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Finish):
                last = scorer.text(stream.flush())
                if last.text or last.scores:
                    yield last
            yield event
            if isinstance(event, Token):
                scorer.add(event.id, event.logprobs)
                if text := stream.push(event.id):
                    yield scorer.text(text)


Echo: TypeAlias = Callable[[Prefilled], Text]
"""What is said first, once the prompt is run."""


def echo(text: str) -> Echo:
    """The prompt as it was sent."""
    return lambda _: Text(text)


def echo_scored(text: str, prompt: Sequence[int], stream: TextDecoder, spell: Spell) -> Echo:
    """The same with what the model makes of each of its tokens."""

    def scored(prefilled: Prefilled) -> Text:
        scorer = LogprobConverter(spell)
        scores: list[ScoredToken] = []
        for token, logprobs in zip(prompt, (None, *prefilled.logprobs), strict=True):
            scorer.add(token, logprobs)
            scores += scorer.text(stream.push(token)).scores
        return Text(text, tuple(scores))

    return scored

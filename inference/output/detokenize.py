"""The first stage of an answer: tokens to text, with an echoed prompt and log probabilities on request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Protocol, TypeAlias

from inference.contracts import Events, Finish, FinishReason, Prefilled, ScoredToken, Text, Token
from inference.output.logprobs import LogprobConverter, TokenBytes

INCOMPLETE = "\N{REPLACEMENT CHARACTER}"


class TextDecoder(Protocol):
    """An incremental decoder of token ids that never splits a character."""

    def push(self, token_id: int, /) -> str:
        """Return the text that is complete with this token, maybe none."""
        ...

    def flush(self) -> str:
        """Return the text still pending, at the end; an incomplete character becomes U+FFFD."""
        ...


async def detokenize(events: Events, decoder: TextDecoder) -> Events:
    """Yield the events, each `Token` followed by the `Text` it completes.

    The tokens stay in the stream because a later stage, `stop_strings`, counts them.
    """
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Finish) and (rest := _rest(decoder, event)):
                yield Text(rest)
            yield event
            if isinstance(event, Token) and (text := decoder.push(event.id)):
                yield Text(text)


async def detokenize_with_logprobs(
    events: Events, decoder: TextDecoder, token_bytes: TokenBytes, offset: int = 0
) -> Events:
    """Yield as `detokenize`, each `Text` with the log probabilities of its tokens.

    `offset` is the number of characters of the choice's text before the first token.
    """
    converter = LogprobConverter(token_bytes, offset)
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Finish):
                last = converter.attach(_rest(decoder, event))
                if last.text or last.scores:
                    yield last
            yield event
            if isinstance(event, Token):
                converter.add(event.id, event.logprobs)
                if text := decoder.push(event.id):
                    yield converter.attach(text)


def _rest(decoder: TextDecoder, finish: Finish) -> str:
    """Return the text still pending; where the model would have gone on, without the half of a character."""
    rest = decoder.flush()
    return rest if finish.reason is FinishReason.STOP else rest.rstrip(INCOMPLETE)


Echo: TypeAlias = Callable[[Prefilled], Text]
"""Makes the text that an answer starts with, once the prompt is run."""


def echo(text: str) -> Echo:
    """Return an echo of the prompt as it was sent."""
    return lambda _: Text(text)


def echo_with_logprobs(
    text: str, prompt: Sequence[int], decoder: TextDecoder, token_bytes: TokenBytes
) -> Echo:
    """Return an echo of the prompt with the log probabilities of its tokens."""

    def scored(prefilled: Prefilled) -> Text:
        converter = LogprobConverter(token_bytes)
        scores: list[ScoredToken] = []
        for token_id, logprobs in zip(prompt, (None, *prefilled.logprobs), strict=True):
            converter.add(token_id, logprobs)
            scores += converter.attach(decoder.push(token_id)).scores
        return Text(text, tuple(scores))

    return scored

"""The prompt before the answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from inference.contracts import Prefilled, ScoredToken, Text
from inference.output.detokenize import TextDecoder
from inference.output.logprobs import LogprobConverter, Spell

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

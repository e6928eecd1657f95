"""The tokens of one sequence, counted as they come, for an answer that ends before the model says so."""

from __future__ import annotations

from contextlib import aclosing

from inference.contracts import Events, GenerationRequest, Token, Usage
from inference.output.reasoning import ReasoningCounter


class TokenCounter:
    """The tokens of one sequence so far, for a stage that ends it before its own `Finish`."""

    def __init__(self, request: GenerationRequest, reasoning: ReasoningCounter | None = None) -> None:
        self._prompt = len(request.prompt)
        self._tokens = 0
        self._reasoning = reasoning

    async def count(self, events: Events) -> Events:
        """Yield the events unchanged and count their tokens."""
        async with aclosing(events):
            async for event in events:
                self._tokens += isinstance(event, Token)
                yield event

    def count_reasoning(self, events: Events) -> Events:
        """Return the same events; where reasoning has tags, its tokens are counted."""
        return events if self._reasoning is None else self._reasoning.count(events)

    def usage(self) -> Usage:
        """Return the usage so far."""
        reasoning_tokens = None if self._reasoning is None else self._reasoning.tokens
        return Usage(self._prompt, self._tokens, reasoning_tokens=reasoning_tokens)

"""How the text of an answer is read: what ends it, and what of it is thoughts, calls and text."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass

from inference.api.chat import ChatRequest
from inference.api.completions import GenerationBody
from inference.api.paths import STABLE
from inference.api.paths import ApiStyle as Paths
from inference.cards.card import ReasoningTags
from inference.contracts import Events, GenerationRequest, Token, Usage
from inference.output.reasoning import ReasoningCounter, ReasoningParser, inline, reasoning
from inference.output.tool_calls import tool_calls
from inference.pipeline.admission import ResolvedRequest
from inference.prompt import lowering
from inference.prompt.forced_calls import forced_tools
from inference.tool_formats import ToolFormat

WITH_THOUGHTS = (STABLE, Paths.OPENAI)
"""The versions of the API whose answers have `reasoning_content`."""


@dataclass(frozen=True, slots=True)
class OutputParser:
    """How the text of an answer is to be read."""

    stops: tuple[str, ...]
    continues: bool = False
    """Whether it goes on where its prompt ended."""
    tags: ReasoningTags | None = None
    parts_thoughts: bool = False
    """Whether the caller's version of the API has a place for thoughts; else they stay in the text."""
    dialect: ToolFormat | None = None
    offered: frozenset[str] = frozenset()
    single: bool = False
    """Whether the answer is over with its first call."""

    @classmethod
    def of(cls, request: GenerationBody, order: ResolvedRequest) -> OutputParser:
        """A call that must come is not cut by a stop text: those are about what is said."""
        stops, card = lowering.stop_texts(request), order.card
        if not isinstance(request, ChatRequest):
            return cls(stops, continues=True)
        forced = forced_tools(request)
        names = frozenset(tool.function.name for tool in forced or request.offered)
        return cls(
            () if forced else stops,
            tags=card.reasoning,
            parts_thoughts=order.version in WITH_THOUGHTS,
            dialect=lowering.dialect_of(card) if names else None,
            offered=names,
            single=request.parallel_tool_calls is False,
        )

    @property
    def visible(self) -> tuple[str, ...]:
        """Tokens that are read though they may be special."""
        tags = (self.tags.open, self.tags.close) if self.tags else ()
        return (*tags, *(self.dialect.markers if self.dialect else ()))

    def thoughts(self, begun: str) -> ReasoningCounter | None:
        return (
            ReasoningCounter(ReasoningParser(self.tags.open, self.tags.close, begun=begun))
            if self.tags
            else None
        )

    def part(self, said: Events, begun: str, spent: TokenCounter) -> Events:
        """Thoughts and calls are taken out of the text; a call among the thoughts is none."""
        if self.tags:
            verbatim = not self.parts_thoughts
            parser = ReasoningParser(self.tags.open, self.tags.close, begun=begun, verbatim=verbatim)
            said = reasoning(said, parser, lambda: spent.usage().reasoning_tokens or 0)
        if self.dialect:
            reader = self.dialect.read(self.offered, self.dialect.new_id)
            said = tool_calls(said, reader, spent=spent.usage if self.single else None)
        return said if self.parts_thoughts or not self.tags else inline(said)


class TokenCounter:
    """What a sequence took so far: for who ends it before its own `Finish` says so."""

    def __init__(self, asked: GenerationRequest, thoughts: ReasoningCounter | None = None) -> None:
        self._prompt = len(asked.prompt)
        self._tokens = 0
        self._thoughts = thoughts

    async def count(self, events: Events) -> Events:
        """The events as they are."""
        async with aclosing(events):
            async for event in events:
                self._tokens += isinstance(event, Token)
                yield event

    def count_thoughts(self, events: Events) -> Events:
        """The same events; where thoughts are told apart, their tokens are counted."""
        return events if self._thoughts is None else self._thoughts.count(events)

    def usage(self) -> Usage:
        thoughts = None if self._thoughts is None else self._thoughts.tokens
        return Usage(self._prompt, self._tokens, reasoning_tokens=thoughts)

"""The parts of an answer's text: the strings that end it, its reasoning, its tool calls, and the rest."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass

from inference.api.generation import GenerationBody
from inference.api.http_types import STABLE
from inference.cards.card import ReasoningTags
from inference.contracts import ApiStyle, Events, GenerationRequest, Token, Usage
from inference.output.reasoning import ReasoningCounter, ReasoningParser, inline_reasoning, separate_reasoning
from inference.output.tool_calls import parse_tool_calls
from inference.pipeline.admission import ResolvedRequest
from inference.prompt import lowering
from inference.prompt.forced_calls import forced_tools
from inference.tool_formats import CallReader, HeldCallReader, ToolFormat

WITH_REASONING = (STABLE, ApiStyle.OPENAI)
"""The versions of the API whose answers have `reasoning_content`."""


@dataclass(frozen=True, slots=True)
class OutputParser:
    """The rules by which the text of an answer is taken apart."""

    stops: tuple[str, ...]
    continues: bool = False
    """True if the text goes on where its prompt ended."""
    tags: ReasoningTags | None = None
    shows_reasoning: bool = False
    """True if the caller's version of the API has a field for reasoning; else it stays in the text."""
    tool_format: ToolFormat | None = None
    offered: frozenset[str] = frozenset()
    """The names of the tools that may be called."""
    single_call: bool = False
    """True if the answer is over with its first call."""
    must_call: bool = False
    """True if the answer is nothing but calls."""
    heads: tuple[str, ...] = ()
    """The texts of which one starts an answer of calls, where any other start is that of a form."""

    @classmethod
    def of(
        cls, request: GenerationBody, resolved: ResolvedRequest, heads: tuple[str, ...] = ()
    ) -> OutputParser:
        """Return the parser of a request's answers; `heads` as in `OutputRules`.

        Stop strings apply to text: a call that must come is not cut by one.
        """
        if request.continues_prompt:
            return cls(request.stop_strings, continues=True)
        forced = forced_tools(request) if request.must_call else ()
        names = frozenset(tool.function.name for tool in forced or request.offered_tools)
        return cls(
            () if forced else request.stop_strings,
            tags=resolved.card.reasoning,
            shows_reasoning=resolved.version in WITH_REASONING,
            tool_format=lowering.tool_format_of(resolved.card) if names else None,
            offered=names,
            single_call=request.single_call,
            must_call=bool(forced),
            heads=heads,
        )

    @property
    def visible(self) -> tuple[str, ...]:
        """The tokens that are text for the parser although they may be special."""
        tags = (self.tags.open, self.tags.close) if self.tags else ()
        return (*tags, *(self.tool_format.markers if self.tool_format else ()))

    def reasoning_counter(self, opened: str) -> ReasoningCounter | None:
        """Return a counter of reasoning tokens; `opened` is the tag that the prompt ends with, if any."""
        if self.tags is None:
            return None
        return ReasoningCounter(ReasoningParser(self.tags.open, self.tags.close, opened=opened))

    def parse(self, events: Events, opened: str, counter: TokenCounter) -> Events:
        """Return the events with reasoning and calls taken out of the text; a call in reasoning is none."""
        if self.tags:
            verbatim = not self.shows_reasoning
            parser = ReasoningParser(self.tags.open, self.tags.close, opened=opened, verbatim=verbatim)
            events = separate_reasoning(events, parser, lambda: counter.usage().reasoning_tokens or 0)
        if self.tool_format:
            events = parse_tool_calls(
                events, self._reader(self.tool_format), usage=counter.usage if self.single_call else None
            )
        return events if self.shows_reasoning or not self.tags else inline_reasoning(events)

    def _reader(self, tool_format: ToolFormat) -> CallReader:
        reader = tool_format.read(self.offered, tool_format.new_id)
        return HeldCallReader(reader, self.heads) if self.must_call or self.heads else reader


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

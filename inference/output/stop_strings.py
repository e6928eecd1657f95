"""The answer ends before the first stop text.

The stage stands behind `detokenize`, where it sees both what is said and the tokens it took: on a hit the
model is stopped at once, its own `Finish` with the usage never comes, and the usage is what was counted here.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from inference.contracts import Event, Events, Finish, FinishReason, Prefilled, Text, Token, Usage
from inference.output.automaton import Automaton
from inference.output.echo import Echo
from inference.output.logprobs import LogprobLedger


@dataclass(frozen=True, slots=True)
class Cut:
    """What of the text may be said now, and whether a stop text follows it."""

    text: str
    stopped: bool


class StopStrings:
    """Finds the first stop text in a text that comes in pieces, holding back no more than it must.

    First is the one that begins first, as if each were searched for in the whole text; so a stop text that
    lies inside a longer one which has begun before it counts only when the longer one fails.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        """Raises `ValueError` when a stop text is empty."""
        self._automaton = Automaton(stops)
        self._state = 0
        self._held = ""
        self._found: int | None = None
        """Where in `_held` the first stop text so far begins."""

    def push(self, piece: str) -> Cut:
        """Takes the next piece; after a hit nothing more may be pushed."""
        start = len(self._held)
        self._held += piece
        for end, character in enumerate(piece, start + 1):
            self._state = self._automaton.step(self._state, character)
            self._note(end - self._automaton.longest[self._state], end)
            if self._found is not None and end - self._automaton.depth[self._state] >= self._found:
                return Cut(self._release(self._found), stopped=True)
        return Cut(self._release(len(self._held) - self._automaton.depth[self._state]), stopped=False)

    def flush(self) -> Cut:
        """What was held back, where the text ends; another may begin."""
        self._state = 0
        if self._found is not None:
            return Cut(self._release(self._found), stopped=True)
        return Cut(self._release(len(self._held)), stopped=False)

    def _note(self, begin: int, end: int) -> None:
        if begin < end and (self._found is None or begin < self._found):
            self._found = begin

    def _release(self, count: int) -> str:
        text, self._held = self._held[:count], self._held[count:]
        if self._found is not None:
            self._found -= count
        return text


async def stop_strings(
    events: Events, stops: Sequence[str], prompt: Usage, echo: Echo | None = None
) -> Events:
    """Takes `Text`, `Token`s and `Prefilled`; gives the text before the first stop text, keeps the others.

    `prompt` is the usage of the prompt alone; `echo` makes what is said of it before the answer. On a hit the
    model is closed, and the stream ends with `Finish(STOP)` and that usage plus every token seen, the one
    that completed the stop text included. Otherwise it ends with the model's own `Finish`. Raises
    `ValueError` when a stop text is empty.
    """
    search, ledger, seen = StopStrings(stops), LogprobLedger(), 0
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Token):
                seen += 1
                continue
            if isinstance(event, Prefilled):
                prompt = replace(prompt, cached_tokens=event.cached_tokens)
                if echo is not None:
                    yield echo(event)
                continue
            if isinstance(event, Text):
                ledger.add(event)
            cut = _cut(search, event)
            if cut.text:
                yield ledger.show(cut.text)
            if cut.stopped:
                usage = event.usage if isinstance(event, Finish) else prompt + Usage(completion_tokens=seen)
                stop = Finish(FinishReason.STOP, usage)
                break
            if not isinstance(event, Text):
                if scores := ledger.rest():
                    yield Text("", scores)
                yield event
        else:
            return
    yield stop


def _cut(search: StopStrings, event: Event) -> Cut:
    """Any other event than text is a border that no stop text crosses."""
    return search.push(event.text) if isinstance(event, Text) else search.flush()

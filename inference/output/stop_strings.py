"""Many texts searched for at once in one that comes character by character (Aho and Corasick, 1975)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from inference.contracts import Event, Events, Finish, FinishReason, Prefilled, Text, Token, Usage
from inference.output.detokenize import Echo
from inference.output.logprobs import LogprobLedger


class Automaton:
    """The prefixes of the texts are its states; 0 is the empty one, where a search begins.

    `depth[state]` is how many characters, up to the last one read, could still become one of the texts.
    `longest[state]` is the length of the longest text that ends with the last character, 0 where none does.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        """Raises `ValueError` when a text is empty."""
        if not all(texts):
            raise ValueError("an empty text is found everywhere")
        self._next: list[dict[str, int]] = [{}]
        self._fail = [0]
        self.depth = [0]
        self.longest = [0]
        for text in texts:
            self._add(text)
        self._link()

    def step(self, state: int, character: str) -> int:
        """The state after one more character; amortised constant time."""
        while True:
            following = self._next[state].get(character)
            if following is not None:
                return following
            if state == 0:
                return 0
            state = self._fail[state]

    def _add(self, text: str) -> None:
        state = 0
        for character in text:
            state = self._next[state].get(character) or self._grow(state, character)
        self.longest[state] = len(text)

    def _grow(self, state: int, character: str) -> int:
        self._next[state][character] = len(self.depth)
        self._next.append({})
        self._fail.append(0)
        self.depth.append(self.depth[state] + 1)
        self.longest.append(0)
        return len(self.depth) - 1

    def _link(self) -> None:
        """Links each state to the longest other one that is a suffix of it."""
        for state, character, child in self._by_depth():
            self._fail[child] = self.step(self._fail[state], character) if state else 0
            self.longest[child] = self.longest[child] or self.longest[self._fail[child]]

    def _by_depth(self) -> Iterator[tuple[int, str, int]]:
        waiting = deque([0])
        while waiting:
            state = waiting.popleft()
            for character, child in self._next[state].items():
                yield state, character, child
                waiting.append(child)


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

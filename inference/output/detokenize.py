"""The first stage of an answer: tokens to text, with an echoed prompt and log probabilities on request."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol, TypeAlias

from inference.contracts import (
    Event,
    Events,
    Finish,
    FinishReason,
    Prefilled,
    ScoredToken,
    Text,
    Token,
    Usage,
)
from inference.output.logprobs import LogprobConverter, TokenBytes, TokenLogprobBuffer

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


class Automaton:
    """An Aho-Corasick automaton: its states are the prefixes of the texts, 0 the empty one it starts in.

    `depth[state]` is the number of characters, up to the last one read, that could still become one of the
    texts. `longest[state]` is the length of the longest text that ends with the last character, or 0.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        """Build the states of the texts.

        Raises `ValueError` when a text is empty.
        """
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
        """Return the state after one more character, in amortised constant time."""
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
        """Link each state to the longest other one that is a suffix of it."""
        for state, character, child in self._by_depth():
            self._fail[child] = self.step(self._fail[state], character) if state else 0
            self.longest[child] = self.longest[child] or self.longest[self._fail[child]]

    def _by_depth(self) -> Iterator[tuple[int, str, int]]:
        """Yield every edge, shallow ones first."""
        queue = deque([0])
        while queue:
            state = queue.popleft()
            for character, child in self._next[state].items():
                yield state, character, child
                queue.append(child)


@lru_cache(maxsize=32)
def automaton_of(texts: tuple[str, ...]) -> Automaton:
    """Return the automaton of the texts, the same for all choices of a request. Raises as `Automaton`."""
    return Automaton(texts)


@dataclass(frozen=True, slots=True)
class MatchResult:
    """The text that is certain to come before any stop string; `stopped` is true if one follows it."""

    text: str
    stopped: bool


class StopStringMatcher:
    """An incremental search for the first stop string in a text, which keeps back no more than it must.

    First is the one that starts first, as if each were searched for in the whole text; so a stop string
    inside a longer one that starts before it counts only when the longer one fails to match.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        """Prepare the search.

        Raises `ValueError` when a stop string is empty.
        """
        self._automaton = automaton_of(tuple(stops))
        self._state = 0
        self._pending = ""
        self._found: int | None = None
        """The index in `_pending` of the first stop string found so far."""

    def push(self, piece: str) -> MatchResult:
        """Take the next piece; nothing more may be pushed after a match."""
        start = len(self._pending)
        self._pending += piece
        for end, character in enumerate(piece, start + 1):
            self._state = self._automaton.step(self._state, character)
            self._note_match(end - self._automaton.longest[self._state], end)
            if self._found is not None and end - self._automaton.depth[self._state] >= self._found:
                return MatchResult(self._release(self._found), stopped=True)
        certain = len(self._pending) - self._automaton.depth[self._state]
        return MatchResult(self._release(certain), stopped=False)

    def flush(self) -> MatchResult:
        """Return the text still pending, at its end; another text may start."""
        self._state = 0
        if self._found is not None:
            return MatchResult(self._release(self._found), stopped=True)
        return MatchResult(self._release(len(self._pending)), stopped=False)

    def _note_match(self, start: int, end: int) -> None:
        if start < end and (self._found is None or start < self._found):
            self._found = start

    def _release(self, count: int) -> str:
        text, self._pending = self._pending[:count], self._pending[count:]
        if self._found is not None:
            self._found -= count
        return text


async def apply_stop_strings(
    events: Events, stops: Sequence[str], prompt: Usage, echo: Echo | None = None
) -> Events:
    """Yield the events up to the first stop string, without the `Token`s and `Prefilled` they came with.

    `prompt` is the usage of the prompt alone; `echo` makes the text before the answer. On a match the model
    is closed, and the stream ends with `Finish(STOP)` and that usage plus every token so far, the one that
    completed the stop string included. Otherwise it ends with the model's own `Finish`. Raises `ValueError`
    when a stop string is empty.
    """
    matcher, tokens = StopStringMatcher(stops), 0
    scores: TokenLogprobBuffer | None = None
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Token):
                tokens += 1
                continue
            if isinstance(event, Prefilled):
                prompt = replace(prompt, cached_tokens=event.cached_tokens)
                if echo is not None:
                    yield echo(event)
                continue
            scores = _with_scores(scores, event)
            result = _match(matcher, event)
            if result.text:
                yield scores.release(result.text) if scores else Text(result.text)
            if result.stopped:
                stop = _stop(event, prompt, tokens)
                break
            if not isinstance(event, Text):
                if scores and (rest := scores.flush()):
                    yield Text("", rest)
                yield event
        else:
            return
    yield stop


def _with_scores(scores: TokenLogprobBuffer | None, event: Event) -> TokenLogprobBuffer | None:
    """Return the buffer with the scores of an event, made with the first ones: most requests have none."""
    if isinstance(event, Text) and event.scores:
        scores = scores or TokenLogprobBuffer()
        scores.add(event)
    return scores


def _stop(event: Event, prompt: Usage, tokens: int) -> Finish:
    usage = event.usage if isinstance(event, Finish) else prompt + Usage(completion_tokens=tokens)
    return Finish(FinishReason.STOP, usage)


def _match(matcher: StopStringMatcher, event: Event) -> MatchResult:
    # No stop string reaches across an event that is not text.
    return matcher.push(event.text) if isinstance(event, Text) else matcher.flush()

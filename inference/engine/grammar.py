"""Grammars of one model's vocabulary: which tokens may follow, in answers that are constrained."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from inference.contracts import Constraint
from inference.engine.grammar_compiler import GrammarError, Vocabulary, compile_grammar, error_line
from inference.engine.interfaces import IntArray, Logits

if TYPE_CHECKING:
    from llguidance import LLMatcher

__all__ = ["GrammarError", "GrammarMatcher", "Grammars"]

Flags: TypeAlias = NDArray[np.bool_]
Made = TypeVar("Made")

MAX_CACHED_GRAMMARS = 32
"""Compiled grammars in the cache: a usual one takes tens of KiB, the worst within the limits some 60 MiB."""
RECOMPILE_AFTER = 4096
"""Tokens that the matchers of one compiled grammar take together before it is compiled again: they share a
lexer that keeps every state it was ever in, and fails at a limit."""


@dataclass(slots=True)
class _CompiledGrammar:
    origin: LLMatcher
    advanced: int = 0
    """Tokens that its matchers took; counted without a lock, since it need not be exact."""


class Grammars:
    """The grammars of one model's vocabulary; every method may be called from any thread."""

    def __init__(
        self,
        tokenizer_json: str,
        *,
        vocabulary: int,
        stop_tokens: frozenset[int],
        never: frozenset[int] = frozenset(),
    ) -> None:
        """Take a tokenizer.json, which is read with the first grammar or by `prepare`.

        `vocabulary` is the number of logits; tokens beyond it never follow, nor do those of `never`. Each of
        the `stop_tokens` ends an answer and is never text, whatever its tokenizer.json entry; there may be
        none.
        """
        self._json: str | None = tokenizer_json
        self._size = vocabulary
        self._never = frozenset(token for token in never if 0 <= token < vocabulary)
        self._stops = frozenset(token for token in stop_tokens if 0 <= token < vocabulary)
        self._vocabulary: Vocabulary | None = None
        self._cache: OrderedDict[Constraint, _CompiledGrammar] = OrderedDict()
        """Compiled grammars, the least recently used first."""
        self._made: OrderedDict[bytes, object] = OrderedDict()
        """Results that callers had made, the least recently used first."""
        self._compiling = threading.Lock()
        """Locked while a vocabulary is read or a grammar compiled: that never takes more than one core."""
        self._caching = threading.Lock()

    def prepare(self) -> None:
        """Read the vocabulary, once: 0.5 to 0.8 s of CPU time for one of 152 000 tokens.

        Raises `GrammarError` where the bytes of this tokenizer's tokens are unknown.
        """
        with self._compiling:
            self._prepared()

    def check(self, constraint: Constraint) -> None:
        """Raise `GrammarError` for a constraint that is not a grammar, is too large, or matches no text."""
        self._compiled(constraint)

    def refusal(self, constraint: Constraint) -> str | None:
        """Return the message of the error that `check` would raise, or None; nothing is cached."""
        try:
            with self._compiling:
                compile_grammar(constraint, self._prepared())
        except GrammarError as error:
            return str(error)
        return None

    def accepts(self, constraint: Constraint, text: str) -> bool:
        """Return True if an answer of the constraint can start with the text. Raises as `check`."""
        state = self._compiled(constraint).origin.deep_copy()
        assert self._vocabulary is not None
        tokens = self._vocabulary.library.tokenize_str(text)
        return bool(state.try_consume_tokens(tokens) == len(tokens))

    def remembered(self, key: bytes, make: Callable[[], Made]) -> Made:
        """Return the result that `make` had for the same key before, else its result now."""
        with self._caching:
            if key in self._made:
                self._made.move_to_end(key)
                return cast("Made", self._made[key])
        made = make()
        with self._caching:
            self._made[key] = made
            if len(self._made) > MAX_CACHED_GRAMMARS:
                self._made.popitem(last=False)
        return made

    def matcher(self, constraint: Constraint) -> GrammarMatcher:
        """Return a matcher at the start of an answer; cheap after `check`, whose errors it raises."""
        compiled = self._compiled(constraint)
        assert self._vocabulary is not None
        return GrammarMatcher(compiled, self._vocabulary, self._size, self._stops, self._never)

    def _compiled(self, constraint: Constraint) -> _CompiledGrammar:
        cached = self._cached(constraint)
        if cached is None:
            with self._compiling:
                cached = _CompiledGrammar(compile_grammar(constraint, self._prepared()))
            self._add_to_cache(constraint, cached)
        return cached

    def _cached(self, constraint: Constraint) -> _CompiledGrammar | None:
        with self._caching:
            cached = self._cache.get(constraint)
            if cached is None or cached.advanced >= RECOMPILE_AFTER:
                return None
            self._cache.move_to_end(constraint)
            return cached

    def _add_to_cache(self, constraint: Constraint, compiled: _CompiledGrammar) -> None:
        with self._caching:
            self._cache[constraint] = compiled
            self._cache.move_to_end(constraint)
            if len(self._cache) > MAX_CACHED_GRAMMARS:
                self._cache.popitem(last=False)

    def _prepared(self) -> Vocabulary:
        if self._vocabulary is None:
            assert self._json is not None
            self._vocabulary = Vocabulary.read(self._json, self._size)
            self._json = None
        return self._vocabulary


class GrammarMatcher:
    """The state of one answer in its grammar. Used by one thread at a time.

    The grammar is of the answer's bytes: a special token follows only where the grammar names it.
    """

    def __init__(
        self,
        compiled: _CompiledGrammar,
        vocabulary: Vocabulary,
        size: int,
        stops: frozenset[int],
        never: frozenset[int],
    ) -> None:
        self._compiled = compiled
        self._state = compiled.origin.deep_copy()
        self._end = vocabulary.end
        self._size = size
        self._stops = stops
        self._stop_ids: IntArray = np.array(sorted(stops), np.int64)
        self._never = never
        self._never_text: IntArray = np.array(sorted(stops | never), np.int64)
        self._ended = False
        self._blocked_bits = np.zeros((vocabulary.library.vocab_size + 31) // 32, np.uint32)
        self._fresh = False
        """True if `_blocked_bits` has a 1 for each token that may not follow right here."""

    def mask(self, logits: Logits) -> None:
        """Set the logits, [vocabulary], of tokens that may not follow to minus infinity, in place.

        Where the grammar is complete every stop token may follow. Raises `GrammarError` where the next state
        exceeds the limits of a grammar's cost.
        """
        blocked = self._blocked()
        blocked[self._stop_ids] = not self._complete
        np.putmask(logits, blocked, -np.inf)

    def advance(self, token: int) -> None:
        """Append a sampled token, a stop token included. Raises `GrammarError` if it cannot follow."""
        if token in self._stops:
            if not self._complete:
                raise GrammarError(f"the stop token {token} cannot follow: the answer is not complete")
            self._ended = True
            self._fresh = False
            return
        if self._ended or token == self._end or not 0 <= token < self._size:
            raise GrammarError(f"token {token} cannot follow")
        if not self._state.consume_token(token):
            raise GrammarError(f"token {token} cannot follow: {error_line(self._state.get_error())}")
        self._fresh = False
        self._compiled.advanced += 1

    def forced(self) -> list[int]:
        """Return the tokens that must follow whatever the model predicts, cut as the tokenizer cuts them.

        [] where the model has a choice. None of them is a stop token, and the matcher does not advance.
        """
        if self._ended or self._state.is_stopped():
            return []
        tokens: list[int] = []
        for token in self._state.compute_ff_tokens():
            if token in (self._end, *self._stops, *self._never) or token >= self._size:
                break
            tokens.append(token)
        return tokens

    @property
    def is_terminated(self) -> bool:
        """True if nothing but a stop token can follow. Raises as `mask`."""
        if self._ended or self._state.is_stopped():
            return True
        # Only the mask may show that an accepted text cannot continue.
        return self._complete and bool(self._blocked().all())

    @property
    def _complete(self) -> bool:
        return self._ended or self._state.is_accepting()

    def _blocked(self) -> Flags:
        """Return [vocabulary]: True for each token that may not follow as text.

        Always for stop tokens and those that are never drawn.
        """
        if not self._fresh:
            self._refresh()
        bits = np.unpackbits(self._blocked_bits.view(np.uint8), count=self._size, bitorder="little")
        blocked = bits.view(np.bool_)
        blocked[self._never_text] = True
        return blocked

    def _refresh(self) -> None:
        allowed = self._blocked_bits  # inverted at the end, in its own memory
        if self._ended or self._state.is_stopped():
            allowed.fill(0)
        else:
            self._state.unsafe_compute_mask_ptr(allowed.ctypes.data, allowed.nbytes)
            if self._state.is_error():
                raise GrammarError(error_line(self._state.get_error()))
            allowed[self._end // 32] &= np.uint32(~(1 << self._end % 32) & 0xFFFFFFFF)
        np.invert(allowed, out=self._blocked_bits)
        self._fresh = True

"""Which tokens may follow: an answer held to a grammar, token by token."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from inference.contracts import Constraint
from inference.engine.grammar_compiler import GrammarError, Vocabulary, compile_grammar, sentence
from inference.engine.interfaces import Counts, Logits

if TYPE_CHECKING:
    from llguidance import LLMatcher

__all__ = ["GrammarError", "GrammarMatcher", "Grammars"]

Flags: TypeAlias = NDArray[np.bool_]

MOST_REMEMBERED = 32
"""Compiled grammars kept: a usual one takes tens of KiB, the worst that the limits admit some 60 MiB."""
RETIRED_AFTER = 4096
"""Tokens that the matchers of one compiled grammar take together before it is compiled anew: they share a
lexer that keeps every state it was ever in, and gives up at a limit."""


@dataclass(slots=True)
class _Compiled:
    origin: LLMatcher
    taken: int = 0
    """Tokens that its matchers have advanced by; counted without a lock, for it need not be exact."""


class Grammars:
    """The grammars of one model's vocabulary; every method may be called from any thread.

    `vocabulary` is how many logits there are, at least as many as the tokenizer has tokens. Each of the
    `stop_tokens` ends an answer and is never text, whatever the tokenizer says of it; there may be none.
    """

    def __init__(self, tokenizer_json: str, *, vocabulary: int, stop_tokens: frozenset[int]) -> None:
        self._json: str | None = tokenizer_json
        self._size = vocabulary
        self._stops = frozenset(token for token in stop_tokens if 0 <= token < vocabulary)
        self._vocabulary: Vocabulary | None = None
        self._known: OrderedDict[Constraint, _Compiled] = OrderedDict()
        self._working = threading.Lock()
        """Held while the vocabulary is read or a grammar compiled: grammars never take more than one core."""
        self._remembering = threading.Lock()

    def prepare(self) -> None:
        """Reads the vocabulary, which takes 0.5 to 0.8 s of CPU time for one of 152 000 tokens; once.

        Raises `GrammarError` where this tokenizer's tokens do not tell their bytes.
        """
        with self._working:
            self._prepared()

    def check(self, constraint: Constraint) -> None:
        """Raises `GrammarError` when the constraint is no grammar, too large, or matches no text."""
        self._compiled(constraint)

    def refusal(self, constraint: Constraint) -> str | None:
        """What `check` would say, or None; the constraint is not remembered."""
        try:
            with self._working:
                compile_grammar(constraint, self._prepared())
        except GrammarError as error:
            return str(error)
        return None

    def matcher(self, constraint: Constraint) -> GrammarMatcher:
        """One answer's way through the constraint. Raises as `check`, and is cheap after it."""
        compiled = self._compiled(constraint)
        assert self._vocabulary is not None
        return GrammarMatcher(compiled, self._vocabulary, self._size, self._stops)

    def _compiled(self, constraint: Constraint) -> _Compiled:
        known = self._remembered(constraint)
        if known is None:
            with self._working:
                known = _Compiled(compile_grammar(constraint, self._prepared()))
            self._remember(constraint, known)
        return known

    def _remembered(self, constraint: Constraint) -> _Compiled | None:
        with self._remembering:
            known = self._known.get(constraint)
            if known is None or known.taken >= RETIRED_AFTER:
                return None
            self._known.move_to_end(constraint)
            return known

    def _remember(self, constraint: Constraint, compiled: _Compiled) -> None:
        with self._remembering:
            self._known[constraint] = compiled
            self._known.move_to_end(constraint)
            if len(self._known) > MOST_REMEMBERED:
                self._known.popitem(last=False)

    def _prepared(self) -> Vocabulary:
        if self._vocabulary is None:
            assert self._json is not None
            self._vocabulary = Vocabulary.read(self._json, self._size)
            self._json = None
        return self._vocabulary


class GrammarMatcher:
    """Where one answer stands in its grammar. Used by one thread at a time.

    The grammar is of the answer's bytes: a special token follows only where the grammar names it.
    """

    def __init__(self, compiled: _Compiled, vocabulary: Vocabulary, size: int, stops: frozenset[int]) -> None:
        self._compiled = compiled
        self._state = compiled.origin.deep_copy()
        self._end = vocabulary.end
        self._size = size
        self._stops = stops
        self._stop_ids: Counts = np.array(sorted(stops), np.int64)
        self._ended = False
        self._words = np.zeros((vocabulary.library.vocab_size + 31) // 32, np.uint32)
        self._fresh = False
        """Whether `_words` holds a 1 for each token that may not follow right here."""

    def mask(self, logits: Logits) -> None:
        """Sets the logits, [vocabulary], of whatever may not follow to minus infinity, in place.

        Where the grammar is complete every stop token may follow. Raises `GrammarError` where going on
        exceeds the limits of what a grammar may cost.
        """
        blocked = self._blocked()
        blocked[self._stop_ids] = not self._complete
        np.putmask(logits, blocked, -np.inf)

    def advance(self, token: int) -> None:
        """Takes a token that was drawn, a stop token included. Raises `GrammarError` if it cannot follow."""
        if token in self._stops:
            if not self._complete:
                raise GrammarError(f"the stop token {token} cannot follow: the answer is not complete")
            self._ended = True
            self._fresh = False
            return
        if self._ended or token == self._end or not 0 <= token < self._size:
            raise GrammarError(f"token {token} cannot follow")
        if not self._state.consume_token(token):
            raise GrammarError(f"token {token} cannot follow: {sentence(self._state.get_error())}")
        self._fresh = False
        self._compiled.taken += 1

    def forced(self) -> list[int]:
        """The tokens that must follow now whatever the model says, cut as the tokenizer would cut them.

        [] where the model has a choice. None of them is a stop token, and the matcher is not advanced.
        """
        if self._ended or self._state.is_stopped():
            return []
        tokens: list[int] = []
        for token in self._state.compute_ff_tokens():
            if token == self._end or token in self._stops or token >= self._size:
                break
            tokens.append(token)
        return tokens

    @property
    def over(self) -> bool:
        """Whether nothing but a stop token can follow. Raises as `mask`."""
        if self._ended or self._state.is_stopped():
            return True
        # The library may see no earlier than with the mask that what it accepts cannot go on.
        return self._complete and bool(self._blocked().all())

    @property
    def _complete(self) -> bool:
        return self._ended or self._state.is_accepting()

    def _blocked(self) -> Flags:
        """[vocabulary]: what may not follow as text. Stop tokens are never text."""
        if not self._fresh:
            self._refresh()
        bits = np.unpackbits(self._words.view(np.uint8), count=self._size, bitorder="little")
        blocked = bits.view(np.bool_)
        blocked[self._stop_ids] = True
        return blocked

    def _refresh(self) -> None:
        if self._ended or self._state.is_stopped():
            self._words.fill(0)
        else:
            self._state.unsafe_compute_mask_ptr(self._words.ctypes.data, self._words.nbytes)
            if self._state.is_error():
                raise GrammarError(sentence(self._state.get_error()))
            self._words[self._end // 32] &= np.uint32(~(1 << self._end % 32) & 0xFFFFFFFF)
        np.invert(self._words, out=self._words)
        self._fresh = True

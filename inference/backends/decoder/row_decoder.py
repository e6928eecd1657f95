"""What every decoder over a session has in common: runs of one row, and everything that is made of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from inference.backends.decoder.graph import DecoderGraph
from inference.contracts import TokenIds
from inference.engine.interfaces import IntArray, Logits
from inference.engine.kv_cache import KVCache


@dataclass(frozen=True, slots=True)
class GraphTraits:
    """What a graph needs so that a row's results are a function of that row alone: `onnx_decoder_trial`."""

    batches: bool = True
    """Rows may share a decode step."""
    company: bool = False
    """A row that runs alone runs with a companion, because one row by itself takes another kernel: float32
    activations times blockwise weights (`MatMulNBits` of accuracy_level 0)."""
    ragged: bool = True
    """Whole prompts of several lengths may share a run."""
    whole_mask: bool = False
    """The mask is as wide as the cache, always, because its width changes the numbers: graphs with two
    tables of rotary angles choose one by it. Such a model has the angles of the context's length."""
    pads: bool = False
    """A graph that gives its cache back longer takes masked positions before a row's past."""
    prefill_alignment: int = 1
    """As `Decoder.prefill_alignment`; the context where a prompt has to come at once."""


class RowDecoder(ABC):
    """An `engine.decoder.Decoder` that runs one row at a time; the flavours of graphs do better.

    `width` is that of the logits; `vocabulary` is the tokenizer's: the ids that a wider lm_head has beyond it
    are cut off, so never drawn.
    """

    def __init__(
        self,
        session: ort.InferenceSession,
        graph: DecoderGraph,
        cache: KVCache,
        *,
        width: int,
        vocabulary: int,
        habits: GraphTraits | None = None,
    ) -> None:
        self.vocabulary = vocabulary
        self.scores = graph.scores
        self.habits = habits or GraphTraits()
        self.quiet = False
        """Whether runs of one row may fail without a line in the log."""
        self._open: ort.InferenceSession | None = session
        self._graph = graph
        self._cache = cache
        self._width = width
        self._order = np.arange(cache.length)
        self._memory = np.empty(0, graph.logits)

    @property
    def prefill_alignment(self) -> int:
        return self.habits.prefill_alignment

    def prefill(self, row: int, tokens: TokenIds, past: int) -> Logits:
        logits = self._room(1, 1)[0]
        for start, piece in self._pieces(tokens, past):
            last = [len(piece) - 1] * (2 if self.habits.company else 1)
            logits = self._run_row(row, piece, start, np.array(last), keep=1)
        return np.asarray(logits[-1])

    def score(self, row: int, tokens: TokenIds, past: int) -> Logits:
        found = [
            self._run_row(row, piece, start, np.arange(len(piece)), keep=0)
            for start, piece in self._pieces(tokens, past)
        ]
        return found[0] if len(found) == 1 else np.concatenate(found)

    def prefill_together(self, row: int, prompts: Sequence[TokenIds]) -> Logits:
        return np.stack([self.prefill(row + n, prompt, 0).copy() for n, prompt in enumerate(prompts)])

    def decode(self, tokens: IntArray, lengths: IntArray) -> Logits:
        pairs = enumerate(zip(tokens.tolist(), lengths.tolist(), strict=True))
        return np.stack([self.prefill(row, (token,), end - 1).copy() for row, (token, end) in pairs])

    def close(self) -> None:
        """Gives back the session, with its threads and weights."""
        self._open = None

    @abstractmethod
    def _run_row(self, row: int, tokens: TokenIds, past: int, asked: IntArray, *, keep: int) -> Logits:
        """One run; [positions, vocabulary] of those asked for, or of all where the graph gives all.

        `asked` are positions in the run, `keep` says the same to graphs that can be asked for the last so
        many only, 0 for all.
        """

    @property
    def _session(self) -> ort.InferenceSession:
        assert self._open is not None, "the decoder is closed"
        return self._open

    def _pieces(self, tokens: TokenIds, past: int) -> Iterator[tuple[int, TokenIds]]:
        """The tokens, cut wherever a multiple of the prefill_alignment falls, each piece with its past.

        After a past, a graph that wants a prompt at once takes one token at a time.
        """
        start, end, prefill_alignment = past, past + len(tokens), self.prefill_alignment
        if past and prefill_alignment == self._cache.length > 1:
            yield from ((past + place, (token,)) for place, token in enumerate(tokens))
            return
        while start < end:
            stop = end if prefill_alignment == 1 else min(end, start - start % prefill_alignment + prefill_alignment)
            yield start, tokens[start - past : stop - past]
            start = stop

    def _room(self, rows: int, count: int) -> NDArray[Any]:
        """Memory for the logits of so many positions, [rows, count, width]; the next call's is the same."""
        size = rows * count * self._width
        if self._memory.size < size:
            self._memory = np.empty(size, self._graph.logits)
        return self._memory[:size].reshape(rows, count, self._width)

    def _float32(self, logits: NDArray[Any]) -> Logits:
        return logits[..., : self.vocabulary].astype(np.float32, copy=False)

"""Answers of a decoder's graph to a few tokens, by which an edited graph is compared with its original.

Both run as the server runs them: a prompt at once, a prompt in two parts, prompts of one token, and a step
that two sequences share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from inference.backends.decoder.graph import DecoderGraph
from inference.backends.decoder.probe import ROUNDING, form_of
from inference.backends.decoder.row_decoder import GraphTraits, RowDecoder
from inference.backends.session import open_session
from inference.cards.card import CardError
from inference.engine.kv_cache import KVCache
from inference.settings import Settings

PROMPT, CUT, OTHER = 9, 5, 3
"""Tokens of the prompt, of its first part when it is cut, and of the prompt of another row."""


@dataclass(frozen=True, slots=True)
class GraphSizes:
    """Sizes of a cache that files beside the graph state: of a head, None for the graph's, and its length."""

    head: int | None
    context: int


Array: TypeAlias = NDArray[np.generic]
Answers: TypeAlias = list[Array | None]
"""Logits of each run in the graph's own type, None for a run that the graph refuses."""


def answer_alike(original: Path, edited: Path, sizes: GraphSizes, settings: Settings) -> bool:
    """Return True if the edited graph has the logits of the original, but for rounding.

    False where a graph does not open. The graphs are opened one after the other.
    """
    try:
        expected, found = (_answers(path, sizes, settings) for path in (original, edited))
    except CardError:
        return False
    ran = any(answer is not None for answer in expected)
    return ran and all(_alike(one, other) for one, other in zip(expected, found, strict=True))


def _answers(path: Path, sizes: GraphSizes, settings: Settings) -> Answers:
    # A graph that may be dropped is not prepared for the next start.
    session = open_session(path, replace(settings, prepack=False))
    graph = DecoderGraph.of(session, sizes.head)
    form = form_of(session, graph, sizes.context)
    cache = KVCache.allocate(graph.layout, 2, sizes.context)
    with closing(
        form.decoder(session, form.graph, cache, width=form.width, vocabulary=form.width)
    ) as decoder:
        decoder.quiet = True
        decoder.traits = GraphTraits(pads=True)
        return [_attempt(run, graph.logits) for run in _runs(decoder)]


def _runs(decoder: RowDecoder) -> Iterator[Callable[[], NDArray[np.float32]]]:
    tokens = tuple((3 + 5 * index) % decoder.vocabulary for index in range(PROMPT))
    yield lambda: decoder.score(0, tokens, 0)
    yield lambda: decoder.prefill(0, tokens[:1], 0)
    yield lambda: decoder.prefill(0, tokens, 0)
    yield lambda: decoder.prefill(0, tokens[:CUT], 0)
    yield lambda: decoder.score(0, tokens[CUT:], CUT)
    yield lambda: decoder.prefill(1, tokens[:OTHER], 0)
    yield lambda: decoder.decode(np.array([tokens[0], tokens[1]]), np.array([PROMPT + 1, OTHER + 1]))


def _attempt(run: Callable[[], NDArray[np.float32]], dtype: np.dtype[np.generic]) -> Array | None:
    try:
        return run().astype(dtype)
    except Exception:  # noqa: BLE001  any failure shows that the graph cannot do it
        return None


def _alike(expected: Array | None, found: Array | None) -> bool:
    if expected is None or found is None:
        return expected is found
    if expected.shape != found.shape or expected.dtype != found.dtype:
        return False
    return (
        np.array_equal(expected, found, equal_nan=True)
        or _distance(found.astype(np.float32), expected.astype(np.float32)) <= ROUNDING[expected.dtype]
    )


def _distance(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """Return the largest difference, in standard deviations; not a number where one of them is."""
    return float(np.abs(found - expected).max() / max(float(expected.std()), 1e-9))

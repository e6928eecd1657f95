"""`models check --quality`: perplexity of a deployment on a text, and its agreement with a reference.

The text (quality.txt) is this project's own: prose, dialogue, numbers, code, a letter. It is scored in
windows, each for itself, so that a short context scores what a long one does.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.backends.loaded_models import GenerativeModel
from inference.cards.card import CardError
from inference.cards.json_files import read_object
from inference.contracts import GenerationRequest, Generator, PositionLogprobs, Prefilled, TokenIds
from inference.registry.registry import Registry
from inference.settings import Settings

TEXT = Path(__file__).with_name("quality.txt")
WINDOW = 512
"""Tokens of a window, at most."""
LOAD_SECONDS = 3600


class NoQuality(Exception):
    """The quality cannot be measured; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class TextScores:
    """The log probabilities that a model gives the text: one for each token but the first of a window."""

    windows: tuple[tuple[int, ...], ...]
    logprobs: tuple[float, ...]
    best: tuple[int, ...]
    """The likeliest token at each of these positions."""

    @property
    def perplexity(self) -> float:
        return math.exp(-sum(self.logprobs) / len(self.logprobs))

    @property
    def bits_per_byte(self) -> float:
        """Comparable between models that cut the text into other tokens, unlike perplexity."""
        return -sum(self.logprobs) / math.log(2) / len(TEXT.read_bytes())

    @property
    def json(self) -> dict[str, Any]:
        """The scores as a file has them."""
        return {
            "windows": [list(window) for window in self.windows],
            "logprobs": [round(value, 5) for value in self.logprobs],
            "best": list(self.best),
        }


@dataclass(frozen=True, slots=True)
class Agreement:
    """The distance of a deployment from its reference, over the positions of the text."""

    perplexity_change: float
    """Relative: 0.01 is one per cent above the reference's."""
    same_best: float
    """Share of positions at which both find the same token the likeliest."""
    mean_difference: float
    """Of the log probabilities of the text's tokens, absolute."""
    worst_difference: float


def read_text() -> str:
    """Return the text that is scored."""
    return TEXT.read_text(encoding="utf-8")


def windows_of(ids: TokenIds, first: TokenIds, size: int) -> tuple[tuple[int, ...], ...]:
    """Return the tokens in windows of at most `size`, each of which begins with the tokens in `first`.

    A rest of one token is left out: nothing precedes it.
    """
    step = size - len(first)
    pieces = (tuple(ids[begin : begin + step]) for begin in range(0, len(ids), step))
    return tuple((*first, *piece) for piece in pieces if len(first) + len(piece) > 1)


async def text_scores(name: str, settings: Settings) -> TextScores:
    """Open a deployment and score the text.

    Raises `errors.ApiError` where it does not open, and `NoQuality` where it has no log probabilities.
    """
    registry = await asyncio.to_thread(Registry.after_listing, settings)
    try:
        opened = await registry.open(registry.get(name), patience=LOAD_SECONDS)
        if not isinstance(opened, GenerativeModel):
            raise NoQuality(f"{name} does not generate text: only generators are compared by perplexity.")
        whole = opened.tokenizer.encode(read_text(), special=True)
        plain = opened.tokenizer.encode(read_text(), special=False)
        first = whole[:1] if whole[:1] != plain[:1] else []
        windows = windows_of(plain, first, min(WINDOW, opened.generator.context))
        scored = [await _scores(opened.generator, window) for window in windows]
    finally:
        registry.close()
    positions = [position for window in scored for position in window]
    return TextScores(
        windows,
        tuple(position.chosen for position in positions),
        tuple(position.top[0][0] for position in positions),
    )


async def _scores(generator: Generator, window: tuple[int, ...]) -> Sequence[PositionLogprobs]:
    request = GenerationRequest(window, 0, logprobs=1, prompt_logprobs=True)
    return [
        position
        async for event in generator.generate(request)
        if isinstance(event, Prefilled)
        for position in event.logprobs
    ]


def recorded_scores(path: Path) -> TextScores:
    """Return the scores that `--record` wrote. Raises `NoQuality` for another file, or of another text."""
    try:
        found = read_object(path)
        scores = TextScores(
            tuple(tuple(window) for window in found["windows"]),
            tuple(map(float, found["logprobs"])),
            tuple(map(int, found["best"])),
        )
    except (CardError, KeyError, TypeError, ValueError):
        raise NoQuality(
            f"{path} has no scores of a text. `models check NAME --quality --record {path}` writes some."
        ) from None
    expected = sum(len(window) - 1 for window in scores.windows)
    if not expected == len(scores.logprobs) == len(scores.best):
        raise NoQuality(f"{path} has {len(scores.logprobs)} scores for {expected} tokens: record it again.")
    return scores


def agreement(scores: TextScores, reference: TextScores) -> Agreement | None:
    """Return how scores agree with the reference's; None where the two have other tokens."""
    if scores.windows != reference.windows:
        return None
    differences = [abs(one - other) for one, other in zip(scores.logprobs, reference.logprobs, strict=True)]
    same = sum(one == other for one, other in zip(scores.best, reference.best, strict=True))
    return Agreement(
        perplexity_change=scores.perplexity / reference.perplexity - 1,
        same_best=same / len(scores.best),
        mean_difference=sum(differences) / len(differences),
        worst_difference=max(differences),
    )


def quality_table(name: str, scores: TextScores, reference: TextScores | None) -> Iterator[str]:
    """Yield the lines of the table."""
    yield f"{'':<24}{'perplexity':>12}{'bits per byte':>16}{'tokens':>10}"
    for label, one in ((name, scores), ("reference", reference)):
        if one is not None:
            yield f"{label:<24}{one.perplexity:>12.3f}{one.bits_per_byte:>16.4f}{len(one.logprobs):>10}"
    if reference is None:
        return
    found = agreement(scores, reference)
    yield ""
    if found is None:
        yield "The reference cuts the text into other tokens: only bits per byte can be compared."
        return
    yield f"{'perplexity':<44}{found.perplexity_change:>+10.2%}"
    yield f"{'same likeliest token':<44}{found.same_best:>10.1%}"
    yield f"{'log probabilities, mean difference':<44}{found.mean_difference:>10.4f}"
    yield f"{'log probabilities, largest difference':<44}{found.worst_difference:>10.4f}"


def quality_json(name: str, scores: TextScores, reference: TextScores | None) -> str:
    """Return the numbers of the table as JSON."""
    body: dict[str, Any] = {"deployment": name, "text_bytes": len(TEXT.read_bytes())}
    for label, one in (("", scores), ("reference_", reference)):
        if one is not None:
            body[f"{label}perplexity"] = one.perplexity
            body[f"{label}bits_per_byte"] = one.bits_per_byte
            body[f"{label}tokens"] = len(one.logprobs)
    found = agreement(scores, reference) if reference is not None else None
    if found is not None:
        body |= {name: getattr(found, name) for name in Agreement.__slots__}
    return json.dumps(body, indent=2)

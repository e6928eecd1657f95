"""Dialogues and prose as token ids, with what is learnt of them, in batches of rows of similar length."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from training.chat.corpus import dialogue
from training.chat.dialogue import Dialogue, Split
from training.chat.everyday import ANSWERS
from training.chat.prose import prose
from training.chat.recipe import Stage
from training.chat.template import learnt_text
from training.chat.tokenizer import END_OF_TEXT

LENGTHS = (32, 48, 64, 96, 128, 160, 192, 256, 320, 384, 512, 1024)
"""Rows are padded up to one of these, so that the compiled network sees few shapes."""

CHUNK = 8192
SHORT = 400
"""Characters of the longest text in the first part of the training."""

PROSE_SHARE = 0.03
IGNORED = -100


@dataclass(frozen=True, slots=True)
class Sample:
    """ids int64 [tokens] and, for each, what the model must say next, IGNORED where it need not."""

    ids: NDArray[np.int64]
    targets: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Batch:
    """int64 [rows, length] each; padding repeats id 0 and is IGNORED."""

    ids: NDArray[np.int64]
    targets: NDArray[np.int64]


def learnt_sample(encoding: Encoding, spans: list[tuple[int, int]]) -> Sample:
    """Each learnt token is the target of the position before it."""
    ids = np.array(encoding.ids, dtype=np.int64)
    starts = np.array([start for start, _ in encoding.offsets], dtype=np.int64)
    learnt = np.zeros(len(ids), dtype=bool)
    for start, end in spans:
        learnt |= (starts >= start) & (starts < end)
    targets = np.full(len(ids), IGNORED, dtype=np.int64)
    targets[:-1] = np.where(learnt[1:], ids[1:], IGNORED)
    return Sample(ids, targets)


Learnt = tuple[str, list[tuple[int, int]]]
"""A text, and the spans [start, end) of it that are learnt."""


def text(rng: random.Random, stage: Stage) -> Learnt:
    """A rendered dialogue, or now and then some prose, with its learnt spans."""
    if rng.random() < PROSE_SHARE:
        written = prose(rng) + END_OF_TEXT
        return written, [(0, len(written))]
    made = dialogue(rng, Split.TRAIN, stage.mix)
    learnt = learnt_text(made)
    return curtailed(learnt, made) if rng.random() < stage.curtail else learnt


def curtailed(learnt: Learnt, made: Dialogue) -> Learnt:
    """The text without what follows the first sentence of a last answer that is always the same.

    How such an answer goes on is learnt from a few; when it is the answer takes many prompts.
    """
    written, spans = learnt
    answer = made.messages[-1].get("content", "")
    if answer not in ANSWERS:
        return learnt
    (start, _), cut = spans[-1], spans[-1][0] + answer.index(".") + 1
    return written[:cut], [*spans[:-1], (start, cut)]


def samples(rng: random.Random, tokenizer: Tokenizer, stage: Stage, *, short: bool) -> list[Sample]:
    """A chunk of samples; one longer than the longest row, or than SHORT where that is asked, is left out."""
    pairs = [text(rng, stage) for _ in range(CHUNK)]
    kept = [(written, spans) for written, spans in pairs if not short or len(written) <= SHORT]
    encodings = tokenizer.encode_batch([written for written, _ in kept])
    found = [learnt_sample(encoding, spans) for encoding, (_, spans) in zip(encodings, kept, strict=True)]
    return [sample for sample in found if len(sample.ids) <= min(LENGTHS[-1], stage.tokens)]


def padded(rows: list[Sample], length: int) -> Batch:
    ids = np.zeros((len(rows), length), dtype=np.int64)
    targets = np.full((len(rows), length), IGNORED, dtype=np.int64)
    for place, row in enumerate(rows):
        ids[place, : len(row.ids)] = row.ids
        targets[place, : len(row.ids)] = row.targets
    return Batch(ids, targets)


def batches(seed: int, tokenizer: Tokenizer, stage: Stage) -> Iterator[Batch]:
    """Batches without end, the stage's first ones of short texts.

    Shuffled within a chunk; a part-filled batch waits for the next chunk.
    """
    rng = random.Random(f"{seed} batches")
    waiting: dict[int, list[Sample]] = defaultdict(list)
    made = 0
    while True:
        ready: list[Batch] = []
        for sample in samples(rng, tokenizer, stage, short=made < stage.short):
            length = next(limit for limit in LENGTHS if limit >= len(sample.ids))
            waiting[length].append(sample)
            if (len(waiting[length]) + 1) * length > stage.tokens:
                ready.append(padded(waiting.pop(length), length))
        rng.shuffle(ready)
        made += len(ready)
        yield from ready

"""Training data in memory: scenes drawn once, captions and small picture changes drawn anew every epoch."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from training.images.captions import Caption, random_caption
from training.images.claims import matches
from training.images.drawing import draw
from training.images.preprocessing import cropped, normalised
from training.images.scenes import Scene, random_scene

CONTRAST = 0.15


@dataclass(frozen=True)
class Pictures:
    """Scenes with their pixels, uint8 [scenes, 64, 64, 3]."""

    scenes: list[Scene]
    pixels: NDArray[np.uint8]


@dataclass(frozen=True)
class Batch:
    """One step's data.

    pixels float32 [batch, 3, 64, 64]; ids, mask int64 [batch, sequence]; truth bool [captions, pictures].
    """

    pixels: NDArray[np.float32]
    ids: NDArray[np.int64]
    mask: NDArray[np.int64]
    truth: NDArray[np.bool_]


def training_pictures(count: int, seed: int) -> Pictures:
    random = Random(seed)
    scenes = [random_scene(random) for _ in range(count)]
    return Pictures(scenes, np.stack([cropped(draw(scene, random)) for scene in scenes]))


def training_captions(scenes: list[Scene], random: Random) -> list[Caption]:
    return [random_caption(scene, random) for scene in scenes]


def epoch_batches(pictures: Pictures, tokenizer: Tokenizer, size: int, seed: int) -> Iterator[Batch]:
    """Every picture once, in a new order and with a new caption; the last partial batch is left out."""
    random, generator = Random(seed), np.random.default_rng(seed)
    order = generator.permutation(len(pictures.scenes))
    for start in range(0, len(order) - size + 1, size):
        yield batch(pictures, order[start : start + size], tokenizer, random, generator)


def batch(
    pictures: Pictures,
    chosen: NDArray[np.int64],
    tokenizer: Tokenizer,
    random: Random,
    generator: np.random.Generator,
) -> Batch:
    scenes = [pictures.scenes[index] for index in chosen]
    captions = training_captions(scenes, random)
    ids, mask = padded(tokenizer, [caption.text for caption in captions])
    pixels = normalised(pictures.pixels[chosen])
    contrast = generator.uniform(1 - CONTRAST, 1 + CONTRAST, (len(scenes), 1, 1, 1)).astype(np.float32)
    truth = matches([caption.claim for caption in captions], scenes)
    return Batch(pixels * contrast, ids, mask, truth)


def padded(tokenizer: Tokenizer, texts: list[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ids and mask, int64 [texts, longest], padded on the right with id 0."""
    rows = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
    ids = np.zeros((len(rows), max(map(len, rows))), np.int64)
    mask = np.zeros_like(ids)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = row
        mask[index, : len(row)] = 1
    return ids, mask

"""An encoder in 8 bit, and how far its vectors are from those of the original.

Quantised are the weights of matrix products, signed, one scale a column; activations are quantised while the
model runs, one scale a tensor. So a vector depends a little on who shares its run: by about as much as it
differs from the float vector.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from inference.backends import BACKENDS
from inference.cards.card import CardError, Deployment
from inference.importer.samples import SAMPLES, pictures
from inference.settings import Settings

if TYPE_CHECKING:
    from inference.backends.loaded_models import LoadedModel
    from inference.contracts import Vectors

Embedded: TypeAlias = "Callable[[str, LoadedModel], Coroutine[Any, Any, Vectors]]"

OPERATORS = ("MatMul", "Attention")
"""Attention is onnxruntime's own, which holds the products of query, key and value."""
FLOAT = 1
"""onnx.TensorProto.FLOAT: the type of what operators that only onnxruntime knows hand on."""
LARGEST = 2**31 - 2**20
"""Bytes of an ONNX file that hold together: protobuf ends at 2 GiB."""
EXTERNAL = (".data", "_data")
"""What is behind the name of the file that holds the weights of an ONNX file too small for them."""


class QuantizationError(Exception):
    """No 8-bit file was written; the message says why."""


class QuantizerMissing(QuantizationError):
    """The package `onnx`, which writing a model needs and serving does not, is not installed."""


@dataclass(frozen=True, slots=True)
class CosineLoss:
    """1 - cosine of the vectors of the same texts: 0 where nothing is lost."""

    mean: float
    largest: float

    def __str__(self) -> str:
        return f"cosine to the original {1 - self.mean:.4f} on average, {1 - self.largest:.4f} at least"


def write_int8(model: Path, target: Path) -> None:
    """Writes `model` in 8 bit at `target`, whole or not at all; the weights beside it where it is too large.

    Raises `QuantizerMissing`, or `QuantizationError` for a file that is no ONNX model, has nothing to
    quantise or is in 8 bit already.
    """
    try:
        from onnxruntime.quantization import QuantType, quantize_dynamic
    except ImportError as error:
        raise QuantizerMissing(
            f"an 8-bit model needs the package onnx to be written ({error}): pip install onnx"
        ) from error
    if _quantised(model):
        raise QuantizationError(f"{model.name} is in 8 bit already")
    size = sum(path.stat().st_size for path in _parts(model))
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".int8-") as folder, _quiet():
        made = Path(folder) / target.name
        try:
            quantize_dynamic(
                model,
                made,
                op_types_to_quantize=list(OPERATORS),
                per_channel=True,
                weight_type=QuantType.QInt8,
                use_external_data_format=size > LARGEST,
                extra_options={"MatMulConstBOnly": True, "DefaultTensorType": FLOAT},
            )
        except Exception as error:
            raise QuantizationError(f"{model.name} cannot be quantised: {error}") from error
        if not _quantised(made):
            raise QuantizationError(f"{model.name} has no matrix products that could be quantised")
        for path in sorted(Path(folder).iterdir(), key=lambda path: path == made):
            path.replace(target.parent / path.name)


def cosine_loss(
    original: Deployment, other: Deployment, settings: Settings, texts: Sequence[str] = SAMPLES
) -> CosineLoss:
    """What the vectors of texts lose between two deployments, each text run alone.

    Opens one after the other, where no event loop may be running. Raises `CardError` for a deployment that
    cannot be opened, embeds no texts, or whose vectors have another size.
    """
    return _loss(original, other, settings, partial(_texts, texts=texts))


def picture_loss(original: Deployment, other: Deployment, settings: Settings) -> CosineLoss:
    """The same of the vectors of pictures."""
    return _loss(original, other, settings, _pictures)


def _loss(original: Deployment, other: Deployment, settings: Settings, embedded: Embedded) -> CosineLoss:
    import numpy as np

    first, second = (_of(deployment, settings, embedded) for deployment in (original, other))
    if first.shape != second.shape:
        raise CardError(
            f"{original.name} gives vectors of {first.shape[1]} numbers, {other.name} of {second.shape[1]}"
        )
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    loss = 1 - (first * second).sum(axis=1, dtype=np.float64) / np.maximum(lengths, np.finfo(np.float32).tiny)
    return CosineLoss(mean=float(loss.mean()), largest=float(loss.max()))


def _of(deployment: Deployment, settings: Settings, embedded: Embedded) -> Vectors:
    model = BACKENDS[deployment.card.backend].open(deployment, settings)
    try:
        return asyncio.run(embedded(deployment.name, model))
    finally:
        model.close()


async def _texts(name: str, model: LoadedModel, texts: Sequence[str]) -> Vectors:
    import numpy as np

    embedder, tokenizer = model.text_embedder, model.tokenizer
    if embedder is None or tokenizer is None:
        raise CardError(f"{name} embeds no texts")
    inputs = [ids[: embedder.context] for ids in tokenizer.encode_batch(texts, special=True)]
    return np.concatenate([await embedder.embed([ids]) for ids in inputs])


async def _pictures(name: str, model: LoadedModel) -> Vectors:
    import numpy as np

    embedder = model.image_embedder
    if embedder is None:
        raise CardError(f"{name} embeds no pictures")
    return np.concatenate([await embedder.embed_images([picture]) for picture in pictures()])


def _parts(model: Path) -> Iterator[Path]:
    """The file and those that hold its weights."""
    yield model
    yield from (path for end in EXTERNAL if (path := model.with_name(model.name + end)).is_file())


def _quantised(model: Path) -> bool:
    """Raises `QuantizationError` for a file that is no ONNX model."""
    import onnx

    try:
        graph = onnx.load(model, load_external_data=False).graph
    except Exception as error:
        raise QuantizationError(f"{model.name} is no ONNX model: {error}") from error
    return any(
        node.op_type in ("MatMulInteger", "DynamicQuantizeMatMul", "QAttention") for node in graph.node
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """The library advises, on the root logger, to pre-process models; these are served as they are."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)

"""Dynamic int8 quantization of encoders, and its loss: the cosine between vectors before and after.

Weights have 7 of the 8 bits, so that the vectors are the same on processors of every kind.

The sample texts are such as requests bring: short and long, plain and unusual. The sample images are noise
of coarse and fine grain, since photographs would be too large for the repository.
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
from inference.backends.external_data import files_of
from inference.backends.loaded_models import ImageEmbeddingModel, TextEmbeddingModel
from inference.cards.card import CardError, Deployment
from inference.importer.graph_facts import nodes_of
from inference.settings import Settings

if TYPE_CHECKING:
    from inference.backends.loaded_models import LoadedModel
    from inference.contracts import ImageArray, Vectors

QUANTIZABLE_OPERATORS = ("MatMul", "Attention")
"""Operators to quantize; Attention is onnxruntime's own, with the products of query, key and value."""
QUANTIZED_OPERATORS = ("MatMulInteger", "DynamicQuantizeMatMul", "QAttention")
FLOAT = 1
"""onnx.TensorProto.FLOAT, the output type of operators that only onnxruntime knows."""
MAX_FILE = 2**31 - 2**20
"""Bytes of a model that fit one file: protobuf is limited to 2 GiB."""

SAMPLE_TEXTS = (
    "lighthouse",
    "How do I reset my password?",
    "A ship passes the lighthouse before dawn.",
    "Which ports can a vessel of this draught enter at low tide?",
    "Invoice 4711: 3 x 19.99 EUR = 59.97 EUR, 7 % VAT included, payable within 30 days.",
    "The quick brown fox jumps over the lazy dog.",
    "Photosynthesis turns light, water and carbon dioxide into sugar and oxygen.",
    "The committee postponed its decision on the budget until the spring session.",
    "def area(radius: float) -> float:\n    return 3.14159 * radius ** 2",
    "SELECT name, count(*) FROM visits GROUP BY name ORDER BY 2 DESC;",
    "Rain over the northern coast, clearing from the west towards the evening; winds light and variable.",
    "Mix flour, yeast, salt and water, let the dough rest overnight, then bake it very hot.",
    "The patient reports a dry cough for two weeks, no fever, and shortness of breath when climbing stairs.",
    "Great value, arrived a day early, but the manual is only in German.",
    "Terrible. It broke after two days and nobody answers the phone.",
    "Ångström, naïve café, Müllerstraße, piñata, smörgåsbord",
    "Der Zug nach Hamburg fährt heute von Gleis sieben ab.",
    "El gato duerme sobre el tejado caliente mientras cae la tarde.",
    "Смотритель маяка записывал ветер, прилив и имя каждого корабля.",
    "灯台守は夜明け前に風を記録した。",
    "Water boils at 100 degrees Celsius at sea level, and at about 70 on the highest mountain.",
    "Two neighbouring countries signed a treaty that opens the border to seasonal workers from next year on.",
    (
        "The lighthouse keeper wrote down the wind, the tide and the name of every ship that passed at "
        "dawn. His daughter copied the pages in winter, when no ship passed, and sent them to the harbour "
        "office, where they lie in a cellar to this day. Historians found in them the only record of the "
        "storm that changed the coast."
    ),
    (
        "An encoder turns a text into numbers such that texts about the same thing lie close together. It "
        "reads all tokens at once, mixes what they say layer by layer, and averages the result. Nothing in "
        "the numbers can be read by a person, and yet the angle between two of them tells more about two "
        "texts than their words do, which is why search engines, recommendations and the memories of chat "
        "bots are built on them. What is lost when the numbers are made smaller depends on the model: some "
        "hardly notice, others need every bit they have."
    ),
)

NOISE_SIZES = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96)
"""Edges, in cells of one random colour, of the sample images before they are scaled to `EDGE`."""
EDGE = 224
"""Pixels of height and width."""


def sample_images() -> Iterator[ImageArray]:
    """Yield one image of each noise size, uint8 [height, width, 3], the same in every run."""
    import numpy as np
    from PIL import Image

    for size in NOISE_SIZES:
        noise = np.random.default_rng(size).integers(0, 256, (size, size, 3), np.uint8)
        scaled = Image.fromarray(noise).resize((EDGE, EDGE), Image.Resampling.BICUBIC)
        yield np.asarray(scaled)


class QuantizationError(Exception):
    """A model cannot be quantized and no file was written; the message says why."""


class QuantizerMissing(QuantizationError):
    """The package `onnx`, which writing a model needs and serving does not, is not installed."""


def write_int8(model: Path, target: Path) -> None:
    """Write `model` with int8 weights at `target`, whole or not at all; large weights go next to it.

    Raises `QuantizerMissing`, or `QuantizationError` for a file that is not ONNX, has no matrix products or
    is in int8 already.
    """
    try:
        from onnxruntime.quantization import quantize_dynamic  # noqa: F401
    except ImportError as error:
        raise QuantizerMissing(
            f"int8 models are written with the package onnx, which is not installed ({error}): "
            "pip install onnx"
        ) from error
    if _is_quantized(model):
        raise QuantizationError(f"{model.name} is in int8 already")
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".int8-") as folder, _quiet():
        written = Path(folder) / target.name
        _quantize(model, written)
        if not _is_quantized(written):
            raise QuantizationError(f"{model.name} has no matrix products to quantize")
        for path in sorted(Path(folder).iterdir(), key=lambda path: path == written):
            path.replace(target.parent / path.name)


def _quantize(model: Path, target: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    size = sum(path.stat().st_size for path in files_of(model))
    try:
        quantize_dynamic(
            model,
            target,
            op_types_to_quantize=list(QUANTIZABLE_OPERATORS),
            per_channel=True,
            # Without 8-bit dot products (AVX2) two products of a byte and a weight add up in 16 bits, which
            # weights of 8 bits overflow. The file may be served by another processor than this one.
            reduce_range=True,
            weight_type=QuantType.QInt8,
            use_external_data_format=size > MAX_FILE,
            extra_options={"MatMulConstBOnly": True, "DefaultTensorType": FLOAT},
        )
    except Exception as error:
        raise QuantizationError(f"{model.name} cannot be quantized: {error}") from error


def _is_quantized(model: Path) -> bool:
    """Return True for a graph with int8 operators. Raises `QuantizationError` for a file that is not ONNX."""
    import onnx

    try:
        graph = onnx.load(model, load_external_data=False).graph
    except Exception as error:
        raise QuantizationError(f"{model.name} is not an ONNX model: {error}") from error
    return any(node.op_type in QUANTIZED_OPERATORS for node in nodes_of(graph))


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the quantizer, which logs advice on pre-processing to the root logger."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)


Embed: TypeAlias = "Callable[[str, LoadedModel], Coroutine[Any, Any, Vectors]]"
"""Embeds the samples with the model of the named deployment."""


@dataclass(frozen=True, slots=True)
class CosineLoss:
    """Loss of several vectors, 1 - cosine each: 0 where the vectors are the same."""

    mean: float
    largest: float

    def __str__(self) -> str:
        return f"cosine to the original {1 - self.mean:.4f} on average, {1 - self.largest:.4f} at least"


def cosine_loss(
    original: Deployment, other: Deployment, settings: Settings, texts: Sequence[str] = SAMPLE_TEXTS
) -> CosineLoss:
    """Return the loss of the vectors of texts between two deployments, each text run alone.

    The deployments are opened one after the other; no event loop may be running. Raises `CardError` for a
    deployment that cannot be opened, embeds no texts, or has vectors of another size.
    """
    return _loss(original, other, settings, partial(_embed_texts, texts=texts))


def image_loss(original: Deployment, other: Deployment, settings: Settings) -> CosineLoss:
    """Return the loss of the vectors of the sample images; otherwise as `cosine_loss`."""
    return _loss(original, other, settings, _embed_images)


def _loss(original: Deployment, other: Deployment, settings: Settings, embed: Embed) -> CosineLoss:
    import numpy as np

    first, second = (_embed(deployment, settings, embed) for deployment in (original, other))
    if first.shape != second.shape:
        raise CardError(
            f"{original.name} gives vectors of {first.shape[1]} numbers, {other.name} of {second.shape[1]}"
        )
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    loss = 1 - (first * second).sum(axis=1, dtype=np.float64) / np.maximum(lengths, np.finfo(np.float32).tiny)
    return CosineLoss(mean=float(loss.mean()), largest=float(loss.max()))


def _embed(deployment: Deployment, settings: Settings, embed: Embed) -> Vectors:
    model = BACKENDS[deployment.card.backend].open(deployment, settings)
    try:
        return asyncio.run(embed(deployment.name, model))
    finally:
        model.close()


async def _embed_texts(name: str, model: LoadedModel, texts: Sequence[str]) -> Vectors:
    import numpy as np

    text = model.text if isinstance(model, ImageEmbeddingModel) else model
    if not isinstance(text, TextEmbeddingModel):
        raise CardError(f"{name} embeds no texts")
    context, encoded = text.embedder.context, text.tokenizer.encode_batch(texts, special=True)
    return np.concatenate([await text.embedder.embed([ids[:context]]) for ids in encoded])


async def _embed_images(name: str, model: LoadedModel) -> Vectors:
    import numpy as np

    if not isinstance(model, ImageEmbeddingModel):
        raise CardError(f"{name} embeds no images")
    return np.concatenate([await model.embedder.embed_images([image]) for image in sample_images()])

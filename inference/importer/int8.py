"""What two encoders are compared on.

Texts as requests bring them, short and long, plain and strange; pictures of coarse and fine colours, since
photographs would be too large to keep here.
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
from inference.settings import Settings

if TYPE_CHECKING:
    from inference.backends.loaded_models import ImageEmbeddingModel, LoadedModel, TextEmbeddingModel
    from inference.contracts import ImageArray, Vectors

GRAINS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96)
"""Edges, in fields of one random colour, that the pictures have before they are made smooth."""
EDGE = 224

SAMPLES = (
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


def pictures() -> Iterator[ImageArray]:
    """One of each grain, uint8 [height, width, 3], always the same."""
    import numpy as np
    from PIL import Image

    for grain in GRAINS:
        fields = np.random.default_rng(grain).integers(0, 256, (grain, grain, 3), np.uint8)
        smooth = Image.fromarray(fields).resize((EDGE, EDGE), Image.Resampling.BICUBIC)
        yield np.asarray(smooth)


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

    if not isinstance(model, TextEmbeddingModel):
        raise CardError(f"{name} embeds no texts")
    context, encoded = model.embedder.context, model.tokenizer.encode_batch(texts, special=True)
    return np.concatenate([await model.embedder.embed([ids[:context]]) for ids in encoded])


async def _pictures(name: str, model: LoadedModel) -> Vectors:
    import numpy as np

    if not isinstance(model, ImageEmbeddingModel):
        raise CardError(f"{name} embeds no images")
    return np.concatenate([await model.embedder.embed_images([picture]) for picture in pictures()])


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

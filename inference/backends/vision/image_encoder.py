"""One tower of a graph that holds two: optimum exports CLIP and SigLIP as one, with the inputs of both.

onnxruntime computes such a graph whole whatever is asked of it, and so the other tower is given the least it
can read: one token, or one black picture. That costs a text a picture's time; towers in files of their own do
not have this cost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from inference.backends.encoder.pooling import EmbeddingHead, normalized
from inference.backends.encoder.text_encoder import TextEncoder, finite
from inference.backends.encoder.token_graph import (
    KNOWN,
    POOLED_OUTPUTS,
    TokenGraph,
    choose_output,
    element_type,
)
from inference.backends.loaded_models import ImageEmbeddingModel, TextEmbeddingModel
from inference.backends.model_files import context_of, pad_token, prompts_of, vision_config, vocabulary_of
from inference.backends.session import first_line, open_session, require
from inference.backends.vision.preprocessing import Preprocessor
from inference.cards.card import CardError, Deployment
from inference.engine.microbatch import Microbatch
from inference.errors import GenerationFailed
from inference.prompt.tokenizer import Tokenizer
from inference.settings import Settings

if TYPE_CHECKING:
    from inference.contracts import ImageArray, Vectors

PIXELS = "pixel_values"


class Tower:
    """A session as one tower sees it: with the tower's inputs only."""

    def __init__(
        self, session: ort.InferenceSession, *, other: Collection[str], size: tuple[int, int], role: str
    ) -> None:
        """`other` are the other tower's inputs, `size` is a picture's height and width.

        `role` is the file's name in the card. Raises `CardError` for inputs that are no numbers.
        """
        self._session = session
        arguments = session.get_inputs()
        self._inputs = [argument for argument in arguments if argument.name not in other]
        self._least = {
            argument.name: _least(argument, size, role) for argument in arguments if argument.name in other
        }

    def get_inputs(self) -> Sequence[ort.NodeArg]:
        return self._inputs

    def get_outputs(self) -> Sequence[ort.NodeArg]:
        return list(self._session.get_outputs())

    def run(self, outputs: Sequence[str], arrays: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """As a session runs."""
        return list(self._session.run(outputs, {**self._least, **arrays}))


def vision_tower(session: ort.InferenceSession, size: tuple[int, int]) -> ort.InferenceSession | Tower:
    """What embeds pictures: the session itself, unless its graph also reads texts. Raises `CardError`."""
    joint = _has(session, PIXELS, "input_ids")
    return Tower(session, other=KNOWN, size=size, role="model") if joint else session


def text_tower(session: ort.InferenceSession, size: tuple[int, int]) -> ort.InferenceSession | Tower:
    """What embeds texts: the session itself, unless its graph also sees pictures. Raises `CardError`."""
    joint = _has(session, PIXELS, "input_ids")
    return Tower(session, other=(PIXELS,), size=size, role="text_model") if joint else session


def _has(session: ort.InferenceSession, *names: str) -> bool:
    return set(names) <= {argument.name for argument in session.get_inputs()}


def _least(argument: ort.NodeArg, size: tuple[int, int], role: str) -> NDArray[Any]:
    """The smallest input that runs: dimensions that the graph leaves open are one, of a picture its size."""
    own = (1, 3, *size) if argument.name == PIXELS else (1,) * len(argument.shape)
    shape = [
        wanted if isinstance(wanted, int) else least
        for wanted, least in zip(argument.shape, own, strict=True)
    ]
    fill = np.ones if argument.name == "attention_mask" else np.zeros
    return fill(shape, element_type(argument, role=role))


PICTURES_PER_RUN = 4
"""On two cores a small tower embeds 4 at once 1.1 to 1.5 times as fast as one by one, a ViT-B/32 1.4.

Eight at once are a tenth faster still, and who comes next would wait for twice as long.
"""
PICTURES_AHEAD = 64
"""So many of a request's pictures are prepared at once: as numbers they are larger than as files."""
IMAGE_OUTPUTS = ("image_embeds", "pooler_output")
"""CLIP's and SigLIP's names of the vector that is shared with text."""
TEXT_OUTPUTS = (*POOLED_OUTPUTS, "pooler_output")
STRANGERS = (("image_embeds", "pooler_output"), ("pooler_output", "text_embeds"))
"""Outputs before and behind CLIP's projections, which may agree in size and never in meaning."""

Pixels: TypeAlias = NDArray[np.float32]
"""One picture as the graph takes it: [3, height, width]."""


def open(deployment: Deployment, settings: Settings) -> ImageEmbeddingModel:  # noqa: A001  the backends' common name
    """The card's towers, running. Raises `CardError`."""
    session = open_session(deployment.file("model", "vision_model.onnx"), settings)
    preprocessor = Preprocessor.open(deployment.file("preprocessor", "preprocessor_config.json"))
    graph = VisionGraph(vision_tower(session, preprocessor.size), preprocessor)
    text = _text(deployment, settings, graph, session) if deployment.card.has_text_tower else None
    patches = _patches(deployment, preprocessor)
    encoder = ImageEncoder(graph, patches=patches, settings=settings, name=deployment.name)
    return ImageEmbeddingModel(embedder=encoder, text=text)


def _text(
    deployment: Deployment, settings: Settings, vision: VisionGraph, whole: ort.InferenceSession
) -> TextEmbeddingModel:
    """The text tower; `whole` is the session of the card's `model`, which may hold it."""
    path = deployment.file("text_model")
    shared = path == deployment.file("model", "vision_model.onnx")
    session = whole if shared else open_session(path, settings, role="text_model")
    tower = text_tower(session, vision.prepare.size)
    if (vision.output, choose_output(tower, TEXT_OUTPUTS, role="text_model")) in STRANGERS:
        raise CardError(
            "files.text_model: one tower is exported with its projection and one without: they share no space"
        )
    tokenizer = Tokenizer.open(deployment.file("tokenizer", "tokenizer.json"))
    context = context_of(deployment)
    graph = TokenGraph(
        tower,
        role="text_model",
        outputs=TEXT_OUTPUTS,
        pad=pad_token(deployment.folder, tokenizer),
        # Towers without a mask were trained on texts padded to the context, and see the padding.
        unmasked=context,
    )
    if graph.shape[1:] != (vision.dimensions,):
        raise CardError(
            f"files.text_model: a text becomes {list(graph.shape[1:])} numbers, a picture {vision.dimensions}"
        )
    encoder = TextEncoder(
        graph,
        EmbeddingHead("none", normalize=True),
        context=context,
        vocabulary=vocabulary_of(deployment.folder, tokenizer),
        settings=settings,
        name=deployment.name,
    )
    return TextEmbeddingModel(embedder=encoder, tokenizer=tokenizer, prompts=prompts_of(deployment))


def _patches(deployment: Deployment, preprocessor: Preprocessor) -> int:
    """Squares of the patch size that config.json gives; one picture is one patch where it gives none."""
    edge = vision_config(deployment.folder).get("patch_size")
    height, width = preprocessor.size
    return max(1, (height // edge) * (width // edge)) if isinstance(edge, int) and edge > 0 else 1


class VisionGraph:
    """Pictures in, vectors of length one out, on the threads that call."""

    def __init__(self, session: ort.InferenceSession | Tower, preprocessor: Preprocessor) -> None:
        """Raises `CardError` for a graph that wants something else than the preprocessor's pictures."""
        self._session = session
        self.prepare = preprocessor
        """A picture as the graph takes it."""
        self._type, self.pictures_per_run = _pixels(session, preprocessor)
        self.output = choose_output(session, IMAGE_OUTPUTS, role="model")
        self.dimensions = self._first_run()

    def run(self, pictures: Sequence[Pixels]) -> Vectors:
        """Float32 [pictures, dimensions]. Raises what onnxruntime raises."""
        return normalized(self._run(np.stack(pictures)).astype(np.float32, copy=False))

    def _run(self, pixels: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
        (output,) = self._session.run([self.output], {PIXELS: pixels.astype(self._type, copy=False)})
        return np.asarray(output)

    def _first_run(self) -> int:
        """The dimensions; the run also gets the weights into memory before the first request."""
        try:
            shape = self._run(np.zeros((1, 3, *self.prepare.size), np.float32)).shape
        except Exception as error:
            raise CardError(f"files.model: a picture cannot be run: {first_line(error)}") from error
        if len(shape) != 2:
            raise CardError(f"files.model: {self.output} is {list(shape)}, not one vector a picture")
        return int(shape[1])


def _pixels(
    session: ort.InferenceSession | Tower, preprocessor: Preprocessor
) -> tuple[type[np.generic], int]:
    """The type of the graph's pixels, and how many pictures may share a run."""
    arguments = session.get_inputs()
    require([PIXELS], [argument.name for argument in arguments])
    if len(arguments) > 1:
        names = ", ".join(argument.name for argument in arguments if argument.name != PIXELS)
        raise CardError(f"files.model: the graph wants {names} beside {PIXELS}")
    batch, *wanted = arguments[0].shape or [None] * 4
    made = [3, *preprocessor.size]
    if len(wanted) != 3 or any(
        isinstance(want, int) and want != have for want, have in zip(wanted, made, strict=False)
    ):
        raise CardError(f"files.model: the graph takes pictures of {wanted}, the preprocessor makes {made}")
    if isinstance(batch, int) and batch > 1:
        raise CardError(f"files.model: the graph takes {batch} pictures at once and no fewer")
    return element_type(arguments[0], role="model"), 1 if batch == 1 else PICTURES_PER_RUN


class ImageEncoder:
    """An `ImageEmbedder`: concurrent requests share the runs of one graph."""

    def __init__(self, graph: VisionGraph, *, patches: int, settings: Settings, name: str) -> None:
        self.dimensions = graph.dimensions
        self.patches = patches
        """How many patches the graph cuts a picture into."""
        self._graph = graph
        self._batch: Microbatch[Pixels] = Microbatch(
            self._run,
            size=lambda _: 1,
            budget=graph.pictures_per_run,
            queue_limit=settings.queue_limit,
            name=f"look {name}",
        )

    async def embed_images(self, images: Sequence[ImageArray]) -> Vectors:
        """One row a picture: float32 [images, dimensions] at length one, in the pictures' order.

        Raises `errors.Busy`, `errors.ModelNotReady` when closed, `errors.GenerationFailed` when the model
        fails.
        """
        parts = [np.empty((0, self.dimensions), np.float32)]
        for start in range(0, len(images), PICTURES_AHEAD):
            # Resized beside the graph's own thread, which has the next run to make meanwhile.
            pixels = await asyncio.to_thread(self._prepared, images[start : start + PICTURES_AHEAD])
            parts.append(await self._batch.submit(pixels))
        return np.concatenate(parts)

    def close(self) -> None:
        """Gives the worker thread back; requests that wait end with `errors.ModelNotReady`."""
        self._batch.close()

    def _prepared(self, images: Sequence[ImageArray]) -> list[Pixels]:
        return [self._graph.prepare(image) for image in images]

    def _run(self, pictures: Sequence[Pixels]) -> Vectors:
        try:
            vectors = self._graph.run(pictures)
        except Exception as error:
            raise GenerationFailed(f"The model failed: {first_line(error)}") from error
        return finite(vectors)

"""Image embeddings by an ONNX vision encoder, and text embeddings in the same space by its text tower.

The towers are graphs of their own, or one graph with the inputs of both, as optimum exports CLIP and SigLIP.
onnxruntime computes such a joint graph whole, so a run for one tower feeds the other the smallest valid
input: one token, or one black image. A text then costs an image's time, which separate towers avoid.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from inference.backends.encoder.pooling import POOLINGS, EmbeddingHead, normalized
from inference.backends.encoder.text_encoder import TextEncoder, TokenLimits, require_finite
from inference.backends.encoder.token_graph import (
    KNOWN_INPUTS,
    POOLED_OUTPUTS,
    TokenGraph,
    choose_output,
    dtype_of,
)
from inference.backends.loaded_models import ImageEmbeddingModel, TextEmbeddingModel
from inference.backends.model_files import pad_token, prompts_of, vision_config
from inference.backends.session import first_line, open_session, require
from inference.backends.token_tables import encoder_tokenizer
from inference.backends.vision.preprocessing import Preprocessor, preprocessor_file
from inference.cards.card import CardError, Deployment
from inference.engine.microbatch import Microbatch
from inference.errors import GenerationFailed
from inference.settings import Settings

if TYPE_CHECKING:
    from inference.contracts import ImageArray, Vectors

PIXELS = "pixel_values"
IMAGES_PER_RUN = 4
"""On two cores a small tower embeds 4 at once 1.1 to 1.5 times as fast as one by one, a ViT-B/32 1.4.

Eight at once are a tenth faster still, but the next request would wait for twice as long.
"""
IMAGES_PREPARED = 64
"""Images of one request that are preprocessed at once: as arrays they are larger than as files."""
IMAGE_OUTPUTS = ("image_embeds", "pooler_output")
"""The names in CLIP and SigLIP of the vector that is shared with texts."""
HIDDEN_OUTPUT = "last_hidden_state"
"""The vectors of an image's parts, its first token before them; a card says how they are pooled."""
TEXT_OUTPUTS = (*POOLED_OUTPUTS, "pooler_output")
MISMATCHED_OUTPUTS = (("image_embeds", "pooler_output"), ("pooler_output", "text_embeds"))
"""Outputs before and after CLIP's projections, which may agree in size and never in meaning."""

Pixels: TypeAlias = NDArray[np.float32]
"""One preprocessed image: [3, height, width]."""


def open(deployment: Deployment, settings: Settings) -> ImageEmbeddingModel:  # noqa: A001  the backends' common name
    """Return the card's towers, running. Raises `CardError`."""
    session = open_session(deployment.file("model", "vision_model.onnx"), settings)
    preprocessor = Preprocessor.open(deployment.file("preprocessor", preprocessor_file(deployment.folder)))
    pooling = deployment.card.embedding.pooling
    graph = VisionGraph(vision_tower(session, preprocessor.size), preprocessor, pooling)
    text = _open_text(deployment, settings, graph, session) if deployment.card.has_text_tower else None
    patches = _patches(deployment, preprocessor)
    encoder = ImageEncoder(graph, patches=patches, settings=settings, name=deployment.name)
    return ImageEmbeddingModel(embedder=encoder, text=text)


def _open_text(
    deployment: Deployment, settings: Settings, vision: VisionGraph, model: ort.InferenceSession
) -> TextEmbeddingModel:
    """Return the text tower, which may be in the session of the card's `model`. Raises `CardError`."""
    path = deployment.file("text_model")
    shared = path == deployment.file("model", "vision_model.onnx")
    session = model if shared else open_session(path, settings, role="text_model")
    tower = text_tower(session, vision.preprocessor.size)
    if (vision.output, choose_output(tower, TEXT_OUTPUTS, role="text_model")) in MISMATCHED_OUTPUTS:
        raise CardError(
            "files.text_model: one tower is exported with its projection and one without, so they share no "
            "space; export both the same way"
        )
    tokenizer = encoder_tokenizer(deployment, "text_model", "text_model.onnx")
    limits = TokenLimits.of(deployment, tokenizer)
    graph = TokenGraph(
        tower,
        role="text_model",
        outputs=TEXT_OUTPUTS,
        pad=pad_token(deployment.folder, tokenizer),
        # Towers without a mask were trained on texts padded to the context, and attend to the padding.
        unmasked_length=limits.context,
    )
    if (shape := graph.output_shape[1:]) != (vision.dimensions,):
        raise CardError(
            f"files.text_model: a text becomes {list(shape)} numbers, an image {vision.dimensions}"
        )
    head = EmbeddingHead("none", normalize=True)
    encoder = TextEncoder(graph, head, limits, settings=settings, name=deployment.name)
    return TextEmbeddingModel(embedder=encoder, tokenizer=tokenizer, prompts=prompts_of(deployment))


def _patches(deployment: Deployment, preprocessor: Preprocessor) -> int:
    """Return the patches of an image by the patch size in config.json; 1 without one."""
    edge = vision_config(deployment.folder).get("patch_size")
    height, width = preprocessor.size
    return max(1, (height // edge) * (width // edge)) if isinstance(edge, int) and edge > 0 else 1


class Tower:
    """A view of a session of two towers that has the inputs of one."""

    def __init__(
        self, session: ort.InferenceSession, *, other: Collection[str], size: tuple[int, int], role: str
    ) -> None:
        """Feed the inputs `other` of the other tower with the smallest that run.

        `size` is an image's height and width, `role` the file's name in the card. Raises `CardError` for
        inputs that are no numbers.
        """
        self._session = session
        arguments = session.get_inputs()
        self._inputs = [argument for argument in arguments if argument.name not in other]
        self._feeds = {
            argument.name: _smallest_input(argument, size, role)
            for argument in arguments
            if argument.name in other
        }

    def get_inputs(self) -> Sequence[ort.NodeArg]:
        """Return the inputs of this tower."""
        return self._inputs

    def get_outputs(self) -> Sequence[ort.NodeArg]:
        """Return the outputs of both towers."""
        return list(self._session.get_outputs())

    def run(self, outputs: Sequence[str], feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Run the session with the inputs of this tower."""
        return list(self._session.run(outputs, {**self._feeds, **feeds}))


def vision_tower(session: ort.InferenceSession, size: tuple[int, int]) -> ort.InferenceSession | Tower:
    """Return the session itself, or its vision tower if it also reads texts. Raises `CardError`."""
    return Tower(session, other=KNOWN_INPUTS, size=size, role="model") if _is_joint(session) else session


def text_tower(session: ort.InferenceSession, size: tuple[int, int]) -> ort.InferenceSession | Tower:
    """Return the session itself, or its text tower if it also reads images. Raises `CardError`."""
    return Tower(session, other=(PIXELS,), size=size, role="text_model") if _is_joint(session) else session


def _is_joint(session: ort.InferenceSession) -> bool:
    return {PIXELS, "input_ids"} <= {argument.name for argument in session.get_inputs()}


def _smallest_input(argument: ort.NodeArg, size: tuple[int, int], role: str) -> NDArray[Any]:
    """Return the smallest input that runs: free dimensions are 1, those of an image its size."""
    least = (1, 3, *size) if argument.name == PIXELS else (1,) * len(argument.shape)
    shape = [
        fixed if isinstance(fixed, int) else free for fixed, free in zip(argument.shape, least, strict=True)
    ]
    fill = np.ones if argument.name == "attention_mask" else np.zeros
    return fill(shape, dtype_of(argument, role=role))


class VisionGraph:
    """A session that turns preprocessed images into vectors of length one, on the caller's thread."""

    def __init__(
        self,
        session: ort.InferenceSession | Tower,
        preprocessor: Preprocessor,
        pooling: str | None = None,
    ) -> None:
        """Discover a session's output by a first run; `pooling` is that of its hidden states.

        Raises `CardError` if the input does not fit, or the output needs another pooling.
        """
        self._session = session
        self.preprocessor = preprocessor
        self._dtype, self.images_per_run = _pixels_input(session, preprocessor)
        self._pooling = None if pooling == "none" else pooling
        wanted = (HIDDEN_OUTPUT,) if self._pooling else IMAGE_OUTPUTS
        self.output = choose_output(session, wanted, role="model")
        self.dimensions = self._first_run()

    def run(self, images: Sequence[Pixels]) -> Vectors:
        """Return float32 [images, dimensions]. Raises the errors of onnxruntime."""
        return normalized(self._run(np.stack(images)).astype(np.float32, copy=False))

    def _run(self, pixels: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
        (output,) = self._session.run([self.output], {PIXELS: pixels.astype(self._dtype, copy=False)})
        return self._pool(np.asarray(output))

    def _pool(self, output: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
        """Return one vector an image of [images, tokens, dimensions], any other output as it is."""
        if self._pooling is None or output.ndim != 3:
            return output
        lengths = np.full(len(output), output.shape[1], np.intp)
        return POOLINGS[self._pooling](output.astype(np.float32, copy=False), np.zeros_like(lengths), lengths)

    def _first_run(self) -> int:
        """Return the dimensions by a run, which also loads the weights before the first request."""
        try:
            shape = self._run(np.zeros((1, 3, *self.preprocessor.size), np.float32)).shape
        except Exception as error:
            raise CardError(f"files.model: an image cannot be run: {first_line(error)}") from error
        if len(shape) != 2:
            hint = "; embedding.pooling, cls or mean, makes one of them" if len(shape) == 3 else ""
            raise CardError(f"files.model: {self.output} is {list(shape)}, not one vector an image{hint}")
        return int(shape[1])


def _pixels_input(
    session: ort.InferenceSession | Tower, preprocessor: Preprocessor
) -> tuple[type[np.generic], int]:
    """Return the dtype of the graph's pixels, and the most images of a run. Raises `CardError`."""
    arguments = session.get_inputs()
    require([PIXELS], [argument.name for argument in arguments])
    if len(arguments) > 1:
        names = ", ".join(argument.name for argument in arguments if argument.name != PIXELS)
        raise CardError(f"files.model: the graph has the inputs {names}; it must have {PIXELS} alone")
    batch, *expected = arguments[0].shape or [None] * 4
    actual = [3, *preprocessor.size]
    if len(expected) != 3 or any(
        isinstance(want, int) and want != have for want, have in zip(expected, actual, strict=False)
    ):
        raise CardError(f"files.model: the graph takes images of {expected}, the preprocessor makes {actual}")
    if isinstance(batch, int) and batch > 1:
        raise CardError(
            f"files.model: the graph takes exactly {batch} images a run; it must take any number, or one"
        )
    return dtype_of(arguments[0], role="model"), 1 if batch == 1 else IMAGES_PER_RUN


class ImageEncoder:
    """An `ImageEmbedder` over one graph, whose runs concurrent requests share."""

    def __init__(self, graph: VisionGraph, *, patches: int, settings: Settings, name: str) -> None:
        self.dimensions = graph.dimensions
        self.patches = patches
        """The number of patches that the graph cuts an image into."""
        self._graph = graph
        self._batch: Microbatch[Pixels] = Microbatch(
            self._run,
            size=lambda _: 1,
            budget=graph.images_per_run,
            queue_limit=settings.queue_limit,
            name=f"embed images {name}",
        )

    async def embed_images(self, images: Sequence[ImageArray]) -> Vectors:
        """Return one row an image, in order: float32 [images, dimensions], rows of length one.

        Raises:
            errors.Busy: Too many requests wait.
            errors.ModelNotReady: The model is closed.
            errors.GenerationFailed: The model fails.
        """
        parts = [np.empty((0, self.dimensions), np.float32)]
        for start in range(0, len(images), IMAGES_PREPARED):
            # Off the graph's own thread, which meanwhile runs the batch before.
            pixels = await asyncio.to_thread(self._preprocess, images[start : start + IMAGES_PREPARED])
            parts.append(await self._batch.submit(pixels))
        return np.concatenate(parts)

    def close(self) -> None:
        """Stop the worker thread; requests that wait end with `errors.ModelNotReady`."""
        self._batch.close()

    def _preprocess(self, images: Sequence[ImageArray]) -> list[Pixels]:
        return [self._graph.preprocessor(image) for image in images]

    def _run(self, images: Sequence[Pixels]) -> Vectors:
        try:
            vectors = self._graph.run(images)
        except Exception as error:
            raise GenerationFailed(f"The model failed: {first_line(error)}") from error
        return require_finite(vectors)

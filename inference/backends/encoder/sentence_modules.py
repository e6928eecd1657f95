"""Layers behind the pooling, as sentence-transformers writes them beside a model: Dense and LayerNorm.

Their weights are read from model.safetensors; a folder that has them as pickled torch tensors only is
refused, because reading those runs whatever they say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from inference.backends.encoder.pooling import POOLINGS, EmbeddingHead, normalized
from inference.backends.model_files import is_tower, read_json, read_object
from inference.cards.card import CARD_FILE, CardError, Deployment

if TYPE_CHECKING:
    from inference.backends.encoder.pooling import Projection
    from inference.contracts import Vectors

Floats: TypeAlias = NDArray[np.float32]

WEIGHTS = "model.safetensors"
SENTENCE = "sentence_embedding"
EPSILON = 1e-5
"""torch's own, which the files do not repeat."""


def _identity(numbers: Floats) -> Floats:
    return numbers


def _relu(numbers: Floats) -> Floats:
    return np.maximum(numbers, 0)


def _sigmoid(numbers: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(numbers, -80, 80))), np.float32)


ACTIVATIONS: Mapping[str, Callable[[Floats], Floats]] = {
    "Identity": _identity,
    "ReLU": _relu,
    "Sigmoid": _sigmoid,
    "Tanh": np.tanh,
}


@dataclass(frozen=True, slots=True)
class Dense:
    """activation(x @ weight + bias), from [n, d] to [n, e]."""

    weight: Floats
    bias: Floats
    activation: Callable[[Floats], Floats]

    def __call__(self, vectors: Vectors) -> Vectors:
        return self.activation(vectors @ self.weight + self.bias)


@dataclass(frozen=True, slots=True)
class LayerNorm:
    """Every row at mean 0 and variance 1, then scaled and shifted."""

    weight: Floats
    bias: Floats

    def __call__(self, vectors: Vectors) -> Vectors:
        centred = vectors - vectors.mean(axis=1, keepdims=True)
        variance = np.square(centred).mean(axis=1, keepdims=True)
        return np.asarray(centred / np.sqrt(variance + EPSILON) * self.weight + self.bias, np.float32)


def read_dense(folder: Path) -> Dense:
    """Raises `CardError` for an activation or an input that is not known, and for missing weights."""
    config = read_object(folder / "config.json")
    place = f"{folder.name}/config.json"
    # Without the key sentence-transformers takes Tanh.
    activation = str(config.get("activation_function", "Tanh")).rpartition(".")[2]
    if activation not in ACTIVATIONS:
        raise CardError(
            f"{place}: activation_function {activation} is none of {', '.join(sorted(ACTIVATIONS))}"
        )
    for key in ("module_input_name", "module_output_name"):
        if config.get(key) not in (None, SENTENCE):
            raise CardError(f"{place}: {key} is {config[key]}, not {SENTENCE}")
    tensors = _tensors(folder, ("linear.weight",))
    weight = np.ascontiguousarray(tensors["linear.weight"].T)
    bias = tensors.get("linear.bias", np.zeros(weight.shape[1], np.float32))
    return Dense(weight, bias, ACTIVATIONS[activation])


def read_layer_norm(folder: Path) -> LayerNorm:
    """Raises `CardError` for weights that are not there."""
    tensors = _tensors(folder, ("norm.weight", "norm.bias"))
    return LayerNorm(tensors["norm.weight"], tensors["norm.bias"])


def _tensors(folder: Path, names: tuple[str, ...]) -> Mapping[str, Floats]:
    place = f"{folder.name}/{WEIGHTS}"
    if not (folder / WEIGHTS).is_file():
        raise CardError(f"{place} is missing: the step's weights are read from there")
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tensors = load_file(folder / WEIGHTS)
    except (SafetensorError, OSError, KeyError, TypeError) as error:
        raise CardError(f"{place} cannot be read: {error}") from None
    if missing := [name for name in names if name not in tensors]:
        raise CardError(f"{place} has no {', '.join(missing)}; it has {', '.join(tensors) or 'nothing'}")
    return {name: np.asarray(tensor, np.float32) for name, tensor in tensors.items()}


MODULES = "modules.json"
KINDS = ("Transformer", "Pooling", "Dense", "LayerNorm", "Normalize", "Dropout")

POOLING_MODES: Mapping[str, str] = {
    "cls": "cls",
    "max": "max",
    "mean": "mean",
    "mean_sqrt_len_tokens": "mean_sqrt_len",
    "weightedmean": "weighted_mean",
    "lasttoken": "last",
}
"""sentence-transformers' words to ours, in the order in which it puts several vectors side by side."""
SWITCHES: Mapping[str, str] = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
"""How releases before 5.4 write `pooling_mode`: a key a mode."""


class SentenceModule(NamedTuple):
    """A step of modules.json: the last word of its type, and the folder of its files."""

    kind: str
    path: str


def head_of(deployment: Deployment, *, pooled: bool) -> EmbeddingHead:
    """How the vectors are made: `pooled` says that the graph's output is already one vector an input.

    Raises `CardError` naming what has to be declared, or the step that cannot be taken.
    """
    declared, folder = deployment.card.embedding, deployment.folder
    steps = _steps(folder)
    pooling = declared.pooling or ("none" if pooled else _pooling(folder, steps))
    if pooled != (pooling == "none"):
        shape = "[inputs, dimensions]" if pooled else "[inputs, positions, dimensions]"
        raise CardError(f"{CARD_FILE}: embedding.pooling is {pooling}, the graph's output is {shape}")
    if declared.normalize is None and not steps and not is_tower(folder):
        raise CardError(f"{CARD_FILE}: embedding.normalize is missing, and there is no {MODULES}")
    last = steps[-1].kind if steps else "Normalize"
    normalize = last == "Normalize" if declared.normalize is None else declared.normalize
    skips_prompt = _skips_prompt(folder, steps)
    if pooled and skips_prompt and declared.pooling is None:
        raise CardError(f"{MODULES}: include_prompt is false, the graph's output has prompts in it already")
    if pooled:
        return EmbeddingHead("none", normalize)
    behind = steps[:-1] if last == "Normalize" else steps
    return EmbeddingHead(pooling, normalize, _projections(folder, behind), skips_prompt=skips_prompt)


def pooling_of(folder: Path) -> str | None:
    """The pooling that the files beside a graph name, None where there are none. Raises `CardError`."""
    steps = _steps(folder)
    return _pooling(folder, steps) if steps else None


def _steps(folder: Path) -> Sequence[SentenceModule]:
    """The steps in their order, none where there is no file. Raises `CardError` for one of another kind."""
    listed = read_json(folder / MODULES) or []
    try:
        steps = [SentenceModule(str(step["type"]).rpartition(".")[2], str(step["path"])) for step in listed]
    except (KeyError, TypeError):
        raise CardError(f"{MODULES} is not a list of steps with type and path") from None
    if beyond := [step.kind for step in steps if step.kind not in KINDS]:
        raise CardError(f"{MODULES}: {', '.join(beyond)} is none of the steps {', '.join(KINDS)}")
    kinds = [step.kind for step in steps if step.kind not in ("Transformer", "Dropout")]
    if "Pooling" in kinds[1:]:
        raise CardError(f"{MODULES}: Pooling stands behind {kinds[0]}, which takes pooled vectors")
    return steps


def _pooling(folder: Path, steps: Sequence[SentenceModule]) -> str:
    """The names of `POOLINGS`, joined by `+`. Raises `CardError`."""
    config, place = _pooling_config(folder, steps)
    if not place:
        raise CardError(f"{CARD_FILE}: embedding.pooling is missing: {', '.join(POOLINGS)} or none")
    given = config.get("pooling_mode", [mode for key, mode in SWITCHES.items() if config.get(key)])
    modes = [given] if isinstance(given, str) else list(given)
    unknown = [str(mode) for mode in modes if mode not in POOLING_MODES]
    unknown += [key for key, on in config.items() if key.startswith("pooling_mode_") and on and _strange(key)]
    if unknown or not modes:
        raise CardError(
            f"{place}: {', '.join(unknown) or 'no mode'} is no known pooling; declare embedding.pooling"
        )
    return "+".join(POOLING_MODES[mode] for mode in modes)


def _strange(key: str) -> bool:
    return key not in SWITCHES


def _skips_prompt(folder: Path, steps: Sequence[SentenceModule]) -> bool:
    return _pooling_config(folder, steps)[0].get("include_prompt") is False


def _pooling_config(folder: Path, steps: Sequence[SentenceModule]) -> tuple[Mapping[str, Any], str]:
    """The config of the step Pooling and its name; empty ones where there is no such step."""
    path = next((step.path for step in steps if step.kind == "Pooling"), None)
    if path is None:
        return {}, ""
    place = f"{path}/config.json"
    return read_object(folder / place), place


def _projections(folder: Path, steps: Sequence[SentenceModule]) -> tuple[Projection, ...]:
    projections: list[Projection] = []
    for step in steps:
        if step.kind == "Dense":
            projections.append(read_dense(folder / step.path))
        elif step.kind == "LayerNorm":
            projections.append(read_layer_norm(folder / step.path))
        elif step.kind == "Normalize":
            projections.append(normalized)
    return tuple(projections)

"""Layers behind the pooling, as sentence-transformers writes them beside a model: Dense and LayerNorm.

Their weights are read from model.safetensors; a folder that has them as pickled torch tensors only is
refused, because reading those runs whatever they say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from inference.backends.model_files import read_object
from inference.cards.card import CardError

if TYPE_CHECKING:
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

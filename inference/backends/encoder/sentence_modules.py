"""The modules that sentence-transformers writes beside a model: modules.json, pooling, Dense and LayerNorm.

Weights are read from model.safetensors; a folder that has them as pickled torch tensors only is refused,
because unpickling runs code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from inference.backends.encoder.pooling import POOLINGS, EmbeddingHead, normalized
from inference.backends.model_files import is_dual_encoder, sentence_steps
from inference.cards.card import CARD_FILE, CardError, Deployment
from inference.cards.json_files import positive_int, read_object

if TYPE_CHECKING:
    from inference.backends.encoder.pooling import Projection
    from inference.contracts import Vectors

Floats: TypeAlias = NDArray[np.float32]

MODULES_FILE = "modules.json"
MODULE_TYPES = ("Transformer", "Pooling", "Dense", "LayerNorm", "Normalize", "Dropout")
POOLING_MODES: Mapping[str, str] = {
    "cls": "cls",
    "max": "max",
    "mean": "mean",
    "mean_sqrt_len_tokens": "mean_sqrt_len",
    "weightedmean": "weighted_mean",
    "lasttoken": "last",
}
"""The names of sentence-transformers to those of a card, in the order of its concatenation."""
POOLING_FLAGS: Mapping[str, str] = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
"""The form of `pooling_mode` in releases before 5.4: one flag a mode."""

WEIGHTS = "model.safetensors"
SENTENCE_EMBEDDING = "sentence_embedding"
EPSILON = 1e-5
"""The default of torch's LayerNorm, which the files do not repeat."""


class SentenceModule(NamedTuple):
    """An entry of modules.json: the last part of its dotted type, and the folder of its files."""

    type: str
    path: str


def embedding_head(deployment: Deployment, *, pooled: bool) -> EmbeddingHead:
    """Return the head by the card, else by modules.json; `pooled` is for an output of one vector an input.

    Raises:
        CardError: A declaration is missing or contradicts the output, or a module cannot be run.
    """
    declared, folder = deployment.card.embedding, deployment.folder
    modules = _read_modules(folder)
    pooling = declared.pooling or ("none" if pooled else _pooling(folder, modules))
    if pooled != (pooling == "none"):
        shape = "[inputs, dimensions]" if pooled else "[inputs, positions, dimensions]"
        raise CardError(f"{CARD_FILE}: embedding.pooling is {pooling}, the graph's output is {shape}")
    if declared.normalize is None and not modules and not is_dual_encoder(folder):
        raise CardError(f"{CARD_FILE}: embedding.normalize is missing, and there is no {MODULES_FILE}")
    last = modules[-1].type if modules else "Normalize"
    normalize = last == "Normalize" if declared.normalize is None else declared.normalize
    skips_prompt = _skips_prompt(folder, modules)
    if pooled and skips_prompt and declared.pooling is None:
        raise CardError(
            f"{MODULES_FILE}: include_prompt is false, "
            "but the graph's output is already pooled over the prompt"
        )
    if pooled:
        return EmbeddingHead("none", normalize, size=_size(folder))
    for module in (one for one in modules if one.type == "Normalize"):
        location = f"{module.path}/config.json"
        _require_vectors(read_object(folder / location), location)
    layers = modules[:-1] if last == "Normalize" else modules
    return EmbeddingHead(
        pooling, normalize, _projections(folder, layers), skips_prompt=skips_prompt, size=_size(folder)
    )


def _size(folder: Path) -> int | None:
    """Return the numbers to which every vector is cut, None where it stays whole."""
    return positive_int(read_object(folder / "config_sentence_transformers.json").get("truncate_dim"))


def declared_pooling(folder: Path) -> str | None:
    """Return the pooling in a folder's modules.json, or None without that file. Raises `CardError`."""
    modules = _read_modules(folder)
    return _pooling(folder, modules) if modules else None


def _read_modules(folder: Path) -> Sequence[SentenceModule]:
    """Return the modules in order, none without the file. Raises `CardError` for unsupported ones."""
    modules = [SentenceModule(kind, path) for kind, path in sentence_steps(folder)]
    if unsupported := [module.type for module in modules if module.type not in MODULE_TYPES]:
        raise CardError(
            f"{MODULES_FILE}: {', '.join(unsupported)} cannot be run; "
            f"known types are {', '.join(MODULE_TYPES)}"
        )
    types = [module.type for module in modules if module.type not in ("Transformer", "Dropout")]
    if "Pooling" in types[1:]:
        raise CardError(f"{MODULES_FILE}: Pooling must come before {types[0]}, which takes pooled vectors")
    return modules


def _pooling(folder: Path, modules: Sequence[SentenceModule]) -> str:
    """Return names of `POOLINGS` joined by `+`. Raises `CardError`."""
    config, location = _pooling_config(folder, modules)
    if not location:
        raise CardError(
            f"{CARD_FILE}: embedding.pooling is missing; it must be one of {', '.join(POOLINGS)}, none"
        )
    declared = config.get("pooling_mode", [mode for flag, mode in POOLING_FLAGS.items() if config.get(flag)])
    modes = declared if isinstance(declared, list) else [declared]
    unknown = [str(mode) for mode in modes if not isinstance(mode, str) or mode not in POOLING_MODES]
    unknown += [
        key
        for key, value in config.items()
        if key.startswith("pooling_mode_") and value and key not in POOLING_FLAGS
    ]
    if unknown or not modes:
        problem = f"the pooling {', '.join(unknown)} is not known" if unknown else "no pooling is turned on"
        raise CardError(f"{location}: {problem}; declare embedding.pooling in {CARD_FILE}")
    return "+".join(POOLING_MODES[mode] for mode in modes)


def _skips_prompt(folder: Path, modules: Sequence[SentenceModule]) -> bool:
    return _pooling_config(folder, modules)[0].get("include_prompt") is False


def _pooling_config(folder: Path, modules: Sequence[SentenceModule]) -> tuple[Mapping[str, Any], str]:
    """Return the config of the module Pooling and its location; empty ones without such a module."""
    path = next((module.path for module in modules if module.type == "Pooling"), None)
    if path is None:
        return {}, ""
    location = f"{path}/config.json"
    return read_object(folder / location), location


def _projections(folder: Path, modules: Sequence[SentenceModule]) -> tuple[Projection, ...]:
    projections: list[Projection] = []
    for module in modules:
        if module.type == "Dense":
            projections.append(read_dense(folder / module.path))
        elif module.type == "LayerNorm":
            projections.append(read_layer_norm(folder / module.path))
        elif module.type == "Normalize":
            projections.append(normalized)
    return tuple(projections)


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
    """A linear layer with an activation, from [n, d] to [n, e]: activation(x @ weight + bias)."""

    weight: Floats
    bias: Floats
    activation: Callable[[Floats], Floats]

    def __call__(self, vectors: Vectors) -> Vectors:
        return self.activation(vectors @ self.weight + self.bias)


@dataclass(frozen=True, slots=True)
class LayerNorm:
    """A layer that brings every row to mean 0 and variance 1, then scales and shifts it."""

    weight: Floats
    bias: Floats

    def __call__(self, vectors: Vectors) -> Vectors:
        centred = vectors - vectors.mean(axis=1, keepdims=True)
        variance = np.square(centred).mean(axis=1, keepdims=True)
        return np.asarray(centred / np.sqrt(variance + EPSILON) * self.weight + self.bias, np.float32)


def read_dense(folder: Path) -> Dense:
    """Read a Dense module. Raises `CardError` for an unsupported activation or input or missing weights."""
    config = read_object(folder / "config.json")
    location = f"{folder.name}/config.json"
    # Tanh is the default of sentence-transformers.
    activation = str(config.get("activation_function", "Tanh")).rpartition(".")[2]
    if activation not in ACTIVATIONS:
        raise CardError(
            f"{location}: activation_function {activation} is not one of {', '.join(sorted(ACTIVATIONS))}"
        )
    _require_vectors(config, location)
    if config.get("use_residual"):
        raise CardError(f"{location}: use_residual is on, and a Dense module is run without a residual only")
    tensors = _read_tensors(folder, ("linear.weight",))
    weight = np.ascontiguousarray(tensors["linear.weight"].T)
    bias = tensors.get("linear.bias", np.zeros(weight.shape[1], np.float32))
    return Dense(weight, bias, ACTIVATIONS[activation])


def _require_vectors(config: Mapping[str, Any], location: str) -> None:
    """Raise `CardError` for a module that takes or gives anything but one vector an input."""
    for key in ("module_input_name", "module_output_name"):
        if config.get(key) not in (None, SENTENCE_EMBEDDING):
            raise CardError(f"{location}: {key} is {config[key]}, it must be {SENTENCE_EMBEDDING}")


def read_layer_norm(folder: Path) -> LayerNorm:
    """Read a LayerNorm module. Raises `CardError` for missing weights."""
    tensors = _read_tensors(folder, ("norm.weight", "norm.bias"))
    return LayerNorm(tensors["norm.weight"], tensors["norm.bias"])


def _read_tensors(folder: Path, names: tuple[str, ...]) -> Mapping[str, Floats]:
    location = f"{folder.name}/{WEIGHTS}"
    if not (folder / WEIGHTS).is_file():
        raise CardError(f"{location} is missing; save the module's weights as safetensors")
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tensors = load_file(folder / WEIGHTS)
    except (SafetensorError, OSError, KeyError, TypeError) as error:
        raise CardError(f"{location} cannot be read: {error}") from None
    if missing := [name for name in names if name not in tensors]:
        raise CardError(f"{location} has no {', '.join(missing)}; it has {', '.join(tensors) or 'nothing'}")
    return {name: np.asarray(tensor, np.float32) for name, tensor in tensors.items()}

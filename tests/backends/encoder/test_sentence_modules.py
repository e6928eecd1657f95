from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from inference.backends.encoder.sentence_modules import ACTIVATIONS, read_dense, read_layer_norm
from inference.cards.card import CardError
from tests.support.decoders import write_json

Floats = NDArray[np.float32]

VECTORS: Floats = np.random.default_rng(1).standard_normal((3, 4), np.float32)
WEIGHT: Floats = np.random.default_rng(2).standard_normal((2, 4), np.float32)
BIAS = np.array([0.5, -0.5], np.float32)


def dense(folder: Path, tensors: dict[str, Floats] | None = None, **config: Any) -> Path:
    write_json(folder / "config.json", {"in_features": 4, "out_features": 2, **config})
    if tensors is None:
        tensors = {"linear.weight": WEIGHT, "linear.bias": BIAS}
    save_file(tensors, folder / "model.safetensors")
    return folder


@pytest.mark.parametrize(
    ("name", "activation"),
    [
        ("torch.nn.modules.linear.Identity", lambda x: x),
        ("torch.nn.modules.activation.Tanh", np.tanh),
        ("torch.nn.modules.activation.ReLU", lambda x: x * (x > 0)),
        ("torch.nn.modules.activation.Sigmoid", lambda x: 1 / (1 + np.exp(-x))),
    ],
)
def test_dense_applies_weight_bias_and_activation(tmp_path: Path, name: str, activation: Any) -> None:
    vectors = read_dense(dense(tmp_path, activation_function=name))(VECTORS)
    np.testing.assert_allclose(vectors, activation(VECTORS @ WEIGHT.T + BIAS), rtol=1e-5)
    assert vectors.dtype == np.float32


def test_dense_defaults_to_no_bias_and_tanh(tmp_path: Path) -> None:
    vectors = read_dense(dense(tmp_path, {"linear.weight": WEIGHT}))(VECTORS)
    np.testing.assert_allclose(vectors, np.tanh(VECTORS @ WEIGHT.T), rtol=1e-5)


def test_layer_norm_normalises_scales_and_shifts(tmp_path: Path) -> None:
    weight, bias = np.arange(4, dtype=np.float32), np.ones(4, np.float32)
    save_file({"norm.weight": weight, "norm.bias": bias}, tmp_path / "model.safetensors")
    rows = [
        (row - row.mean()) / np.sqrt(row.var() + 1e-5) * weight + bias for row in VECTORS.astype(np.float64)
    ]
    np.testing.assert_allclose(read_layer_norm(tmp_path)(VECTORS), rows, atol=1e-5)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (
            {"activation_function": "torch.nn.modules.activation.GELU"},
            "activation_function GELU is not one of",
        ),
        (
            {"module_input_name": "token_embeddings"},
            "module_input_name is token_embeddings, it must be sentence_embedding",
        ),
    ],
)
def test_unsupported_dense_configs_are_refused(tmp_path: Path, config: Any, sentence: str) -> None:
    with pytest.raises(CardError, match=sentence):
        read_dense(dense(tmp_path, **config))


def test_missing_and_broken_weights_are_refused(tmp_path: Path) -> None:
    (folder := tmp_path / "2_Dense").mkdir()
    with pytest.raises(CardError, match=r"2_Dense/model\.safetensors is missing"):
        read_dense(folder)
    dense(folder, {"other": WEIGHT})
    with pytest.raises(CardError, match=r"2_Dense/model\.safetensors has no linear\.weight; it has other"):
        read_dense(folder)
    (folder / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(CardError, match=r"2_Dense/model\.safetensors cannot be read"):
        read_dense(folder)


def test_every_activation_keeps_the_shape() -> None:
    assert all(function(VECTORS).shape == VECTORS.shape for function in ACTIVATIONS.values())

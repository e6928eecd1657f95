"""The float weights that a deployment of SmolLM2 stands for, read back from its graph's own tensors.

Its 4 bits with offsets keep every weight of the GGUF file, so that other forms can be made without the file.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from inference.importer.graph.weights import BlockMatrix, FloatMatrix, Floats, Matrix, unpacked

HIDDEN, KEYS, MLP, LAYERS = 576, 192, 1536, 30
LAYER_MATRICES: Mapping[str, tuple[str, int, int]] = {
    "self_attn.q_proj": ("attn/qkv_proj", 0, HIDDEN),
    "self_attn.k_proj": ("attn/qkv_proj", HIDDEN, HIDDEN + KEYS),
    "self_attn.v_proj": ("attn/qkv_proj", HIDDEN + KEYS, HIDDEN + 2 * KEYS),
    "self_attn.o_proj": ("attn/o_proj", 0, HIDDEN),
    "mlp.gate_proj": ("mlp/gate_up_proj", 0, MLP),
    "mlp.up_proj": ("mlp/gate_up_proj", MLP, 2 * MLP),
    "mlp.down_proj": ("mlp/down_proj", 0, HIDDEN),
}
"""The graph's matrix, and its rows, of each matrix in a checkpoint."""
NORMS = ("input_layernorm", "post_attention_layernorm")
EMBEDDING, LAST_NORM = "model.embed_tokens.weight", "model.norm.weight"


@dataclass(frozen=True)
class StoredWeights:
    """A source of float weights over the tensors of a deployment's graph."""

    graph: Path

    @property
    def names(self) -> Collection[str]:
        layers = [f"model.layers.{layer}." for layer in range(LAYERS)]
        parts = (*LAYER_MATRICES, *NORMS)
        return {EMBEDDING, LAST_NORM, *(f"{layer}{part}.weight" for layer in layers for part in parts)}

    @cached_property
    def _tensors(self) -> Mapping[str, onnx.TensorProto]:
        model = onnx.load(self.graph, load_external_data=False)
        return {tensor.name: tensor for tensor in model.graph.initializer}

    def matrix(self, name: str) -> Matrix:
        if name == EMBEDDING:
            return self._rows(name.removesuffix(".weight"), 0, None)
        layer, _, part = name.removeprefix("model.layers.").removesuffix(".weight").partition(".")
        stored, begin, end = LAYER_MATRICES[part]
        return self._rows(f"/model/layers.{layer}/{stored}", begin, end)

    def vector(self, name: str) -> Floats:
        if name == LAST_NORM:
            return self._array("/model/norm.weight")
        layer, _, norm = name.removeprefix("model.layers.").partition(".")
        return self._array(f"/model/layers.{layer}/{norm}")

    def _rows(self, stored: str, begin: int, end: int | None) -> FloatMatrix:
        rows = slice(begin, end)
        for bits in (4, 8):
            if (levels := f"{stored}.weight_Q{bits}") in self._tensors:
                offsets = f"{stored}.weight_offsets"
                matrix = BlockMatrix(
                    4 if bits == 4 else 8,
                    self._array(levels)[rows],
                    self._array(f"{stored}.weight_scales")[rows],
                    self._array(offsets)[rows] if offsets in self._tensors else None,
                )
                return FloatMatrix(unpacked(matrix))
        raise KeyError(stored)

    def _array(self, name: str) -> NDArray[Any]:
        tensor = self._tensors[name]
        if not tensor.external_data:
            return onnx.numpy_helper.to_array(tensor)
        place = {entry.key: entry.value for entry in tensor.external_data}
        kind = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
        count = int(np.prod(tensor.dims))
        path = self.graph.with_name(place["location"])
        return np.fromfile(path, kind, count, offset=int(place["offset"])).reshape(tuple(tensor.dims))

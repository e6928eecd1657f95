"""What the form of each type costs, in sentences."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from inference.importer.gguf import tensor_types as types
from inference.importer.gguf.cost import cost_of
from inference.importer.gguf.parts import read_parts
from inference.importer.gguf.tensor_types import TensorType
from inference.importer.gguf.weights import GgufWeights
from tests.importer.gguf.gguf_files import GgufFile, Tensor, llama_arrays, llama_metadata


def sentences(tmp_path: Path, kinds: dict[str, TensorType], *, eight_bits: bool = False) -> list[str]:
    """Return the sentences for a llama whose matrices have the types, zeros but for those in float."""
    arrays = llama_arrays()
    tensors = [Tensor.of(name, array) for name, array in arrays.items() if name not in kinds]
    for name, kind in kinds.items():
        size = arrays[name].size // kind.block * kind.size
        tensors.append(Tensor(name, arrays[name].shape, bytes(size), kind))
    path = GgufFile(llama_metadata(), tensors).write(tmp_path / "m.gguf")
    weights = GgufWeights(read_parts([path]), eight_bits)
    for name, rows in weights.rows.items():
        if len(rows.tensor.shape) == 2:
            weights.matrix(name)
    total = sum(tensor.size for tensor in weights.header.tensors.values())
    return list(cost_of(weights, total * 2))


MATRICES = [name for name, array in llama_arrays().items() if array.ndim == 2]


def test_exact_types_are_named_together(tmp_path: Path) -> None:
    kinds = {**dict.fromkeys(MATRICES, types.Q4_1), "token_embd.weight": types.Q8_0}
    assert sentences(tmp_path, kinds) == [
        "7 matrices in Q4_1 become 4 bits with offsets and 1 matrix in Q8_0 becomes 8 bits, without loss.",
        "The graph has 0.0 MB, 2.00 times its GGUF file's tensors.",
    ]


def test_floats_say_what_they_become_and_what_else_is_possible(tmp_path: Path) -> None:
    first, *_ = sentences(tmp_path, {"token_embd.weight": types.F16, "blk.0.ffn_up.weight": types.Q4_0})
    assert first == "1 matrix in Q4_0 becomes 4 bits, without loss."
    told = sentences(tmp_path, {})
    assert told[0] == "8 matrices in F32 become float32: exact and slow, --int8 rounds them to 8 bits."


def test_rounded_types_say_their_error(tmp_path: Path) -> None:
    found = sentences(tmp_path, {}, eight_bits=True)[0]
    begin = "8 matrices in F32 are rounded to 8 bits, with a relative error of 0.00"
    assert found.startswith(begin)
    assert 0.004 < float(found.removesuffix(".").rpartition(" ")[2]) < 0.007
    assert np.isfinite(float(found.removesuffix(".").rpartition(" ")[2]))


def test_int8_of_quantized_matrices_changes_nothing_and_says_so(tmp_path: Path) -> None:
    kinds = dict.fromkeys(MATRICES, types.Q8_0)
    changes = "--int8 changes nothing: all matrices are quantized, and each type has a form of its own."
    assert changes in sentences(tmp_path, kinds, eight_bits=True)
    assert changes not in sentences(tmp_path, kinds)
    assert changes not in sentences(tmp_path, dict.fromkeys(MATRICES[1:], types.Q8_0), eight_bits=True)

"""What the form of a graph costs beside its GGUF file, in sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import reduce
from operator import add

from inference.importer.findings import format_size
from inference.importer.gguf.blocks import QUANTIZATIONS
from inference.importer.gguf.forms import Loss, bits_of, is_exact
from inference.importer.gguf.tensor_types import TensorType
from inference.importer.gguf.weights import FLOATS, GgufWeights


def cost_of(weights: GgufWeights, written: int) -> Iterator[str]:
    """Yield a sentence on each type's form and loss, and one on the bytes; the weights have been read."""
    if weights.in_float:
        yield f"Every matrix is in float32: the graph has {format_size(written)}."
        return
    matrices = Counter(rows.tensor.type for rows in weights.rows.values() if len(rows.tensor.shape) == 2)
    exact = [_exact(kind, count) for kind, count in matrices.items() if is_exact(kind)]
    if exact:
        yield f"{_listed(exact)}, without loss."
    for kind, count in matrices.items():
        if not is_exact(kind):
            yield _rounded(weights, kind, count)
    if weights.eight_bits and not any(kind in FLOATS for kind in matrices):
        yield "--int8 changes nothing: all matrices are quantized, and each type has a form of its own."
    size = sum(tensor.size for tensor in weights.header.tensors.values())
    yield f"The graph has {format_size(written)}, {written / max(size, 1):.2f} times its GGUF file's tensors."


def _exact(kind: TensorType, count: int) -> str:
    offsets = " with offsets" if QUANTIZATIONS[kind].low == 0 else ""
    return f"{_matrices(count)} in {kind} {_keep(count)} {bits_of(kind)} bits{offsets}"


def _rounded(weights: GgufWeights, kind: TensorType, count: int) -> str:
    losses = [
        weights.losses[name]
        for name, rows in weights.rows.items()
        if name in weights.losses and rows.tensor.type is kind
    ]
    if kind in FLOATS and not losses:
        hint = "" if weights.eight_bits else ": exact and slow, --int8 rounds them to 8 bits"
        return f"{_matrices(count)} in {kind} {'become' if count > 1 else 'becomes'} float32{hint}."
    loss = reduce(add, losses, Loss())
    rounded = "are" if count > 1 else "is"
    error = f"a relative error of {loss.relative:.4f}"
    return f"{_matrices(count)} in {kind} {rounded} rounded to 8 bits, with {error}."


def _matrices(count: int) -> str:
    return f"{count} {'matrices' if count > 1 else 'matrix'}"


def _keep(count: int) -> str:
    return "become" if count > 1 else "becomes"


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"

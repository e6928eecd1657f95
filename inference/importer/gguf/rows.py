"""Where in a GGUF file each weight of a graph is, by its name in transformers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from inference.importer.findings import ImporterError
from inference.importer.gguf.fields import printable
from inference.importer.gguf.header import GgufHeader, GgufTensor
from inference.importer.gguf.names import COMPUTED, FACTORS, LAYER, NAMINGS, Naming
from inference.importer.gguf.shapes import Sizes, require_consistent


@dataclass(frozen=True, slots=True)
class TensorRows:
    """Rows of a tensor that are one matrix or vector in transformers."""

    tensor: GgufTensor
    begin: int
    end: int
    heads: int = 0
    """Heads whose rows are in pairs; 0 where the rows are in order."""
    gain: float = 0.0
    """What the file has added to the values."""

    @property
    def columns(self) -> int:
        return self.tensor.shape[1] if len(self.tensor.shape) > 1 else 1


def naming_of(header: GgufHeader) -> Naming:
    """Return the names of a file's architecture. Raises `ImporterError` for one that is not read."""
    architecture = header.architecture
    if architecture not in NAMINGS:
        subject = f"the architecture {printable(architecture[:80])}" if architecture else "no architecture"
        raise ImporterError(
            f"{header.path.name} is of {subject}, which is not read. Take a model of one of these: "
            f"{', '.join(NAMINGS)}."
        )
    return NAMINGS[architecture]


def rows_by_name(header: GgufHeader) -> dict[str, TensorRows]:
    """Return the rows of each weight.

    Raises `ImporterError` for an architecture that is not read, a tensor that it does not have, one that it
    needs, and a shape that contradicts the metadata.
    """
    naming = naming_of(header)
    sizes = require_consistent(header)
    return dict(
        pair for tensor in header.tensors.values() for pair in _rows_of(header, tensor, naming, sizes)
    )


def _rows_of(
    header: GgufHeader, tensor: GgufTensor, naming: Naming, sizes: Sizes
) -> Iterator[tuple[str, TensorRows]]:
    rows = tensor.shape[0]
    if tensor.name in FACTORS:
        yield tensor.name, TensorRows(tensor, 0, rows)
        return
    inner = _inner_name(tensor.name)
    if inner == COMPUTED:
        return
    if inner == "attn_qkv" and inner not in naming.layers:
        yield from _parts_of(tensor, naming, sizes)
        return
    if (name := naming.of(tensor.name)) is None:
        raise _unknown(header, tensor.name)
    gain = 1.0 if naming.gains_from_one and name.endswith("norm.weight") else 0.0
    yield name, TensorRows(tensor, 0, rows, _heads(inner, naming, sizes), gain)


def _parts_of(tensor: GgufTensor, naming: Naming, sizes: Sizes) -> Iterator[tuple[str, TensorRows]]:
    """Yield queries, keys and values of a tensor that has them one after another."""
    begin = 0
    counts = {"attn_q": sizes.queries, "attn_k": sizes.keys, "attn_v": sizes.values}
    for part, count in counts.items():
        name = naming.of(tensor.name.replace("attn_qkv", part))
        assert name is not None, "every architecture without attn_qkv has its parts"
        yield name, TensorRows(tensor, begin, begin + count, _heads(part, naming, sizes))
        begin += count


def _inner_name(name: str) -> str:
    layer = LAYER.fullmatch(name.rpartition(".")[0])
    return layer[2] if layer else ""


def _heads(inner: str, naming: Naming, sizes: Sizes) -> int:
    heads: Mapping[str, int] = {"attn_q": sizes.heads, "attn_k": sizes.key_heads}
    return heads.get(inner, 0) if naming.interleaved else 0


def _unknown(header: GgufHeader, name: str) -> ImporterError:
    kind = "a mixture of experts, which no graph is written for" if "_exps" in name else "of another kind"
    return ImporterError(
        f"{header.path.name} has the tensor {printable(name)}, which models of the architecture "
        f"{header.architecture} do not have: it is {kind}. Take another model."
    )

"""The sizes that a GGUF file's metadata states, and the tensors that must have them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from inference.importer.findings import ImporterError
from inference.importer.gguf.fields import printable
from inference.importer.gguf.header import GgufHeader, GgufTensor
from inference.importer.gguf.names import EMBEDDING, LAYER

MAX_LAYERS = 10_000


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of an architecture; those of queries, keys and values are of all heads together."""

    layers: int
    width: int
    inner: int
    heads: int
    key_heads: int
    queries: int
    keys: int
    values: int


def require_consistent(header: GgufHeader) -> Sizes:
    """Return the sizes. Raises `ImporterError` for a missing tensor or one of another shape than stated."""
    sizes = sizes_of(header)
    embedding = header.tensors.get(f"{EMBEDDING}.weight")
    if embedding is None:
        _contradicts(header, f"the tensor {EMBEDDING}.weight is missing")
    _require_vocabulary(header, embedding)
    _require_layers(header, sizes.layers)
    for tensor in header.tensors.values():
        expected = _expected(tensor.name, sizes, len(tensor.shape))
        if expected and tensor.shape not in expected:
            _contradicts(
                header,
                f"the tensor {tensor.name} has the shape {list(tensor.shape)}, not {list(expected[0])}",
            )
    return sizes


def sizes_of(header: GgufHeader) -> Sizes:
    """Return the sizes that the metadata states. Raises `ImporterError` for one that is not possible."""
    layers, width, inner, heads = (
        _size(header, name)
        for name in ("block_count", "embedding_length", "feed_forward_length", "attention.head_count")
    )
    key_heads = _size(header, "attention.head_count_kv", heads)
    key_size = _size(header, "attention.key_length", width // heads)
    value_size = _size(header, "attention.value_length", width // heads)
    if heads % key_heads or key_size % 2:
        _contradicts(
            header, f"{heads} heads with {key_heads} for keys, of {key_size} numbers each, are not possible"
        )
    if layers > MAX_LAYERS:
        _contradicts(header, f"it states {layers:,} layers")
    return Sizes(
        layers, width, inner, heads, key_heads, heads * key_size, key_heads * key_size, key_heads * value_size
    )


def _size(header: GgufHeader, name: str, default: int | None = None) -> int:
    key = header.key(name)
    value = header.integer(key)
    value = default if value is None else value
    if value is None or value <= 0:
        _contradicts(header, f"{key} is {'missing' if value is None else value}")
    return value


def _require_vocabulary(header: GgufHeader, embedding: GgufTensor) -> None:
    tokens = header.strings("tokenizer.ggml.tokens")
    if tokens is not None and len(tokens) != embedding.shape[0]:
        _contradicts(
            header,
            f"the vocabulary has {len(tokens):,} tokens and {embedding.name} {embedding.shape[0]:,} rows",
        )


def _require_layers(header: GgufHeader, count: int) -> None:
    """Raise `ImporterError` unless every layer up to the count has the tensors of the first."""
    layers: dict[int, set[str]] = {}
    for name in header.tensors:
        if match := LAYER.fullmatch(name):
            layers.setdefault(int(match[1]), set()).add(match[2])
    if len(layers) != count or max(layers, default=-1) != count - 1:
        _contradicts(header, f"it states {count:,} layers, and there are tensors of {len(layers):,}")
    for layer in range(count):
        if missing := min(layers[0] - layers[layer], default=None):
            _contradicts(header, f"the tensor blk.{layer}.{missing} is missing")


def _expected(name: str, sizes: Sizes, dimensions: int) -> tuple[tuple[int, ...], ...]:
    """Return the shapes that a tensor may have; none where its size is not stated."""
    stem, _, _ = name.rpartition(".")
    layer = LAYER.fullmatch(stem)
    matrices = {shape for part, shape in _matrices(sizes) if part == (layer[2] if layer else stem)}
    if dimensions == 1:
        return tuple((rows,) for rows, _ in matrices)
    return tuple(sorted(matrices))


def _matrices(sizes: Sizes) -> Iterator[tuple[str, tuple[int, int]]]:
    yield "attn_q", (sizes.queries, sizes.width)
    yield "attn_k", (sizes.keys, sizes.width)
    yield "attn_v", (sizes.values, sizes.width)
    yield "attn_qkv", (sizes.queries + sizes.keys + sizes.values, sizes.width)
    yield "attn_output", (sizes.width, sizes.heads * sizes.values // sizes.key_heads)
    yield "ffn_gate", (sizes.inner, sizes.width)
    yield "ffn_up", (sizes.inner, sizes.width)
    yield "ffn_up", (2 * sizes.inner, sizes.width)
    yield "ffn_down", (sizes.width, sizes.inner)
    for norm in ("attn_norm", "ffn_norm", "output_norm", "post_attention_norm", "post_ffw_norm"):
        yield norm, (sizes.width, 1)


def _contradicts(header: GgufHeader, reason: str) -> NoReturn:
    raise ImporterError(
        f"The metadata and the tensors of {header.path.name} contradict each other: {printable(reason)}. "
        "Take a file that llama.cpp's converter wrote."
    )

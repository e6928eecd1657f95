"""The KV cache of a decoder's graph, by its inputs and operators: layout, copies and rows.

The backend that allocates the cache, the estimate of its memory and the importer's context follow from it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

from inference.backends.onnx_header import TensorInfo
from inference.cards.card import CardError
from inference.engine.kv_cache import CacheLayout
from inference.settings import Settings

PAST = "past_key_values."
"""The prefix of the inputs that are the cache's tensors."""
FLOATS: Mapping[str, np.dtype[Any]] = {
    "tensor(float)": np.dtype(np.float32),
    "tensor(float16)": np.dtype(np.float16),
}
IN_PLACE = "GroupQueryAttention"
"""The operator that writes new keys and values into the cache it reads."""
CONCATENATED_COPIES = 3
"""The copies of a cache that a graph returns longer: the cache, a run's past and a run's present."""
MIB = 1024 * 1024


def cache_layout(inputs: Iterable[TensorInfo], head_size: int | None) -> CacheLayout:
    """Return the layout of the cache among a graph's inputs, in their sequence.

    `head_size` is used where the graph leaves the size open. Raises `CardError` for a graph without a cache,
    or with one that is not float32 or float16 of shape [batch, kv_heads, past, head_size].
    """
    past = [tensor for tensor in inputs if tensor.name.startswith(PAST)]
    types = {float_type(tensor) for tensor in past}
    if not past:
        raise graph_refusal(f"it has no KV cache: no input's name starts with {PAST!r}")
    if len(types) > 1:
        raise graph_refusal("its KV cache mixes float32 and float16")
    return CacheLayout(tuple(_heads_and_size(tensor, head_size) for tensor in past), types.pop())


def cache_copies(operators: Collection[str]) -> int:
    """Return how many copies of its cache a graph with these operators needs."""
    return 1 if IN_PLACE in operators else CONCATENATED_COPIES


def cache_rows(layout: CacheLayout, context: int, settings: Settings, *, copies: int = 1) -> int:
    """Return how many rows of `context` tokens the slots and the memory of the settings allow; 0 for none."""
    budget = settings.kv_memory_mb * MIB // copies
    return layout.rows_within(budget, slots=settings.slots, length=context)


def float_type(tensor: TensorInfo) -> np.dtype[Any]:
    """Return the dtype of a float tensor. Raises `CardError` for any other."""
    if tensor.type not in FLOATS:
        raise graph_refusal(f"{tensor.name} is {tensor.type}, not float32 or float16")
    return FLOATS[tensor.type]


def _heads_and_size(tensor: TensorInfo, head_size: int | None) -> tuple[int, int]:
    shape = list(tensor.shape)
    heads = shape[1] if len(shape) == 4 else None
    if not isinstance(heads, int) or heads <= 0:
        raise graph_refusal(f"{tensor.name} has the shape {shape}, not [batch, kv_heads, past, head_size]")
    size = shape[3] if isinstance(shape[3], int) else head_size
    if size is None or size <= 0:
        raise graph_refusal(
            f"{tensor.name} has the shape {shape}, and neither genai_config.json (head_size) nor config.json "
            "(head_dim, or hidden_size and num_attention_heads) states the last size"
        )
    return heads, size


def graph_refusal(problem: str) -> CardError:
    """Return the refusal of a graph that the backend cannot run."""
    return CardError(f"files.model: the graph is no decoder that onnx-decoder runs: {problem}")

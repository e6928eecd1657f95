"""Writes the head size into a decoder's graph where it is left open.

The cache is allocated by the declared shape [batch, kv_heads, past, head_size]. onnxruntime-genai's builder
0.18 calls the last one `kv_cache_dim` and puts the number into genai_config.json. No weight is touched.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from inference.intake.finding import Found
from inference.intake.graph import Graph
from inference.intake.looking import part, read_object, whole
from inference.intake.refusal import IntakeError

CACHES = ("past_key_values.", "present.")


def is_open(graph: Graph) -> bool:
    """Whether a cache of four dimensions has a free last one."""
    caches = [tensor.dims for name, tensor in graph.inputs.items() if name.startswith(CACHES)]
    return any(len(dims) == 4 and not isinstance(dims[3], int) for dims in caches)


def close_head_size(path: Path) -> Found[int]:
    """Rewrites the file; of a link the source stays. Raises `IntakeError` where nothing says the size."""
    import onnx

    size = _head_size(path.parent)
    if size is None:
        raise IntakeError(
            f"{path.name} leaves the head size of its KV cache open, and no file beside it says it: put its "
            "genai_config.json or config.json there."
        )
    model = onnx.load(str(path), load_external_data=False)
    for value in (*model.graph.input, *model.graph.output):
        _close(value, size)
    rewritten = path.with_name(f"{path.name}.rewritten")
    onnx.save(model, str(rewritten))
    rewritten.replace(path)
    return Found(size, f"The graph leaves the head size of its cache open; {size} was written into it.")


def _close(value: Any, size: int) -> None:
    dims = value.type.tensor_type.shape.dim
    if value.name.startswith(CACHES) and len(dims) == 4 and not dims[3].HasField("dim_value"):
        dims[3].dim_value = size


def _head_size(folder: Path) -> int | None:
    """As genai_config.json or config.json says, else the hidden size by the heads."""
    genai = read_object(folder / "genai_config.json")
    config = read_object(folder / "config.json")
    for said in (part(part(genai, "model"), "decoder"), part(config, "text_config"), config):
        size = whole(said.get("head_size")) or whole(said.get("head_dim"))
        hidden, heads = whole(said.get("hidden_size")), whole(said.get("num_attention_heads"))
        if size or (hidden and heads):
            return size or (hidden or 0) // (heads or 1)
    return None

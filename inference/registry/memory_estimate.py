"""How much memory an open deployment takes, told before it is opened.

Measured with two threads: a chat model of 317 MB of 4-bit weights took 533 MB, one of 86 MB 151 MB, because
onnxruntime keeps packed copies beside the mapped file; encoders of float weights took 1.4 times their file.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inference.cards.card import Deployment
from inference.settings import Settings

WEIGHT_FACTOR = 1.75
"""Of the weights' files, for graphs whose weights are packed anew."""
ENCODER_FACTOR = 1.4
TOKENIZER_FACTOR = 8
"""Of tokenizer.json: its vocabulary becomes hash tables."""
ALWAYS = 8 * 1024 * 1024
"""Bytes of threads, arenas and buffers that even an empty graph takes."""
FLOAT = 4
WEIGHTS = (".data", "_data", ".bin", ".weights")
"""Ends of the names of files that hold a graph's weights beside it."""
MIB = 1024 * 1024


def estimate_bytes(deployment: Deployment, settings: Settings) -> int:
    """Bytes that the deployment is going to take, its KV cache and its known prompts as if they were full.

    None where another endpoint runs it: connections are few and small beside any model.
    """
    if deployment.card.remote is not None:
        return 0
    decodes = deployment.card.backend == "onnx-decoder"
    weights = _weights(deployment) * (WEIGHT_FACTOR if decodes else ENCODER_FACTOR)
    tokenizer = _size(deployment.folder / deployment.card.files.get("tokenizer", "tokenizer.json"))
    cache = _kv_cache(deployment, settings) + settings.prefix_cache_mb * MIB if decodes else 0
    return int(ALWAYS + weights + tokenizer * TOKENIZER_FACTOR) + cache


def resident() -> int:
    """Bytes of memory that this process has now; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError, AttributeError):
        return 0


def give_back() -> None:
    """Gives to the system what was freed: glibc keeps it, 60 MB of a closed model of that size."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):  # another C library
        return


def _weights(deployment: Deployment) -> int:
    named = {name for name in deployment.card.files.values() if name.endswith(".onnx")} or {"model.onnx"}
    graphs = [deployment.folder / name for name in named]
    beside = {
        path
        for folder in {graph.parent for graph in graphs}
        for path in (folder.iterdir() if folder.is_dir() else ())
        if path.name.endswith(WEIGHTS)
    }
    return sum(_size(path) for path in (*graphs, *beside))


def _kv_cache(deployment: Deployment, settings: Settings) -> int:
    """As `backends.onnx_decoder.allocate` will have it, or the most it may take where no file says more."""
    most = settings.kv_memory_mb * MIB
    config = _object(deployment.folder / "config.json")
    context = deployment.card.context or config.get("max_position_embeddings")
    token = _bytes_per_token(config)
    if not token or not isinstance(context, int):
        return most
    rows = min(settings.slots, most // (token * context))
    return int(rows * token * context)


def _bytes_per_token(config: Mapping[str, Any]) -> int:
    try:
        heads = config["num_attention_heads"]
        size = config.get("head_dim") or config["hidden_size"] // heads
        return int(2 * config["num_hidden_layers"] * config.get("num_key_value_heads", heads) * size * FLOAT)
    except (KeyError, TypeError, ZeroDivisionError):
        return 0


def _object(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0

"""The memory that an open deployment takes, estimated before it is opened.

The factors were measured with two threads. A chat model of 317 MB of 4-bit weights took 533 MB, one of 86 MB
151 MB, because onnxruntime keeps packed copies as well as the mapped file; encoders of float weights took 1.4
times their file.
"""

from __future__ import annotations

import ctypes
import gc
import os
from pathlib import Path

from inference.backends.external_data import files_of
from inference.backends.model_files import decoder_context, head_size
from inference.backends.onnx_header import OnnxHeader, read_header
from inference.cards.card import CardError, Deployment
from inference.cards.json_files import read_role
from inference.settings import Settings

DECODER_FACTOR = 1.75
"""Bytes of memory for a byte of weights, in graphs whose weights are packed anew."""
ENCODER_FACTOR = 1.4
TOKENIZER_FACTOR = 8
"""Bytes of memory for a byte of tokenizer.json, whose vocabulary becomes hash tables."""
BASE = 8 * 1024 * 1024
"""Bytes of threads, arenas and buffers that even an empty graph takes."""
MIB = 1024 * 1024


def estimate_bytes(deployment: Deployment, settings: Settings) -> int:
    """Return the bytes that the deployment takes once open, its KV cache and prefix cache counted as full.

    0 where a remote endpoint runs it: connections are few and small beside any model.
    """
    if deployment.card.remote is not None:
        return 0
    decodes = deployment.card.backend == "onnx-decoder"
    weights = _weights(deployment) * (DECODER_FACTOR if decodes else ENCODER_FACTOR)
    tokenizer = _size(deployment.folder / deployment.card.files.get("tokenizer", "tokenizer.json"))
    fixed = int(BASE + weights + tokenizer * TOKENIZER_FACTOR)
    return fixed + (_caches(deployment, settings) if decodes else 0)


def kv_cache_bytes(deployment: Deployment, settings: Settings) -> int | None:
    """Return the bytes that a decoder's KV cache takes, in all the copies that its graph needs.

    None where the graph or the context cannot be read: the backend will refuse the deployment.
    """
    from inference.backends.decoder.cache_layout import cache_copies, cache_layout, cache_rows

    header = _header(deployment)
    if header is None:
        return None
    try:
        configs = (read_role(deployment, role) for role in ("config", "genai_config"))
        layout = cache_layout(header.inputs, head_size(*configs))
        context = decoder_context(deployment)
    except CardError:
        return None
    copies = cache_copies(header.operators)
    rows = cache_rows(layout, context, settings, copies=copies)
    return copies * rows * context * layout.bytes_per_token


def resident() -> int:
    """Return the bytes of memory that this process has now; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError, AttributeError):
        return 0


def release_freed_memory() -> None:
    """Return freed memory to the system: glibc keeps it, 60 MB after a closed model of that size."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):  # another C library
        return


def _caches(deployment: Deployment, settings: Settings) -> int:
    kv_cache = kv_cache_bytes(deployment, settings)
    # Without a layout to go by, the KV cache may take all that the settings allow it.
    largest = settings.kv_memory_mb * MIB
    return (largest if kv_cache is None else kv_cache) + settings.prefix_cache_mb * MIB


def _header(deployment: Deployment) -> OnnxHeader | None:
    try:
        return read_header(deployment.file("model", "model.onnx"))
    except (CardError, OSError, ValueError):
        return None


def _weights(deployment: Deployment) -> int:
    """Return the bytes of a deployment's graphs and of their external data, each file once."""
    names = {name for name in deployment.card.files.values() if name.endswith(".onnx")} or {"model.onnx"}
    return sum(
        _size(path) for path in {path for name in names for path in files_of(deployment.folder / name)}
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0

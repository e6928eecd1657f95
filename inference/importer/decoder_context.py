"""The context of a decoder, in tokens: limited by its training and by the memory of this machine."""

from __future__ import annotations

from inference.backends.decoder.concatenated import COPIES
from inference.backends.model_files import head_size
from inference.importer.findings import Finding, ImporterError
from inference.importer.graph_facts import GraphFacts
from inference.importer.model_folder import ModelFolder, part, whole
from inference.settings import Settings

MIB = 1024 * 1024
TRAINED = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length")
"""Keys of config.json for the trained context, which differ by family."""
REGROUPING = ("longrope", "su")
"""Rotary scalings with two tables of angles, one of them for contexts within the original length; a
deployment uses one table for prompts of every length."""
UNBOUNDED = 1_000_000
"""tokenizer_config.json writes "no limit" as a huge number."""
BYTES = {1: 4, 10: 2, 16: 2}
"""Bytes of an element by the number of its type in ONNX: float32, float16, bfloat16."""
ROUND = 64
"""A context that memory limits is rounded down to a multiple of this number of tokens."""


def decoder_context(folder: ModelFolder, graph: GraphFacts, settings: Settings) -> Finding[int]:
    """Return the context in tokens.

    Raises `ImporterError` where no file names the trained context, or where the KV cache of one token does
    not fit the memory for it.
    """
    trained = _trained(folder)
    copies = 1 if graph.shares_cache else COPIES
    budget, per_copy = settings.kv_memory_mb * MIB, bytes_per_token(graph, _head_size(folder))
    per_token = per_copy and copies * per_copy
    if per_token is None or per_token * trained.value <= budget:
        return trained
    fitting = budget // per_token
    fitting = fitting - fitting % ROUND or fitting
    if fitting < 1:
        raise ImporterError(
            f"The KV cache of one token takes {per_token} bytes, and INFERENCE_KV_MEMORY_MB is "
            f"{settings.kv_memory_mb}. Set a larger one."
        )
    return Finding(
        fitting,
        f"{trained.sentence} Its KV cache{f', {copies} copies of it,' if copies > 1 else ''} would take "
        f"{per_token * trained.value / MIB:,.0f} MiB, and INFERENCE_KV_MEMORY_MB allows "
        f"{settings.kv_memory_mb}: the context is {fitting} tokens. For a longer one set "
        "INFERENCE_KV_MEMORY_MB higher and raise context in model.json.",
    )


def _head_size(folder: ModelFolder) -> int | None:
    return head_size(folder.config, folder.json("genai_config.json"))


def bytes_per_token(graph: GraphFacts, head_size: int | None) -> int | None:
    """Return the bytes of one token's keys and values in all layers; None where the shapes are free.

    `head_size` replaces a last dimension that the graph leaves free.
    """
    total = 0
    for name, tensor in graph.inputs.items():
        if not name.startswith("past"):
            continue
        if len(tensor.dims) != 4:
            return None
        heads, last = tensor.dims[1], tensor.dims[3]
        size = last if isinstance(last, int) else head_size
        if not isinstance(heads, int) or not isinstance(size, int):
            return None
        total += heads * size * BYTES.get(tensor.kind, 4)
    return total or None


def _trained(folder: ModelFolder) -> Finding[int]:
    for key in TRAINED:
        if length := whole(folder.config.get(key)):
            return _scaled(folder, length, f"{key} of config.json")
    if length := whole(part(folder.json("genai_config.json"), "model").get("context_length")):
        return Finding(length, f"The context is {length} tokens (context_length of genai_config.json).")
    limit = whole(folder.json("tokenizer_config.json").get("model_max_length"))
    if limit and limit < UNBOUNDED:
        return Finding(limit, f"The context is {limit} tokens (model_max_length of tokenizer_config.json).")
    raise ImporterError(
        "No file names the model's context in tokens: put a config.json with max_position_embeddings next to "
        "the graph."
    )


def _scaled(folder: ModelFolder, length: int, where: str) -> Finding[int]:
    scaling = part(folder.config, "rope_scaling") or part(folder.config, "rope_parameters")
    kind = scaling.get("rope_type") or scaling.get("type")
    original = whole(folder.config.get("original_max_position_embeddings")) or whole(
        scaling.get("original_max_position_embeddings")
    )
    if kind in REGROUPING and original and original < length:
        return Finding(
            original,
            f"The context is {original} tokens: {where} is {length}, but the rotary scaling {kind} has other "
            "angles for longer contexts, and a deployment would use them for short prompts too. For long "
            "prompts raise context in model.json.",
        )
    return Finding(length, f"The context is {length} tokens ({where}).")

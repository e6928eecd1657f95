"""How many tokens a decoder's sequence may have: by its training, and by this machine's memory."""

from __future__ import annotations

from inference.backends.decoder.cache_layout import MIB, cache_copies, cache_layout
from inference.backends.model_files import (
    head_size,
    inner_object,
    input_limits,
    positive_int,
    stated_context,
)
from inference.cards.card import CardError
from inference.importer.findings import Finding, ImporterError
from inference.importer.graph_facts import GraphFacts
from inference.importer.model_folder import ModelFolder
from inference.settings import Settings

REGROUPING = ("longrope", "su")
"""Rotary scalings with two tables of angles, one for contexts within the original length; a deployment has
one of them for prompts of every length."""
ROUND = 64
"""A context that memory cuts is cut to a multiple of so many tokens."""


def decoder_context(look: ModelFolder, graph: GraphFacts, settings: Settings) -> Finding[int]:
    """Raises `ImporterError` where nothing says the context, or no memory is given for one."""
    trained = _trained(look)
    copies = cache_copies(graph.operators)
    budget, each = settings.kv_memory_mb * MIB, bytes_per_token(graph, _head_size(look))
    each = each and copies * each
    if each is None or each * trained.value <= budget:
        return trained
    fits = budget // each
    fits = fits - fits % ROUND or fits
    if fits < 1:
        raise ImporterError(
            f"INFERENCE_KV_MEMORY_MB is {settings.kv_memory_mb}: not one token's cache ({each} bytes) fits."
        )
    return Finding(
        fits,
        f"{trained.sentence} Its KV cache{f', {copies} copies of it,' if copies > 1 else ''} would take "
        f"{each * trained.value / MIB:,.0f} MiB, "
        f"INFERENCE_KV_MEMORY_MB allows {settings.kv_memory_mb}: the context is {fits} tokens. Set more "
        "and raise it in model.json.",
    )


def _head_size(look: ModelFolder) -> int | None:
    return head_size(look.config, look.json("genai_config.json"))


def bytes_per_token(graph: GraphFacts, head_size: int | None) -> int | None:
    """Return the bytes that one token takes in the cache; None for a graph whose cache has no known layout.

    `head_size` is used where the graph leaves it open.
    """
    try:
        return cache_layout(graph.tensors, head_size).bytes_per_token
    except CardError:
        return None


def _trained(look: ModelFolder) -> Finding[int]:
    stated = stated_context(look.config)
    if stated and (length := positive_int(stated[1])):
        return _scaled(look, length, f"config.json's {stated[0]}")
    if length := positive_int(inner_object(look.json("genai_config.json"), "model").get("context_length")):
        return Finding(length, f"The context is {length} tokens (genai_config.json's context_length).")
    limits = input_limits({"tokenizer_config.json": look.json("tokenizer_config.json")})
    for source, most in limits.items():
        return Finding(most, f"The context is {most} tokens ({source}).")
    raise ImporterError(
        "No file says how many tokens the model's context has: put a config.json with "
        "max_position_embeddings beside the graph."
    )


def _scaled(look: ModelFolder, length: int, where: str) -> Finding[int]:
    scaling = inner_object(look.config, "rope_scaling") or inner_object(look.config, "rope_parameters")
    kind = scaling.get("rope_type") or scaling.get("type")
    original = positive_int(look.config.get("original_max_position_embeddings")) or positive_int(
        scaling.get("original_max_position_embeddings")
    )
    if kind in REGROUPING and original and original < length:
        return Finding(
            original,
            f"The context is {original} tokens: {where} says {length}, but its rotary scaling ({kind}) has "
            "other angles for contexts beyond that, and would have them for short prompts too. Who needs "
            "long prompts more raises it in model.json.",
        )
    return Finding(length, f"The context is {length} tokens ({where}).")

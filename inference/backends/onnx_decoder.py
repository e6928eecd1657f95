"""Opens a deployment that generates text with an ONNX decoder: every claim of the card is checked here."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import onnxruntime as ort
from pydantic_core import from_json

from inference.backends.onnx_decoder_graph import DecoderGraph
from inference.backends.onnx_decoder_session import OnnxDecoder, logits_width
from inference.backends.onnx_session import first_line, open_session
from inference.backends.opened import Opened
from inference.card import CardError, Deployment
from inference.engine.kv_cache import KVCache
from inference.engine.loop import Engine
from inference.prompt.chat_template import ChatTemplate
from inference.prompt.tokenizer import Tokenizer
from inference.settings import Settings

MIB = 1024 * 1024


def open(deployment: Deployment, settings: Settings) -> Opened:  # noqa: A001  the seam's name
    """Loads the graph and everything its prompts need. Takes as long as the graph is large.

    Raises `CardError` when the folder's files are not what the card says.
    """
    stop_tokens = stop_tokens_of(deployment)
    context = context_of(deployment)
    # The graph's weights are packed without Python's lock, while its tokenizer is read.
    with ThreadPoolExecutor(1) as beside:
        opening = beside.submit(open_session, deployment.file("model", "model.onnx"), settings)
        tokenizer = Tokenizer.open(deployment.file("tokenizer", "tokenizer.json"))
        template = ChatTemplate.open(deployment)
        session = opening.result()
    graph = DecoderGraph.of(session)
    cache = allocate(graph, context, settings)
    decoder = _decoder(session, graph, cache, tokenizer.vocabulary)
    return Opened(
        generator=Engine(decoder, cache, queue_limit=settings.queue_limit),
        tokenizer=tokenizer,
        chat_template=template,
        stop_tokens=stop_tokens,
    )


def context_of(deployment: Deployment) -> int:
    """The card's `context`, or all that the model's configuration allows. Raises `CardError`."""
    declared, trained = deployment.card.context, None
    path = deployment.optional_file("config", "config.json")
    if path is not None:
        trained = _object(path).get("max_position_embeddings")
    if trained is not None and not (isinstance(trained, int) and trained > 0):
        raise CardError(f"config.json: max_position_embeddings is {trained!r}, not a number of tokens")
    if declared is None and trained is None:
        raise CardError("context is missing, and no config.json has max_position_embeddings")
    if declared is not None and trained is not None and declared > trained:
        raise CardError(f"context: {declared} is more than config.json's max_position_embeddings, {trained}")
    context = declared or trained
    assert context is not None
    return context


def stop_tokens_of(deployment: Deployment) -> frozenset[int]:
    """`eos_token_id` of generation_config.json, else of config.json; none where neither says.

    Raises `CardError` where it is no token id and no list of them.
    """
    for role in ("generation_config", "config"):
        path = deployment.optional_file(role, f"{role}.json")
        found = None if path is None else _object(path).get("eos_token_id")
        if found is None:
            continue
        tokens = found if isinstance(found, list) else [found]
        if not all(isinstance(token, int) and token >= 0 for token in tokens):
            raise CardError(f"{role}.json: eos_token_id is {found!r}, not a token id or a list of them")
        return frozenset(tokens)
    return frozenset()


def allocate(graph: DecoderGraph, context: int, settings: Settings) -> KVCache:
    """As many rows as the settings want and their memory limit allows.

    Raises `CardError` where not one fits.
    """
    budget = settings.kv_memory_mb * MIB
    rows = graph.layout.rows_within(budget, slots=settings.slots, length=context)
    if rows == 0:
        needed, fits = graph.layout.bytes_per_token * context / MIB, budget // graph.layout.bytes_per_token
        raise CardError(
            f"context: the KV cache of {context} tokens takes {needed:.1f} MiB; INFERENCE_KV_MEMORY_MB is "
            f"{settings.kv_memory_mb}, which holds {fits} tokens"
        )
    return KVCache.allocate(graph.layout, rows, context)


def _decoder(
    session: ort.InferenceSession, graph: DecoderGraph, cache: KVCache, vocabulary: int
) -> OnnxDecoder:
    try:
        width = logits_width(session, graph, cache, reach=1)
    except Exception as error:
        raise CardError(
            "files.model: the graph does not run over a KV cache in place, as GroupQueryAttention does: "
            f"{first_line(error)}"
        ) from error
    try:
        logits_width(session, graph, cache, reach=cache.length)
    except Exception as error:
        raise CardError(
            f"context: the graph does not reach {cache.length} tokens: {first_line(error)}"
        ) from error
    if vocabulary > width:
        raise CardError(f"files.tokenizer: it has {vocabulary} tokens, the graph's logits only {width}")
    return OnnxDecoder(session, graph, cache, width=width, vocabulary=vocabulary)


def _object(path: Path) -> dict[str, Any]:
    try:
        found = from_json(path.read_bytes())
    except ValueError as error:
        raise CardError(f"{path.name} is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise CardError(f"{path.name} is no JSON object")
    return found

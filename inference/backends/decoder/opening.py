"""The opening of a decoder: its files are read, its graph probed and its traits kept, its engine built."""

from __future__ import annotations

import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, fields
from pathlib import Path
from uuid import uuid4

import numpy as np
import onnxruntime as ort
from pydantic import TypeAdapter
from pydantic_core import from_json

from inference.backends import CONSTRAINT_PARAMETERS, FORCED_TOOL_CHOICES
from inference.backends.decoder.cache_layout import MIB, cache_rows
from inference.backends.decoder.graph import DecoderGraph
from inference.backends.decoder.probe import ROWS, form_of, probe_traits, usable_length
from inference.backends.decoder.row_decoder import GraphTraits, RowDecoder
from inference.backends.generation_files import never_drawn, stop_tokens_of
from inference.backends.loaded_models import ChatModel, GenerativeModel
from inference.backends.model_files import decoder_context, head_size, text_part
from inference.backends.prepared_graphs import MIN_BYTES, identity, size_of
from inference.backends.session import first_line, open_session
from inference.backends.token_tables import embedding_rows, fitted_tokenizer
from inference.cards.card import CardError, Deployment
from inference.cards.declared_parameters import Limits
from inference.cards.json_files import read_role
from inference.engine.engine import Engine
from inference.engine.grammar import Grammars
from inference.engine.grammar_compiler import GrammarError
from inference.engine.kv_cache import BLOCK, KVCache, PrefixCache
from inference.prompt.chat_template import ChatTemplate
from inference.prompt.tokenizer import Tokenizer
from inference.settings import Settings
from inference.settings.machine import available_processors

log = logging.getLogger(__name__)

TRAITS: TypeAdapter[GraphTraits] = TypeAdapter(GraphTraits)
VOCABULARY_DELAY = 1.0
"""Seconds between opening a model and reading its vocabulary for grammars."""
FIELDS = frozenset(field.name for field in fields(GraphTraits))


class TraitsCache:
    """The cached traits of one graph over one cache, with this machine's processor and threads."""

    def __init__(self, graph: Path, cache: KVCache, settings: Settings) -> None:
        threads = settings.threads or available_processors()
        name = f"{identity(graph, settings)}-{threads}-{min(cache.rows, ROWS)}-{cache.length}.json"
        self._file = settings.cache_folder / "traits" / name
        self._enabled = size_of(graph) >= MIN_BYTES

    def find(self) -> GraphTraits | None:
        """Return the traits that an earlier start stored; None without, or where the file is of no use."""
        if not self._enabled:
            return None
        try:
            content = self._file.read_bytes()
            complete = from_json(content).keys() == FIELDS
            return TRAITS.validate_json(content, strict=True) if complete else None
        except (OSError, ValueError, AttributeError):
            return None

    def store(self, traits: GraphTraits) -> None:
        """Store traits for the next start; where the disk refuses them, that start probes again."""
        if not self._enabled:
            return
        partial = self._file.with_name(f".{self._file.name}-{uuid4().hex}")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps(asdict(traits)))
            partial.replace(self._file)
        except OSError as error:
            log.info("The traits of the graph are not stored: %s", error)
            with suppress(OSError):
                partial.unlink()


def open(deployment: Deployment, settings: Settings) -> GenerativeModel:  # noqa: A001  the name in every backend
    """Return the running model of a deployment, with all that its prompts need.

    Raises `CardError` for files that are not what the card says.
    """
    stop_tokens = stop_tokens_of(deployment)
    decoder_context(deployment)  # refused before anything is loaded
    # The graph's weights are packed without Python's lock, while its tokenizer is read.
    with ThreadPoolExecutor(1) as threads:
        opening = threads.submit(open_session, deployment.file("model", "model.onnx"), settings)
        tokenizer = Tokenizer.of(deployment)
        template = ChatTemplate.open(deployment)
        session = opening.result()
    configs = [read_role(deployment, role) for role in ("config", "genai_config")]
    graph = DecoderGraph.of(session, head_size(*configs))
    decoder, cache, tokenizer = _decoder(deployment, session, graph, tokenizer, settings)
    never = never_drawn(deployment, tokenizer)
    decoder.never = np.array(sorted(never), np.int64)
    grammars = grammars_of(deployment, tokenizer, stop_tokens, never)
    engine = Engine(
        decoder,
        cache,
        queue_limit=settings.queue_limit,
        grammars=grammars,
        prefixes=_prefixes(graph, decoder, settings),
    )
    if template is None:
        return GenerativeModel(
            generator=engine, tokenizer=tokenizer, stop_tokens=stop_tokens, grammars=grammars
        )
    return ChatModel(
        generator=engine,
        tokenizer=tokenizer,
        stop_tokens=stop_tokens,
        grammars=grammars,
        chat_template=template,
    )


def _decoder(
    deployment: Deployment,
    session: ort.InferenceSession,
    graph: DecoderGraph,
    tokenizer: Tokenizer,
    settings: Settings,
) -> tuple[RowDecoder, KVCache, Tokenizer]:
    """Return the decoder of a graph, its cache, and the tokenizer for the rows of its tables.

    Raises `CardError` where the card or the tokenizer does not fit them.
    """
    context = decoder_context(deployment)
    row_count(graph, context, settings)  # refused before the graph runs
    form = form_of(session, graph, context)
    table = embedding_rows(deployment.file("model", "model.onnx"))
    tokenizer = fitted_tokenizer(
        tokenizer, form.width, text_part(read_role(deployment, "config")), table="the graph's logits"
    )
    if table is not None:
        tokenizer = tokenizer.with_rows(min(form.width, table))
    cache = allocate(graph, context, settings, copies=form.copies)
    vocabulary = tokenizer.vocabulary_size
    decoder = form.decoder(session, form.graph, cache, width=form.width, vocabulary=vocabulary)
    stored = TraitsCache(deployment.file("model", "model.onnx"), cache, settings)
    _set_traits(decoder, graph, cache, stored)
    return decoder, cache, tokenizer


def _prefixes(graph: DecoderGraph, decoder: RowDecoder, settings: Settings) -> PrefixCache | None:
    """Return the cache of prompts, None where a run may not start after a block of it."""
    if BLOCK % decoder.prefill_alignment:
        return None
    return PrefixCache(graph.layout, settings.prefix_cache_mb * MIB)


def allocate(graph: DecoderGraph, context: int, settings: Settings, *, copies: int = 1) -> KVCache:
    """Return a cache of `row_count` rows. Raises `CardError` before anything is allocated."""
    return KVCache.allocate(graph.layout, row_count(graph, context, settings, copies=copies), context)


def row_count(graph: DecoderGraph, context: int, settings: Settings, *, copies: int = 1) -> int:
    """Return how many rows the slots and the memory of the settings allow, `copies` of each.

    Raises `CardError` where not one fits.
    """
    rows = cache_rows(graph.layout, context, settings, copies=copies)
    if rows == 0:
        budget, token = settings.kv_memory_mb * MIB, copies * graph.layout.bytes_per_token
        each = f" in the {copies} copies that this graph needs" if copies > 1 else ""
        raise CardError(
            f"context: the KV cache of {context} tokens takes {token * context / MIB:.1f} MiB{each}; "
            f"INFERENCE_KV_MEMORY_MB is {settings.kv_memory_mb}, which holds {budget // token} tokens"
        )
    return rows


def _set_traits(decoder: RowDecoder, graph: DecoderGraph, cache: KVCache, stored: TraitsCache) -> None:
    """Set the traits that an earlier start stored, or probe and store them.

    Raises `CardError` where the graph does not run, or not as many tokens as the cache has positions.
    """
    if (known := stored.find()) is not None:
        decoder.traits = known
        return
    try:
        probe_traits(decoder, cache, graph.logits)
    except Exception as error:
        raise CardError(f"files.model: the graph does not run a prompt: {first_line(error)}") from error
    if (usable := usable_length(decoder, cache)) < cache.length:
        raise CardError(f"context: the graph reaches {usable} tokens, not {cache.length}")
    stored.store(decoder.traits)


def grammars_of(
    deployment: Deployment, tokenizer: Tokenizer, stop_tokens: frozenset[int], never: frozenset[int]
) -> Grammars | None:
    """Return the grammars of a deployment, None where its card declares no parameter that needs them.

    The vocabulary is read in the background, so that opening does not wait for it, and a moment later, so
    that the first token does not share the processor with it. An answer under a grammar reads it at once.
    Raises `CardError` where the bytes of this tokenizer's tokens are unknown.
    """
    constrained = [name for name in CONSTRAINT_PARAMETERS if _constrains(name, deployment.card.limits(name))]
    if not constrained:
        return None
    if not tokenizer.knows_token_bytes:
        raise CardError(
            "files.tokenizer: its decoder is neither ByteLevel nor ByteFallback, so no answer can follow "
            f"{', '.join(constrained)}"
        )
    grammars = Grammars(
        tokenizer.json, vocabulary=tokenizer.vocabulary_size, stop_tokens=stop_tokens, never=never
    )
    reader = threading.Timer(VOCABULARY_DELAY, _prepare, (grammars,))
    reader.name, reader.daemon = "vocabulary", True
    reader.start()
    return grammars


def _constrains(name: str, limits: Limits | None) -> bool:
    """Return True if a parameter with these limits needs a grammar: `tool_choice` only to force a call."""
    if limits is None or name != "tool_choice":
        return limits is not None
    return limits.values is None or bool(FORCED_TOOL_CHOICES & set(limits.values))


def _prepare(grammars: Grammars) -> None:
    try:
        grammars.prepare()
    except GrammarError as error:
        log.warning("%s", error)

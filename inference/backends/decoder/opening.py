"""The grammars of a deployment whose card declares a form for its answers."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import onnxruntime as ort

from inference.backends import CONSTRAINT_PARAMETERS, FORCED_TOOL_CHOICES
from inference.backends.decoder.cache_layout import MIB, cache_rows
from inference.backends.decoder.graph import DecoderGraph
from inference.backends.decoder.probe import GraphForm, TraitsCache, form_of, probe_traits, reach_of
from inference.backends.decoder.row_decoder import RowDecoder
from inference.backends.loaded_models import LoadedModel
from inference.backends.model_files import (
    CONTEXT_KEYS,
    head_size,
    positive_int,
    read_role,
    stated_context,
    text_part,
)
from inference.backends.session import first_line, open_session
from inference.cards.card import CardError, Deployment, Limits
from inference.engine.engine import Engine
from inference.engine.grammar import GrammarError, Grammars
from inference.engine.kv_cache import KVCache
from inference.engine.prefix_cache import BLOCK, PrefixCache
from inference.prompt.chat_template import ChatTemplate
from inference.prompt.tokenizer import Tokenizer
from inference.settings import Settings

log = logging.getLogger(__name__)


def grammars_of(deployment: Deployment, tokenizer: Tokenizer, stop_tokens: frozenset[int]) -> Grammars | None:
    """What answers can be held to, None where the card declares no parameter that asks for it.

    The vocabulary is read in the background, so that neither opening nor the first such answer waits for it.
    Raises `CardError` where the tokens of this tokenizer do not tell their bytes.
    """
    held = [name for name in CONSTRAINT_PARAMETERS if _holds(name, deployment.card.limits(name))]
    if not held:
        return None
    if not tokenizer.tells_bytes:
        raise CardError(
            "files.tokenizer: its decoder is neither ByteLevel nor ByteFallback, so no answer can be held to "
            f"what {', '.join(held)} asks for"
        )
    grammars = Grammars(tokenizer.json, vocabulary=tokenizer.vocabulary, stop_tokens=stop_tokens)
    threading.Thread(target=_prepare, args=(grammars,), name="vocabulary", daemon=True).start()
    return grammars


def _holds(name: str, limits: Limits | None) -> bool:
    """Whether a declared parameter asks for a form: of `tool_choice` only the words that force a call."""
    if limits is None or name != "tool_choice":
        return limits is not None
    return limits.values is None or bool(FORCED_TOOL_CHOICES & set(limits.values))


def _prepare(grammars: Grammars) -> None:
    try:
        grammars.prepare()
    except GrammarError as error:
        log.warning("%s", error)


def open(deployment: Deployment, settings: Settings) -> LoadedModel:  # noqa: A001  the seam's name
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
    configs = [read_role(deployment, role) for role in ("config", "genai_config")]
    graph = DecoderGraph.of(session, head_size(*configs))
    rows_of(graph, context, settings)
    flavour = form_of(session, graph, context)
    if tokenizer.vocabulary > flavour.width:
        raise CardError(
            f"files.tokenizer: it has {tokenizer.vocabulary} tokens, the graph's logits only {flavour.width}"
        )
    cache = allocate(graph, context, settings, copies=flavour.copies)
    store = TraitsCache(deployment.file("model", "model.onnx"), cache, settings)
    decoder = _decoder(session, graph, flavour, cache, tokenizer.vocabulary, store)
    grammars = grammars_of(deployment, tokenizer, stop_tokens)
    return LoadedModel(
        generator=Engine(
            decoder,
            cache,
            queue_limit=settings.queue_limit,
            grammars=grammars,
            prefixes=_prefixes(graph, decoder, settings),
        ),
        tokenizer=tokenizer,
        chat_template=template,
        stop_tokens=stop_tokens,
        grammars=grammars,
    )


def _prefixes(graph: DecoderGraph, decoder: RowDecoder, settings: Settings) -> PrefixCache | None:
    """Room for prompts that come again; none where a run may not begin behind a block."""
    if BLOCK % decoder.prefill_alignment:
        return None
    return PrefixCache(graph.layout, settings.prefix_cache_mb * MIB)


def context_of(deployment: Deployment) -> int:
    """The card's `context`, or all that the model's configuration allows. Raises `CardError`."""
    declared, config = deployment.card.context, text_part(read_role(deployment, "config"))
    key, stated = stated_context(config) or (CONTEXT_KEYS[0], None)
    trained = positive_int(stated)
    if stated is not None and trained is None:
        raise CardError(f"config.json: {key} is {stated!r}, not a number of tokens")
    if declared is None and trained is None:
        raise CardError(f"context is missing, and no config.json has {key}")
    if declared is not None and trained is not None and declared > trained:
        raise CardError(f"context: {declared} is more than config.json's {key}, {trained}")
    context = declared or trained
    assert context is not None
    return context


def stop_tokens_of(deployment: Deployment) -> frozenset[int]:
    """`eos_token_id` of generation_config.json, else of config.json; none where neither says.

    Raises `CardError` where it is no token id and no list of them.
    """
    for role in ("generation_config", "config"):
        found = read_role(deployment, role).get("eos_token_id")
        if found is None:
            continue
        tokens = found if isinstance(found, list) else [found]
        if not all(isinstance(token, int) and token >= 0 for token in tokens):
            raise CardError(f"{role}.json: eos_token_id is {found!r}, not a token id or a list of them")
        return frozenset(tokens)
    return frozenset()


def allocate(graph: DecoderGraph, context: int, settings: Settings, *, copies: int = 1) -> KVCache:
    """The cache, with as many rows as `rows_of` says. Raises `CardError` before anything is allocated."""
    return KVCache.allocate(graph.layout, rows_of(graph, context, settings, copies=copies), context)


def rows_of(graph: DecoderGraph, context: int, settings: Settings, *, copies: int = 1) -> int:
    """As many rows as the settings want and their memory limit allows, `copies` times over.

    Raises `CardError` where not one fits. Nothing is allocated here.
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


def _decoder(
    session: ort.InferenceSession,
    graph: DecoderGraph,
    flavour: GraphForm,
    cache: KVCache,
    vocabulary: int,
    store: TraitsCache,
) -> RowDecoder:
    """Raises `CardError` where the graph does not run, or not so far."""
    decoder = flavour.decoder(session, graph, cache, width=flavour.width, vocabulary=vocabulary)
    if (known := store.find()) is not None:
        decoder.habits = known
        return decoder
    try:
        probe_traits(decoder, cache, graph.logits)
    except Exception as error:
        raise CardError(f"files.model: the graph does not run a prompt: {first_line(error)}") from error
    if (reach := reach_of(decoder, cache)) < cache.length:
        raise CardError(f"context: the graph reaches {reach} tokens, not {cache.length}")
    store.keep(decoder.habits)
    return decoder

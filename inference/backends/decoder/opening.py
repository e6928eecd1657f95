"""The grammars of a deployment whose card declares a form for its answers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import onnxruntime as ort
from pydantic_core import from_json

from inference.backends.decoder.graph import DecoderGraph
from inference.backends.decoder.probe import GraphForm, TraitsCache, form_of, probe_traits, reach_of
from inference.backends.decoder.row_decoder import RowDecoder
from inference.backends.loaded_models import ChatModel, GenerativeModel
from inference.backends.model_files import head_size
from inference.backends.session import first_line, open_session
from inference.cards.card import CardError, Deployment
from inference.cards.declared_parameters import Limits
from inference.engine.engine import Engine
from inference.engine.grammar import GrammarError, Grammars
from inference.engine.kv_cache import KVCache
from inference.engine.prefix_cache import BLOCK, PrefixCache
from inference.prompt.chat_template import ChatTemplate
from inference.prompt.tokenizer import Tokenizer
from inference.settings import Settings

CONSTRAINTS = ("response_format", "tool_choice", "guided_regex", "guided_choice", "guided_grammar")
"""Parameters whose answers are held to a grammar."""

log = logging.getLogger(__name__)


def grammars_of(deployment: Deployment, tokenizer: Tokenizer, stop_tokens: frozenset[int]) -> Grammars | None:
    """What answers can be held to, None where the card declares no parameter that asks for it.

    The vocabulary is read in the background, so that neither opening nor the first such answer waits for it.
    Raises `CardError` where the tokens of this tokenizer do not tell their bytes.
    """
    held = [name for name in CONSTRAINTS if _holds(name, deployment.card.limits(name))]
    if not held:
        return None
    if not tokenizer.knows_token_bytes:
        raise CardError(
            "files.tokenizer: its decoder is neither ByteLevel nor ByteFallback, so no answer can be held to "
            f"what {', '.join(held)} asks for"
        )
    grammars = Grammars(tokenizer.json, vocabulary=tokenizer.vocabulary_size, stop_tokens=stop_tokens)
    threading.Thread(target=_prepare, args=(grammars,), name="vocabulary", daemon=True).start()
    return grammars


def _holds(name: str, limits: Limits | None) -> bool:
    """Whether a declared parameter asks for a form: of `tool_choice` only the words that force a call."""
    if limits is None or name != "tool_choice":
        return limits is not None
    return limits.values is None or bool({"required", "function"} & set(limits.values))


def _prepare(grammars: Grammars) -> None:
    try:
        grammars.prepare()
    except GrammarError as error:
        log.warning("%s", error)


MIB = 1024 * 1024
CONTEXTS = ("max_position_embeddings", "n_positions")
"""What config.json calls the context; GPT-2 and its kin have their own words."""


def open(deployment: Deployment, settings: Settings) -> GenerativeModel:  # noqa: A001  the seam's name
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
    graph = DecoderGraph.of(session, head_size(*_configs(deployment)))
    rows_of(graph, context, settings)
    flavour = form_of(session, graph, context)
    if tokenizer.vocabulary_size > flavour.width:
        raise CardError(
            f"files.tokenizer: it has {tokenizer.vocabulary_size} tokens, "
            f"the graph's logits only {flavour.width}"
        )
    cache = allocate(graph, context, settings, copies=flavour.copies)
    store = TraitsCache(deployment.file("model", "model.onnx"), cache, settings)
    decoder = _decoder(session, graph, flavour, cache, tokenizer.vocabulary_size, store)
    grammars = grammars_of(deployment, tokenizer, stop_tokens)
    engine = Engine(
        decoder,
        cache,
        queue_limit=settings.queue_limit,
        grammars=grammars,
        prefixes=_prefixes(graph, decoder, settings),
    )
    model = GenerativeModel(generator=engine, tokenizer=tokenizer, stop_tokens=stop_tokens, grammars=grammars)
    return model if template is None else _with_template(model, template)


def _with_template(model: GenerativeModel, template: ChatTemplate) -> ChatModel:
    return ChatModel(
        generator=model.generator,
        tokenizer=model.tokenizer,
        stop_tokens=model.stop_tokens,
        grammars=model.grammars,
        chat_template=template,
    )


def _prefixes(graph: DecoderGraph, decoder: RowDecoder, settings: Settings) -> PrefixCache | None:
    """Room for prompts that come again; none where a run may not begin behind a block."""
    if BLOCK % decoder.grid:
        return None
    return PrefixCache(graph.layout, settings.prefix_cache_mb * MIB)


def context_of(deployment: Deployment) -> int:
    """The card's `context`, or all that the model's configuration allows. Raises `CardError`."""
    declared, trained, name = deployment.card.context, None, CONTEXTS[0]
    path = deployment.optional_file("config", "config.json")
    if path is not None:
        config = _object(path)
        name = next((name for name in CONTEXTS if config.get(name) is not None), CONTEXTS[0])
        trained = config.get(name)
        if trained is not None and not (isinstance(trained, int) and trained > 0):
            raise CardError(f"config.json: {name} is {trained!r}, not a number of tokens")
    if declared is None and trained is None:
        raise CardError("context is missing, and no config.json has max_position_embeddings")
    if declared is not None and trained is not None and declared > trained:
        raise CardError(f"context: {declared} is more than config.json's {name}, {trained}")
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


def _configs(deployment: Deployment) -> list[Mapping[str, Any]]:
    """config.json and genai_config.json, empty where there is none. Raises `CardError`."""
    paths = [deployment.optional_file(role, f"{role}.json") for role in ("config", "genai_config")]
    return [{} if path is None else _object(path) for path in paths]


def allocate(graph: DecoderGraph, context: int, settings: Settings, *, copies: int = 1) -> KVCache:
    """The cache, with as many rows as `rows_of` says. Raises `CardError` before anything is allocated."""
    return KVCache.allocate(graph.layout, rows_of(graph, context, settings, copies=copies), context)


def rows_of(graph: DecoderGraph, context: int, settings: Settings, *, copies: int = 1) -> int:
    """As many rows as the settings want and their memory limit allows, `copies` times over.

    Raises `CardError` where not one fits. Nothing is allocated here.
    """
    budget, token = settings.kv_memory_mb * MIB, copies * graph.layout.bytes_per_token
    rows = graph.layout.rows_within(budget // copies, slots=settings.slots, length=context)
    if rows == 0:
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


def _object(path: Path) -> dict[str, Any]:
    try:
        found = from_json(path.read_bytes())
    except ValueError as error:
        raise CardError(f"{path.name} is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise CardError(f"{path.name} is no JSON object")
    return found

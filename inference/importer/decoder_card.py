"""The card of a decoder: its context, its stop tokens, its template, and the parameters it declares."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from inference.api.parameters import BY_NAME, ParameterPlace
from inference.backends import CONSTRAINT_PARAMETERS, FORCED_TOOL_CHOICES, TOOL_PARAMETERS
from inference.backends.decoder.cache_layout import MIB, cache_copies, cache_layout
from inference.backends.model_files import head_size, input_limits, stated_context
from inference.cards.card import CardError
from inference.cards.json_files import inner_object, positive_int, special_token
from inference.contracts import Task
from inference.importer.chat_template import (
    chat_template,
    named_templates,
    reasoning_efforts,
    reasoning_tags,
    template_text,
    tool_format,
    unpack_template,
)
from inference.importer.declarations import report_generation, report_rowless, report_tokenizer, rows_of
from inference.importer.declared import Declared, declared
from inference.importer.findings import Finding, ImporterError, Report, reported
from inference.importer.graph_facts import GraphFacts
from inference.importer.model_folder import TEMPLATE, TOKENIZER, ModelFolder, open_tokenizer
from inference.prompt.chat_template import ChatTemplate
from inference.prompt.tokenizer import Tokenizer
from inference.settings import Settings

REGROUPING = ("longrope", "su")
"""Rotary scalings with two tables of angles, one of them for contexts within the original length; a
deployment uses one table for prompts of every length."""
ROUND = 64
"""A context that memory limits is rounded down to a multiple of this number of tokens."""


def decoder_context(
    folder: ModelFolder, graph: GraphFacts, settings: Settings, wanted: int | None = None
) -> Finding[int]:
    """Return the context in tokens; `wanted` is the user's.

    Raises `ImporterError` where neither the user nor a file names the trained context, where the user's is
    more than that, or where the KV cache of one token does not fit the memory for it.
    """
    trained = _trained(folder) if wanted is None else _wanted(folder, wanted)
    copies = cache_copies(graph.operators)
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
    """Return the bytes that one token takes in the cache; None for a graph whose cache has no known layout.

    `head_size` replaces a last dimension that the graph leaves free.
    """
    try:
        return cache_layout(graph.tensors, head_size).bytes_per_token
    except CardError:
        return None


def _wanted(folder: ModelFolder, wanted: int) -> Finding[int]:
    """Return the user's context. Raises `ImporterError` for more tokens than config.json states."""
    stated = stated_context(folder.config)
    trained = positive_int(stated[1]) if stated else None
    if stated and trained and wanted > trained:
        raise ImporterError(
            f"--context {wanted} is more than the {trained} tokens that {stated[0]} of config.json states."
        )
    return Finding(wanted, f"The context is {wanted} tokens (--context).")


def _trained(folder: ModelFolder) -> Finding[int]:
    stated = stated_context(folder.config)
    if stated and (length := positive_int(stated[1])):
        return _scaled(folder, length, f"{stated[0]} of config.json")
    if length := positive_int(inner_object(folder.json("genai_config.json"), "model").get("context_length")):
        return Finding(length, f"The context is {length} tokens (context_length of genai_config.json).")
    limits = input_limits({"tokenizer_config.json": folder.json("tokenizer_config.json")})
    for source, most in limits.items():
        return Finding(most, f"The context is {most} tokens ({source}).")
    raise ImporterError(
        "No file names the model's context in tokens. Set it with --context N, or put a config.json with "
        "max_position_embeddings next to the graph."
    )


def _scaled(folder: ModelFolder, length: int, where: str) -> Finding[int]:
    scaling = inner_object(folder.config, "rope_scaling") or inner_object(folder.config, "rope_parameters")
    kind = scaling.get("rope_type") or scaling.get("type")
    original = positive_int(folder.config.get("original_max_position_embeddings")) or positive_int(
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


BACKEND = "onnx-decoder"
GENERATION_CONFIG = "generation_config.json"
END_OF_TURN = (
    "<|im_end|>",
    "<|eot_id|>",
    "<|end|>",
    "<end_of_turn>",
    "<turn|>",
    "<|end_of_turn|>",
    "<|return|>",
)
"""Tokens that end a turn in the templates that write them."""
UNCONSTRAINED_CHOICES = [value for value in BY_NAME["tool_choice"].values if value not in FORCED_TOOL_CHOICES]
"""Values of `tool_choice` that need no grammar."""


@dataclass(frozen=True, slots=True)
class _ChatFacts:
    """Facts about the chat template, for the card's parameters; all None where the model does not chat."""

    tool_format: str | None
    reasoning: dict[str, str] | None
    efforts: dict[str, Any] | None


def decoder_card(
    folder: ModelFolder, settings: Settings, report: Report, *, context: int | None = None
) -> dict[str, Any]:
    """Return the fields of the card, and write stop tokens and template to the files that the backend reads.

    `context` is the user's.
    Raises `ImporterError` for a tokenizer or template that cannot be used, or an unknown context.
    """
    graph = folder.graphs["model"]
    report(f"The graph generates text: {graph.weights} weights, {graph.cache_kind}.")
    tokenizer = reported(open_tokenizer(folder), report)
    report_tokenizer(folder, tokenizer, report, generates=True)
    report_rowless(tokenizer, rows_of(folder, "model"), report)
    report_generation(folder, report)
    unpack_template(folder)
    template = reported(chat_template(folder), report)
    source = template_text(folder) if template else ""
    if template:
        reported(named_templates(folder), report)
    chat = _chat_facts(template, source, tokenizer, report)
    write_stop_tokens(folder, reported(stop_tokens(folder, tokenizer, source), report))
    task = Task.CHAT if template else Task.TEXT
    parameters, extras = _parameters(task, chat, reported(_unsupported_constraints(tokenizer), report))
    files = {"model": folder.graph_files["model"], "tokenizer": TOKENIZER}
    if template and folder.has(TEMPLATE):
        files["chat_template"] = TEMPLATE
    return {
        "type": task,
        "backend": BACKEND,
        "files": files,
        "context": reported(decoder_context(folder, graph, settings, context), report),
        **({"reasoning": chat.reasoning} if chat.reasoning else {}),
        "parameters": parameters,
        "extras": extras,
    }


def _chat_facts(
    template: ChatTemplate | None, source: str, tokenizer: Tokenizer, report: Report
) -> _ChatFacts:
    if template is None:
        return _ChatFacts(None, None, None)
    return _ChatFacts(
        reported(tool_format(source, takes_tools=template.supports_tools), report),
        reported(reasoning_tags(source, tokenizer), report),
        reported(reasoning_efforts(template), report),
    )


def _parameters(task: Task, chat: _ChatFacts, unsupported: frozenset[str]) -> tuple[Declared, Declared]:
    """Return the card's `parameters` and `extras`."""
    more = TOOL_PARAMETERS if chat.tool_format else frozenset()
    standard = declared(
        task, BACKEND, ParameterPlace.STANDARD, more=more, without=unsupported - TOOL_PARAMETERS
    )
    if chat.tool_format:
        standard["tools"] = {"dialect": chat.tool_format}
        standard["tool_choice"] = {"values": UNCONSTRAINED_CHOICES} if unsupported else {}
    extras = declared(task, BACKEND, ParameterPlace.EXTRA, more=more, without=unsupported)
    if chat.efforts:
        extras["reasoning_effort"] = chat.efforts
    return standard, extras


def _unsupported_constraints(tokenizer: Tokenizer) -> Finding[frozenset[str]]:
    """Return the parameters that need a grammar, where the tokenizer cannot serve one."""
    if tokenizer.knows_token_bytes:
        return Finding(frozenset(), "")
    return Finding(
        frozenset(CONSTRAINT_PARAMETERS),
        "The tokenizer does not map its tokens to bytes, so answers cannot be constrained: response_format "
        "and guided_* are not declared.",
    )


def stop_tokens(folder: ModelFolder, tokenizer: Tokenizer, template: str) -> Finding[list[int]]:
    """Return the sorted token ids that end an answer, of all files together.

    Published models contradict themselves: config.json often has the token that ended a training text, and
    only generation_config.json, genai_config.json, the tokenizer or the template has the end of a turn.
    """
    sources = {token: source for source, token in _stop_tokens(folder, tokenizer, template)}
    if not sources:
        return Finding([], "No file names a stop token: an answer ends at max_tokens only.")
    named = ", ".join(f"{token} ({source})" for token, source in sorted(sources.items()))
    return Finding(sorted(sources), f"An answer ends at token {named}.")


def write_stop_tokens(folder: ModelFolder, tokens: list[int]) -> None:
    """Write the stop tokens into generation_config.json, whose other keys stay."""
    if tokens:
        config: dict[str, Any] = {**folder.json(GENERATION_CONFIG), "eos_token_id": tokens}
        (folder.path / GENERATION_CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _stop_tokens(folder: ModelFolder, tokenizer: Tokenizer, template: str) -> Iterator[tuple[str, int]]:
    """Yield source and token id; of several sources of a token the last is the one to report."""
    configs = {
        "config.json": folder.config,
        "genai_config.json": inner_object(folder.json("genai_config.json"), "model"),
        GENERATION_CONFIG: folder.json(GENERATION_CONFIG),
    }
    for text in END_OF_TURN:
        if text in template and (token := tokenizer.token_id(text)) is not None:
            yield f"{text} of the chat template", token
    end_of_text = special_token(folder.json("tokenizer_config.json"), "eos_token")
    if end_of_text and (token := tokenizer.token_id(end_of_text)) is not None:
        yield f"{end_of_text} of the tokenizer", token
    for name, config in configs.items():
        ids = config.get("eos_token_id")
        for token in ids if isinstance(ids, list) else [ids]:
            if isinstance(token, int) and token >= 0:
                yield name, token

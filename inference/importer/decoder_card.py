"""The card of a decoder: its context, its stop tokens, its template, and the parameters it declares."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from inference.api.parameters import ParameterPlace
from inference.backends.decoder.concatenated import COPIES
from inference.backends.decoder.opening import CONSTRAINTS
from inference.backends.model_files import head_size
from inference.contracts import Task
from inference.importer.chat_template import (
    chat_template,
    reasoning_efforts,
    reasoning_tags,
    template_text,
    tool_format,
    unpack_template,
)
from inference.importer.declared import Declared, declared
from inference.importer.findings import Finding, ImporterError, Report, reported
from inference.importer.graph_facts import GraphFacts
from inference.importer.model_folder import TEMPLATE, TOKENIZER, ModelFolder, open_tokenizer, part, whole
from inference.prompt.chat_template import ChatTemplate
from inference.prompt.tokenizer import Tokenizer
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
TOOLS = frozenset({"tools", "tool_choice", "parallel_tool_calls"})
UNCONSTRAINED_CHOICES = ["none", "auto"]
"""Values of `tool_choice` that need no grammar."""


@dataclass(frozen=True, slots=True)
class _ChatFacts:
    """Facts about the chat template, for the card's parameters; all None where the model does not chat."""

    tool_format: str | None
    reasoning: dict[str, str] | None
    efforts: dict[str, Any] | None


def decoder_card(folder: ModelFolder, settings: Settings, report: Report) -> dict[str, Any]:
    """Return the fields of the card, and write stop tokens and template to the files that the backend reads.

    Raises `ImporterError` for a tokenizer or template that cannot be used, or an unknown context.
    """
    graph = folder.graphs["model"]
    report(f"The graph generates text: {graph.weights} weights, {graph.cache_kind}.")
    tokenizer = reported(open_tokenizer(folder), report)
    unpack_template(folder)
    template = reported(chat_template(folder), report)
    source = template_text(folder) if template else ""
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
        "context": reported(decoder_context(folder, graph, settings), report),
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
    more = TOOLS if chat.tool_format else frozenset()
    standard = declared(task, BACKEND, ParameterPlace.STANDARD, more=more, without=unsupported - TOOLS)
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
        frozenset(CONSTRAINTS),
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
        "genai_config.json": part(folder.json("genai_config.json"), "model"),
        GENERATION_CONFIG: folder.json(GENERATION_CONFIG),
    }
    for text in END_OF_TURN:
        if text in template and (token := tokenizer.token_id(text)) is not None:
            yield f"{text} of the chat template", token
    end_of_text = _content(folder.json("tokenizer_config.json").get("eos_token"))
    if end_of_text and (token := tokenizer.token_id(end_of_text)) is not None:
        yield f"{end_of_text} of the tokenizer", token
    for name, config in configs.items():
        ids = config.get("eos_token_id")
        for token in ids if isinstance(ids, list) else [ids]:
            if isinstance(token, int) and token >= 0:
                yield name, token


def _content(token: object) -> str | None:
    text = token.get("content") if isinstance(token, dict) else token
    return text if isinstance(text, str) else None

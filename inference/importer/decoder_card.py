"""The card of a decoder: chat or completions, stop tokens, tools, reasoning and context."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from inference.api.parameters import ParameterPlace
from inference.backends.decoder.opening import CONSTRAINTS
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
from inference.importer.decoder_context import decoder_context
from inference.importer.findings import Finding, Report, reported
from inference.importer.model_folder import TEMPLATE, TOKENIZER, ModelFolder, open_tokenizer, part
from inference.prompt.chat_template import ChatTemplate
from inference.prompt.tokenizer import Tokenizer
from inference.settings import Settings

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

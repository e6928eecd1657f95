"""Where a model's answer ends: the stop tokens of all its files, written where the backend reads them.

Published models contradict themselves: config.json often has the token that ended a training text, and only
generation_config.json, genai_config.json, the tokenizer or the template has the one that ends a turn.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from inference.api.parameters import BY_NAME, ParameterPlace
from inference.backends import CONSTRAINT_PARAMETERS, FORCED_TOOL_CHOICES, TOOL_PARAMETERS
from inference.backends.model_files import inner_object, special_token
from inference.contracts import Task
from inference.importer.chat_template import (
    chat_template,
    dialect,
    efforts,
    reasoning,
    settle_template,
    template_text,
)
from inference.importer.declared import declared
from inference.importer.decoder_context import decoder_context
from inference.importer.findings import Finding, Say, tell
from inference.importer.model_folder import TEMPLATE, ModelFolder, open_tokenizer
from inference.prompt.tokenizer import Tokenizer
from inference.settings import Settings

GENERATION_CONFIG = "generation_config.json"
TURN_ENDS = (
    "<|im_end|>",
    "<|eot_id|>",
    "<|end|>",
    "<end_of_turn>",
    "<turn|>",
    "<|end_of_turn|>",
    "<|return|>",
)
"""Tokens that end a turn in the templates that write them."""


def stop_tokens(look: ModelFolder, tokenizer: Tokenizer, template: str) -> Finding[list[int]]:
    """Token ids, sorted; none where no file says any."""
    named = {number: name for name, number in _named(look, tokenizer, template)}
    if not named:
        return Finding([], "No file says where an answer ends: it will end at max_tokens only.")
    told = ", ".join(f"{number} ({where})" for number, where in sorted(named.items()))
    return Finding(sorted(named), f"An answer ends at token {told}.")


def write_stop_tokens(look: ModelFolder, tokens: list[int]) -> None:
    """Into generation_config.json, whose other keys stay."""
    if tokens:
        config: dict[str, Any] = {**look.json(GENERATION_CONFIG), "eos_token_id": tokens}
        (look.folder / GENERATION_CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _named(look: ModelFolder, tokenizer: Tokenizer, template: str) -> Iterator[tuple[str, int]]:
    """Where each is said; a later place names a token over an earlier one."""
    configs = {
        "config.json": look.config,
        "genai_config.json": inner_object(look.json("genai_config.json"), "model"),
        GENERATION_CONFIG: look.json(GENERATION_CONFIG),
    }
    for text in TURN_ENDS:
        if text in template and (number := tokenizer.token_id(text)) is not None:
            yield f"{text} of the chat template", number
    ended = special_token(look.json("tokenizer_config.json"), "eos_token")
    if ended and (number := tokenizer.token_id(ended)) is not None:
        yield f"{ended} of the tokenizer", number
    for name, config in configs.items():
        found = config.get("eos_token_id")
        for number in found if isinstance(found, list) else [found]:
            if isinstance(number, int) and number >= 0:
                yield name, number


BACKEND = "onnx-decoder"


def decoder_card(look: ModelFolder, settings: Settings, say: Say) -> dict[str, Any]:
    """The fields that follow from the files; stop tokens and template are put where the backend reads them.

    Raises `ImporterError` for what cannot be used.
    """
    graph = look.graphs["model"]
    say(f"The graph generates text: {graph.weights} weights, {graph.flavour}.")
    tokenizer = tell(open_tokenizer(look), say)
    settle_template(look)
    template = tell(chat_template(look), say)
    task = Task.CHAT if template else Task.TEXT
    written = template_text(look) if template else ""
    spoken = tell(dialect(written, takes_tools=template.takes_tools), say) if template else None
    thoughts = tell(reasoning(written, tokenizer), say) if template else None
    effort = tell(efforts(template), say) if template else None
    write_stop_tokens(look, tell(stop_tokens(look, tokenizer, written), say))
    freely = tell(_without_forms(tokenizer), say)
    more = TOOL_PARAMETERS if spoken else frozenset()
    standard = declared(task, BACKEND, ParameterPlace.STANDARD, more=more, without=freely - TOOL_PARAMETERS)
    if spoken:
        standard["tools"] = {"dialect": spoken}
        free = [value for value in BY_NAME["tool_choice"].values if value not in FORCED_TOOL_CHOICES]
        standard["tool_choice"] = {"values": free} if freely else {}
    extras = declared(task, BACKEND, ParameterPlace.EXTRA, more=more, without=freely)
    if effort:
        extras["reasoning_effort"] = effort
    files = {"model": look.files["model"], "tokenizer": "tokenizer.json"}
    if template and look.has(TEMPLATE):
        files["chat_template"] = TEMPLATE
    return {
        "type": task,
        "backend": BACKEND,
        "files": files,
        "context": tell(decoder_context(look, graph, settings), say),
        **({"reasoning": thoughts} if thoughts else {}),
        "parameters": standard,
        "extras": extras,
    }


def _without_forms(tokenizer: Tokenizer) -> Finding[frozenset[str]]:
    """The parameters that hold an answer to a form, where the tokenizer cannot serve them."""
    if tokenizer.tells_bytes:
        return Finding(frozenset(), "")
    return Finding(
        frozenset(CONSTRAINT_PARAMETERS),
        "The tokenizer does not tell the bytes of its tokens, so answers can be held to no form: "
        "response_format and guided_* are not declared.",
    )

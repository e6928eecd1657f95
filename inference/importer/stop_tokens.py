"""Where a model's answer ends: the stop tokens of all its files, written where the backend reads them.

Published models contradict themselves: config.json often has the token that ended a training text, and only
generation_config.json, genai_config.json, the tokenizer or the template has the one that ends a turn.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from inference.importer.findings import Finding
from inference.importer.model_folder import ModelFolder, part
from inference.prompt.tokenizer import Tokenizer

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
        "genai_config.json": part(look.json("genai_config.json"), "model"),
        GENERATION_CONFIG: look.json(GENERATION_CONFIG),
    }
    for text in TURN_ENDS:
        if text in template and (number := tokenizer.token_id(text)) is not None:
            yield f"{text} of the chat template", number
    ended = _text(look.json("tokenizer_config.json").get("eos_token"))
    if ended and (number := tokenizer.token_id(ended)) is not None:
        yield f"{ended} of the tokenizer", number
    for name, config in configs.items():
        found = config.get("eos_token_id")
        for number in found if isinstance(found, list) else [found]:
            if isinstance(number, int) and number >= 0:
                yield name, number


def _text(token: object) -> str | None:
    text = token.get("content") if isinstance(token, dict) else token
    return text if isinstance(text, str) else None

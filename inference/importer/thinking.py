"""Whether a model thinks before it answers: the tags around it, and what turns it on and off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inference.errors import ApiError
from inference.importer.findings import Finding
from inference.prompt.chat_template import ChatTemplate
from inference.prompt.tokenizer import Tokenizer

TAGS = (("<think>", "</think>"), ("[THINK]", "[/THINK]"))
"""Of Qwen, DeepSeek, SmolLM, GLM and their kin; of Magistral."""
SWITCHES = ("enable_thinking", "thinking")
"""Variables that are true or false in the templates that know them."""
LEVELS = ("low", "medium", "high")
"""Values of the variable `reasoning_effort`, in the templates that know it."""
QUESTION = [{"role": "user", "content": "Hello!"}]


def reasoning(template: str, tokenizer: Tokenizer) -> Finding[dict[str, str] | None]:
    """The card's `reasoning`, by the template's text or the tokenizer's tokens; both tags must be there."""
    for opening, closing in TAGS:
        written = opening in template and closing in template
        if written or None not in (tokenizer.token_id(opening), tokenizer.token_id(closing)):
            where = "chat template" if written else "tokenizer"
            return Finding(
                {"open": opening, "close": closing},
                f"The {where} knows {opening} and {closing}: what stands between is told as thoughts.",
            )
    return Finding(None, "")


def efforts(template: ChatTemplate) -> Finding[dict[str, Any] | None]:
    """The card's `reasoning_effort`: values that the template writes differently, tried in its sandbox."""
    offered: list[tuple[str, dict[str, dict[str, Any]]]] = [
        (name, {"none": {name: False}, "high": {name: True}}) for name in SWITCHES
    ]
    offered.append(("reasoning_effort", {level: {"reasoning_effort": level} for level in LEVELS}))
    for name, told in offered:
        if template.mentions(name) and _differ(template, told):
            return Finding(
                {"values": list(told), "template": told},
                f"The chat template hears {name}: reasoning_effort may be {', '.join(told)}.",
            )
    return Finding(None, "")


def _differ(template: ChatTemplate, told: Mapping[str, Mapping[str, Any]]) -> bool:
    try:
        prompts = {template.render(QUESTION, **variables) for variables in told.values()}
    except ApiError:
        return False
    return len(prompts) == len(told)

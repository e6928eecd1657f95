"""The chat template, wherever a model keeps it, and what it can do: tried in the sandbox, never outside."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inference.cards.card import Card, CardError, Deployment
from inference.errors import ApiError
from inference.importer.findings import Finding, ImporterError
from inference.importer.model_folder import TEMPLATE, ModelFolder
from inference.prompt.chat_template import ChatTemplate
from inference.prompt.tokenizer import Tokenizer
from inference.tool_formats import TOOL_FORMATS

USER = {"role": "user", "content": "Hello!"}
SYSTEM = {"role": "system", "content": "Be brief."}


def settle_template(look: ModelFolder) -> None:
    """Puts a template of chat_template.json, as processors write it, into the file that is read."""
    text = look.json("chat_template.json").get("chat_template")
    if isinstance(text, str) and not look.has(TEMPLATE):
        (look.folder / TEMPLATE).write_text(text, encoding="utf-8")


def template_text(look: ModelFolder) -> str:
    """All the text of the templates, to look for marks in."""
    own = look.folder / TEMPLATE
    if own.is_file():
        return own.read_text(encoding="utf-8", errors="replace")
    inside = look.json("tokenizer_config.json").get("chat_template")
    return inside if isinstance(inside, str) else json.dumps(inside or "", ensure_ascii=False)


def chat_template(look: ModelFolder) -> Finding[ChatTemplate | None]:
    """The template, if there is one that renders a message.

    Raises `ImporterError` for one that does not compile.
    """
    card = Card.model_validate(
        {"name": "look", "provider": "look", "type": "chat-completions", "backend": "onnx-decoder"}
    )
    try:
        template = ChatTemplate.open(Deployment(card, look.folder))
    except CardError as error:
        raise ImporterError(f"The chat template cannot be used: {error}") from None
    if template is None:
        return Finding(None, "There is no chat template: the model continues texts and does not chat.")
    if problem := _fails(template, [USER]):
        return Finding(
            None, f"The chat template refuses a plain message ({problem}): the model continues texts."
        )
    system = _fails(template, [SYSTEM, USER])
    return Finding(
        template,
        "A chat template is there and renders"
        + (f", but it refuses a system message: {system}" if system else ", system messages too."),
    )


def _fails(template: ChatTemplate, messages: list[dict[str, str]]) -> str | None:
    try:
        text = template.render(messages)
    except ApiError as error:
        return error.message
    return None if messages[-1]["content"] in text else "the message is not in the prompt"


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


@dataclass(frozen=True, slots=True)
class TemplateMarks:
    """Texts that a template of the dialect has, all of them, and those that it has not."""

    has: tuple[str, ...]
    lacks: tuple[str, ...] = ()


MARKS: Sequence[tuple[str, TemplateMarks]] = (
    ("qwen3-coder", TemplateMarks(("<tool_call>", "<function="))),
    ("glm", TemplateMarks(("<tool_call>", "<arg_key>"))),
    ("granite", TemplateMarks(("<|tool_call|>", "<|start_of_role|>"))),
    ("hermes", TemplateMarks(("<tool_call>",), ("<function=", "<arg_key>"))),
    ("mistral", TemplateMarks(("[TOOL_CALLS]",))),
    ("deepseek", TemplateMarks(("<\N{FULLWIDTH VERTICAL LINE}tool\N{LOWER ONE EIGHTH BLOCK}calls",))),
    ("phi", TemplateMarks(("<|tool_call|>",), ("<|start_of_role|>",))),
    ("phi", TemplateMarks(("<|tool|>", "<|/tool|>"))),
    ("harmony", TemplateMarks(("<|channel|>", "<|call|>"))),
    ("functiongemma", TemplateMarks(("<start_function_call>",))),
    ("llama3", TemplateMarks(("<|python_tag|>",))),
    ("llama3", TemplateMarks(('{"name": function name, "parameters":',))),
    ("llama3", TemplateMarks(("<|start_header_id|>", '"parameters": '))),
)
"""The first row whose marks are there, and whose reader exists, names the dialect."""


def dialect(
    template: str, *, takes_tools: bool, known: Collection[str] = tuple(TOOL_FORMATS)
) -> Finding[str | None]:
    """The dialect of a template's text, None where it takes no tools or writes calls as nobody here reads."""
    if not takes_tools:
        return Finding(None, "The chat template takes no tools, so none are declared.")
    seen = [name for name, marks in MARKS if _has(template, marks)]
    readable = next((name for name in seen if name in known), None)
    if readable:
        return Finding(readable, f"The chat template writes tool calls in the dialect {readable}.")
    why = f"they look like {seen[0]}" if seen else "they bear no mark that is known"
    return Finding(
        None,
        f"The chat template takes tools, but its calls cannot be read here ({why}; readable are "
        f"{', '.join(known)}), so none are declared.",
    )


def _has(template: str, marks: TemplateMarks) -> bool:
    return all(text in template for text in marks.has) and not any(text in template for text in marks.lacks)

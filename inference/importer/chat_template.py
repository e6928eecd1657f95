"""The chat template of a model, and its abilities: system messages, tools, reasoning and its effort.

A template is rendered in its sandbox only.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inference.cards.card import Card, CardError, Deployment
from inference.errors import ApiError
from inference.importer.findings import Finding, ImporterError
from inference.importer.model_folder import TEMPLATE, ModelFolder
from inference.prompt.chat_template import DEFAULT, MORE_TEMPLATES, TOOL_USE, ChatTemplate, template_sources
from inference.prompt.tokenizer import Tokenizer
from inference.tool_formats import TOOL_FORMATS

USER = {"role": "user", "content": "Hello!"}
SYSTEM = {"role": "system", "content": "Be brief."}
TEMPLATE_NAME = re.compile(r"[\w-]+")


def unpack_template(folder: ModelFolder) -> None:
    """Write the templates that processors save in chat_template.json to the files that the backend reads."""
    found = folder.json("chat_template.json").get("chat_template")
    named = found if isinstance(found, dict) else {DEFAULT: found}
    for name, text in named.items():
        path = TEMPLATE if name == DEFAULT else f"{MORE_TEMPLATES}/{name}.jinja"
        if isinstance(text, str) and TEMPLATE_NAME.fullmatch(name) and not folder.has(path):
            (folder.path / path).parent.mkdir(exist_ok=True)
            (folder.path / path).write_text(text, encoding="utf-8")


def template_text(folder: ModelFolder) -> str:
    """Return the source of the templates that are rendered, to search for marks."""
    sources = template_sources(_deployment(folder), folder.json("tokenizer_config.json"))
    return "\n".join(sources[name] for name in (DEFAULT, TOOL_USE) if name in sources)


def named_templates(folder: ModelFolder) -> Finding[list[str]]:
    """Return the names of the templates beside the default one, and say which of them are rendered."""
    sources = template_sources(_deployment(folder), folder.json("tokenizer_config.json"))
    names = sorted(sources.keys() - {DEFAULT})
    parts = []
    if TOOL_USE in names:
        parts.append(f"Requests with tools are rendered by the chat template {TOOL_USE}.")
    if unused := ", ".join(name for name in names if name != TOOL_USE):
        parts.append(
            f"No parameter of a request chooses the chat templates {unused}, so they are not used: to serve "
            f"one of them, add the model again with it as {TEMPLATE}."
        )
    return Finding(names, " ".join(parts))


def _deployment(folder: ModelFolder) -> Deployment:
    card = Card.model_validate(
        {"name": "import", "provider": "import", "type": "chat-completions", "backend": "onnx-decoder"}
    )
    return Deployment(card, folder.path)


def chat_template(folder: ModelFolder) -> Finding[ChatTemplate | None]:
    """Return the template, or None where there is none or it does not render a message.

    Raises `ImporterError` for a template that does not compile.
    """
    try:
        template = ChatTemplate.open(_deployment(folder))
    except CardError as error:
        raise ImporterError(f"The chat template cannot be used: {error}") from None
    if template is None:
        return Finding(None, "There is no chat template: the model completes texts and does not chat.")
    if problem := _render_problem(template, [USER]):
        return Finding(
            None,
            f"The chat template refuses a plain message ({problem}): the model completes texts and does not "
            "chat.",
        )
    system = _render_problem(template, [SYSTEM, USER])
    return Finding(
        template,
        f"The chat template renders user messages and refuses a system message: {system}"
        if system
        else "The chat template renders user and system messages.",
    )


def _render_problem(template: ChatTemplate, messages: list[dict[str, str]]) -> str | None:
    try:
        text = template.render(messages)
    except ApiError as error:
        return error.message
    return None if messages[-1]["content"] in text else "the message is not in the prompt"


REASONING_TAGS = (("<think>", "</think>"), ("[THINK]", "[/THINK]"))
"""Tags of Qwen, DeepSeek, SmolLM and GLM, then those of Magistral."""
REASONING_SWITCHES = ("enable_thinking", "thinking")
"""Template variables that are true or false."""
EFFORT_LEVELS = ("low", "medium", "high")
"""Values of the template variable `reasoning_effort`."""


def reasoning_tags(template: str, tokenizer: Tokenizer) -> Finding[dict[str, str] | None]:
    """Return the card's `reasoning`; both tags must be in the template's source or among the tokens."""
    for opening, closing in REASONING_TAGS:
        in_template = opening in template and closing in template
        if in_template or None not in (tokenizer.token_id(opening), tokenizer.token_id(closing)):
            where = "chat template" if in_template else "tokenizer"
            return Finding(
                {"open": opening, "close": closing},
                f"The {where} has {opening} and {closing}: the text between them is the model's reasoning.",
            )
    return Finding(None, "")


def reasoning_efforts(template: ChatTemplate) -> Finding[dict[str, Any] | None]:
    """Return the card's `reasoning_effort`: values for which the template renders different prompts."""
    candidates: list[tuple[str, dict[str, dict[str, Any]]]] = [
        (name, {"none": {name: False}, "high": {name: True}}) for name in REASONING_SWITCHES
    ]
    candidates.append(("reasoning_effort", {level: {"reasoning_effort": level} for level in EFFORT_LEVELS}))
    for name, variables in candidates:
        if template.uses_variable(name) and _prompts_differ(template, variables):
            return Finding(
                {"values": list(variables), "template": variables},
                f"The chat template reads {name}: reasoning_effort may be {', '.join(variables)}.",
            )
    return Finding(None, "")


def _prompts_differ(template: ChatTemplate, variables: Mapping[str, Mapping[str, Any]]) -> bool:
    try:
        prompts = {template.render([USER], **values) for values in variables.values()}
    except ApiError:
        return False
    return len(prompts) == len(variables)


@dataclass(frozen=True, slots=True)
class TemplateMarks:
    """Texts by which a tool format is recognized: those in the template, and those absent from it."""

    has: tuple[str, ...]
    lacks: tuple[str, ...] = ()

    def match(self, template: str) -> bool:
        return all(text in template for text in self.has) and not any(text in template for text in self.lacks)


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
"""Tool formats by their marks; of the rows that match, the first that has a parser counts."""


def tool_format(
    template: str, *, takes_tools: bool, known: Collection[str] = tuple(TOOL_FORMATS)
) -> Finding[str | None]:
    """Return the name of a template's tool format; None where it takes no tools or no parser is `known`."""
    if not takes_tools:
        return Finding(None, "The chat template takes no tools, so none are declared.")
    matches = [name for name, marks in MARKS if marks.match(template)]
    supported = next((name for name in matches if name in known), None)
    if supported:
        return Finding(supported, f"The chat template writes tool calls in the format {supported}.")
    reason = f"they look like {matches[0]}" if matches else "they have no known mark"
    return Finding(
        None,
        f"The chat template takes tools, but its calls are in no supported format ({reason}; supported are "
        f"{', '.join(known)}), so none are declared.",
    )

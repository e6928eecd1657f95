"""By which marks a chat template shows how its model writes tool calls."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from inference.importer.findings import Finding
from inference.tool_formats import TOOL_FORMATS


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

"""By which marks a chat template shows how its model writes tool calls."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from inference.importer.findings import Found
from inference.tool_formats import DIALECTS


@dataclass(frozen=True, slots=True)
class Marks:
    """Texts that a template of the dialect has, all of them, and those that it has not."""

    has: tuple[str, ...]
    lacks: tuple[str, ...] = ()


MARKS: Sequence[tuple[str, Marks]] = (
    ("qwen3-coder", Marks(("<tool_call>", "<function="))),
    ("glm", Marks(("<tool_call>", "<arg_key>"))),
    ("granite", Marks(("<|tool_call|>", "<|start_of_role|>"))),
    ("hermes", Marks(("<tool_call>",), ("<function=", "<arg_key>"))),
    ("mistral", Marks(("[TOOL_CALLS]",))),
    ("deepseek", Marks(("<\N{FULLWIDTH VERTICAL LINE}tool\N{LOWER ONE EIGHTH BLOCK}calls",))),
    ("phi", Marks(("<|tool_call|>",), ("<|start_of_role|>",))),
    ("phi", Marks(("<|tool|>", "<|/tool|>"))),
    ("harmony", Marks(("<|channel|>", "<|call|>"))),
    ("functiongemma", Marks(("<start_function_call>",))),
    ("llama3", Marks(("<|python_tag|>",))),
    ("llama3", Marks(('{"name": function name, "parameters":',))),
    ("llama3", Marks(("<|start_header_id|>", '"parameters": '))),
)
"""The first row whose marks are there, and whose reader exists, names the dialect."""


def dialect(
    template: str, *, takes_tools: bool, known: Collection[str] = tuple(DIALECTS)
) -> Found[str | None]:
    """The dialect of a template's text, None where it takes no tools or writes calls as nobody here reads."""
    if not takes_tools:
        return Found(None, "The chat template takes no tools, so none are declared.")
    seen = [name for name, marks in MARKS if _has(template, marks)]
    readable = next((name for name in seen if name in known), None)
    if readable:
        return Found(readable, f"The chat template writes tool calls in the dialect {readable}.")
    why = f"they look like {seen[0]}" if seen else "they bear no mark that is known"
    return Found(
        None,
        f"The chat template takes tools, but its calls cannot be read here ({why}; readable are "
        f"{', '.join(known)}), so none are declared.",
    )


def _has(template: str, marks: Marks) -> bool:
    return all(text in template for text in marks.has) and not any(text in template for text in marks.lacks)

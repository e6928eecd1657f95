"""The card of a model that generates text."""

from __future__ import annotations

from typing import Any

from inference.api.parameters import ParameterPlace
from inference.backends.decoder.grammars import CONSTRAINTS
from inference.contracts import Task
from inference.importer.chat_template import chat_template, settle_template, template_text
from inference.importer.declared import declared
from inference.importer.decoder_context import decoder_context
from inference.importer.dialects import dialect
from inference.importer.findings import Finding, Say, tell
from inference.importer.model_folder import TEMPLATE, ModelFolder
from inference.importer.stop_tokens import stop_tokens, write_stop_tokens
from inference.importer.thinking import efforts, reasoning
from inference.importer.tokenizer import open_tokenizer
from inference.prompt.tokenizer import Tokenizer
from inference.settings import Settings

BACKEND = "onnx-decoder"
TOOLS = frozenset({"tools", "tool_choice", "parallel_tool_calls"})
UNFORCED = ["none", "auto"]
"""Values of `tool_choice` that hold no answer to a form."""


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
    more = TOOLS if spoken else frozenset()
    standard = declared(task, BACKEND, ParameterPlace.STANDARD, more=more, without=freely - TOOLS)
    if spoken:
        standard["tools"] = {"dialect": spoken}
        standard["tool_choice"] = {"values": UNFORCED} if freely else {}
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
        frozenset(CONSTRAINTS),
        "The tokenizer does not tell the bytes of its tokens, so answers can be held to no form: "
        "response_format and guided_* are not declared.",
    )

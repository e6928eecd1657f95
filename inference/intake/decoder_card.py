"""The card of a model that generates text."""

from __future__ import annotations

from typing import Any

from inference.contracts import Task
from inference.intake.context import decoder_context
from inference.intake.dialects import dialect
from inference.intake.finding import Say, tell
from inference.intake.looking import TEMPLATE, Look
from inference.intake.parameters import declared
from inference.intake.stopping import stop_tokens, write_stop_tokens
from inference.intake.templates import chat_template, settle_template, template_text
from inference.intake.tokenizer import open_tokenizer
from inference.parameters import Place
from inference.settings import Settings

BACKEND = "onnx-decoder"
TOOLS = frozenset({"tools", "tool_choice"})


def decoder_card(look: Look, settings: Settings, say: Say) -> dict[str, Any]:
    """The fields that follow from the files; stop tokens and template are put where the backend reads them.

    Raises `IntakeError` for what cannot be used.
    """
    graph = look.graphs["model"]
    say(f"The graph generates text: {graph.weights} weights, {graph.flavour}.")
    tokenizer = tell(open_tokenizer(look), say)
    settle_template(look)
    template = tell(chat_template(look), say)
    task = Task.CHAT if template else Task.TEXT
    written = template_text(look) if template else ""
    spoken = tell(dialect(written, takes_tools=template.takes_tools), say) if template else None
    write_stop_tokens(look, tell(stop_tokens(look, tokenizer, written), say))
    standard = declared(task, BACKEND, Place.STANDARD, more=TOOLS if spoken else frozenset())
    if spoken:
        standard["tools"] = {**standard["tools"], "dialect": spoken}
    files = {"model": look.files["model"], "tokenizer": "tokenizer.json"}
    if template and look.has(TEMPLATE):
        files["chat_template"] = TEMPLATE
    return {
        "type": task,
        "backend": BACKEND,
        "files": files,
        "context": tell(decoder_context(look, graph, settings), say),
        "parameters": standard,
        "extras": declared(task, BACKEND, Place.EXTRA),
    }

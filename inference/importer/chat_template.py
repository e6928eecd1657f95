"""The chat template, wherever a model keeps it, and what it can do: tried in the sandbox, never outside."""

from __future__ import annotations

import json

from inference.cards.card import Card, CardError, Deployment
from inference.errors import ApiError
from inference.importer.findings import Finding
from inference.importer.model_folder import TEMPLATE, ModelFolder
from inference.importer.refusal import ImporterError
from inference.prompt.chat_template import ChatTemplate

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

"""The chat template, and the text it makes of a dialogue with the places that are learnt."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Template
from jinja2.sandbox import ImmutableSandboxedEnvironment

from training.chat.dialogue import Dialogue, Message, Tool

SOURCE = Path(__file__).with_name("chat_template.jinja")
END_OF_TURN = "<|im_end|>"


@cache
def template() -> Template:
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    return environment.from_string(SOURCE.read_text(encoding="utf-8"))


def render(messages: list[Message], tools: list[Tool], *, prompt: bool) -> str:
    """The text of the messages; with `prompt` it ends where the assistant's next answer begins."""
    values: dict[str, Any] = {"messages": messages, "tools": tools or None, "add_generation_prompt": prompt}
    return template().render(**values)


def learnt_text(dialogue: Dialogue) -> tuple[str, list[tuple[int, int]]]:
    """The dialogue's text and the spans [start, end) of its assistant turns, end mark included."""
    text, spans = "", []
    for index, message in enumerate(dialogue.messages):
        if message["role"] == "assistant":
            start = len(render(dialogue.messages[:index], dialogue.tools, prompt=True))
            text = render(dialogue.messages[: index + 1], dialogue.tools, prompt=False)
            spans.append((start, text.rindex(END_OF_TURN) + len(END_OF_TURN)))
    return text, spans


def answer_text(message: Message) -> str:
    """What the model has to write for this assistant message, without the end mark."""
    before = render([], [], prompt=True)
    return render([message], [], prompt=False)[len(before) :].removesuffix(f"{END_OF_TURN}\n")

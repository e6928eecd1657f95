"""The deployments that the tests talk to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from inference.api.parameters import BY_NAME
from inference.contracts import Route
from tests.http.scripts import write_script
from tests.support.decoders import CARD, SHAPE, write_decoder
from tests.support.encoders import DIMENSIONS, write_image_encoder, write_text_encoder
from tests.support.scorers import write_scorer

SAFETY = "Be careful and kind."
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
GREETING = "Hello, world! é bye"
"""What the deployment `greeter` says."""

SHORTER = 8
"""A size that the text embeddings were "trained" for."""
QUERY = "query: "
"""What stands before a text to embed of that type."""
AROUND = 2
"""Tokens that stand around every text to embed."""
EMBEDDING = {"dimensions": DIMENSIONS, "matryoshka": [SHORTER], "prompts": {"query": QUERY}}

HELLO = (b"Hello", b", ", b"wor", b"ld", b"!", b" ", b"\xc3", b"\xa9", b" bye")
CALL = (
    b"Let me look.",
    b"<tool_call>",
    b'{"name": "get_weather", ',
    b'"arguments": {"city"',
    b': "Paris"}',
    b"}",
    b"</tool_call>",
)
ROUND = (b"la ", b"li ", b"lo ")
LONG = 60_000
"""More tokens than any test has the patience for."""


def card(**changes: Any) -> dict[str, Any]:
    return {**CARD, **changes}


def extras(**more: Mapping[str, Any]) -> dict[str, Any]:
    return {**CARD["extras"], **more}


def write_several(folder: Path) -> Path:
    """Deployments of every task, some of which serve the same route.

    The weights of `babbler` are random: whatever form its answers have is what the endpoint holds them to.
    """
    write_decoder(folder, card={"extras": extras(safe_prompt={"text": SAFETY})})
    write_decoder(folder, name="bare-chat", seed=1, card={"parameters": {}, "extras": {}})
    write_decoder(folder, name="tiny-text", seed=2, card={"type": "text-generation", "extras": text_extras()})
    write_script(folder, HELLO, name="greeter")
    write_script(folder, CALL, name="caller", card={"parameters": tools()})
    write_script(folder, (b"So ", b"far ", b"so ", b"good"), name="breaker", fails=True)
    write_decoder(folder, name="babbler", seed=3, shape=replace(SHAPE, context=LONG), card=forms())
    write_text_encoder(folder, name="tiny-embed", card={"embedding": EMBEDDING, "extras": {"truncate": {}}})
    write_image_encoder(folder)
    write_scorer(folder, "bert", name="ranker")
    prompts = {"named_prompts": {"query": "find "}, "extras": {"prompt_name": {}}}
    write_scorer(folder, "classifier", name="labeller", **prompts)
    write_scorer(folder, "splade", name="weigher")
    return folder


def write_lone(folder: Path, **card: Any) -> Path:
    """One deployment a task, so that no request need name one; `card` changes that of the generating one."""
    write_decoder(folder, card=card)
    write_text_encoder(folder, name="tiny-embed", card={"embedding": EMBEDDING})
    write_image_encoder(folder)
    return folder


def write_small(folder: Path) -> Path:
    """One deployment a task; the answers of the generating one do not end by themselves."""
    write_script(folder, ROUND, name="endless", context=LONG, loops=True)
    write_text_encoder(folder, name="tiny-embed", card={"embedding": EMBEDDING})
    write_image_encoder(folder)
    return folder


def write_troubled(folder: Path) -> Path:
    """One sound deployment among folders that cannot be deployments, each for a reason of its own."""
    write_decoder(folder, name="sound")
    (write_decoder(folder, name="no-graph") / "model.onnx").unlink()
    (write_decoder(folder, name="garbage-graph") / "model.onnx").write_bytes(b"not a graph")
    (write_decoder(folder, name="garbage-tokenizer") / "tokenizer.json").write_text("{}")
    (write_decoder(folder, name="no-card-json") / "model.json").write_text("{")
    write_decoder(folder, name="boasts-sound", card={"parameters": {"modalities": {}}})
    write_decoder(folder, name="boasts-context", card={"context": 4096})
    write_decoder(folder, name="outside", card={"files": {"model": "../sound/model.onnx"}})
    _claim(write_decoder(folder, name="strange-task"), type="poetry")
    _claim(write_decoder(folder, name="deaf-to-tools"), parameters=tools())
    (folder / "deaf-to-tools" / "chat_template.jinja").write_text("{{ messages[0].content }}")
    return folder


def tools() -> dict[str, Any]:
    return {**CARD["parameters"], "tools": {"dialect": "hermes"}, "tool_choice": {"values": ["none", "auto"]}}


def forms() -> dict[str, Any]:
    """What a card declares where an answer can be held to every form."""
    return {
        "parameters": {**tools(), "tool_choice": {}, "response_format": {}},
        "extras": extras(guided_regex={}, guided_choice={}, guided_grammar={}, parallel_tool_calls={}),
    }


def text_extras() -> dict[str, Any]:
    return {
        name: limits for name, limits in CARD["extras"].items() if Route.COMPLETIONS in BY_NAME[name].routes
    }


def _claim(folder: Path, **changes: Any) -> None:
    path = folder / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

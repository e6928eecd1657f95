"""Cards for tests that need no model: written as files, so that they are read as a user's are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from inference.cards.card import CARD_FILE, Deployment, load

CHAT: dict[str, Any] = {
    "name": "tiny-chat",
    "provider": "tests",
    "type": "chat-completions",
    "backend": "onnx-decoder",
    "context": 64,
    "parameters": {
        "temperature": {"max": 1.5},
        "max_tokens": {"max": 32},
        "stop": {"max_items": 2},
        "seed": {},
        "tools": {"dialect": "hermes"},
        "tool_choice": {"values": ["none", "auto"]},
    },
    "extras": {"top_k": {}, "safe_prompt": {"text": "Be kind."}},
}
EMBEDDINGS: dict[str, Any] = {
    "name": "tiny-embeddings",
    "provider": "tests",
    "type": "embeddings",
    "backend": "onnx-text-encoder",
    "embedding": {"dimensions": 16, "matryoshka": [8]},
    "parameters": {"dimensions": {}, "encoding_format": {"values": ["float", "base64"]}},
}
IMAGES: dict[str, Any] = {
    "name": "tiny-images",
    "provider": "tests",
    "type": "image-embeddings",
    "backend": "onnx-image-encoder",
}


def write_card(root: Path, card: dict[str, Any], **changes: Any) -> Path:
    """A folder under `root` with the changed card, and an empty file for each that the card names."""
    card = {**card, **changes}
    folder = root / str(card["name"])
    folder.mkdir(parents=True)
    for name in card.get("files", {}).values():
        (folder / name).touch()
    (folder / CARD_FILE).write_text(json.dumps(card), encoding="utf-8")
    return folder


def deployment(root: Path, card: dict[str, Any], **changes: Any) -> Deployment:
    return load(write_card(root, card, **changes))

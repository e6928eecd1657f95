"""What each route is asked: a body that every model can answer, and one that this model must refuse."""

from __future__ import annotations

import struct
import zlib
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from inference.contracts import Route

Body = Mapping[str, Any]

SIGNATURE = b"\x89PNG\r\n\x1a\n"

GENERATION: Mapping[str, Any] = {
    "seed": 1,
    "frequency_penalty": 1,
    "presence_penalty": 1,
    "stop": ["."],
    "top_p": 0.5,
    "temperature": 0.5,
}
FUNCTION = {"type": "function", "function": {"name": "now", "parameters": {"type": "object"}}}
STANDARD: Mapping[Route, Mapping[str, Any]] = {
    Route.CHAT: {
        "response_format": {"type": "json_object"},
        "tools": [FUNCTION],
        "modalities": ["text", "audio"],
        **GENERATION,
    },
    Route.COMPLETIONS: GENERATION,
}
"""Standard parameters with valid values that ask for something: a model without them must refuse."""


def body(route: Route, capabilities: Mapping[str, Any]) -> Body:
    """Something small that a model serving the route answers."""
    few = {"max_tokens": 8} if capabilities.get("max_tokens", {}).get("supported") else {}
    bodies: Mapping[Route, Body] = {
        Route.CHAT: {"messages": [{"role": "user", "content": "Hello!"}], **few},
        Route.COMPLETIONS: {"prompt": "Hello", **few},
        Route.EMBEDDINGS: {"input": ["a cat", "a kitten"]},
        Route.IMAGE_EMBEDDINGS: {"input": [{"image": picture()}]},
    }
    return bodies[route]


def undeclared(route: Route, capabilities: Mapping[str, Any]) -> Body:
    """A parameter that the model says it does not take; empty where it takes all there are."""
    if route in STANDARD:
        for name, value in STANDARD[route].items():
            if name in capabilities and not capabilities[name]["supported"]:
                return {name: value}
        return {}
    return {"dimensions": max(capabilities.get("dimensions", {}).get("values") or [0]) + 1}


def picture(edge: int = 32) -> str:
    """A red square as the data URL of a PNG, made without a library for pictures."""
    header = struct.pack(">IIBBBBB", edge, edge, 8, 2, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\xff\0\0" * edge) * edge)
    chunks = _chunk(b"IHDR", header) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")
    file = SIGNATURE + chunks
    return f"data:image/png;base64,{b64encode(file).decode()}"


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

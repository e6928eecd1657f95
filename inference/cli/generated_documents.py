"""The documents that the code gives. `python -m inference documents` writes them, a test holds them to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from inference.cards.card import schema
from inference.cli.parameters_page import parameters_page
from inference.cli.settings_page import settings_page
from inference.pipeline.openapi import document


def _json(make: Callable[[], Any]) -> Callable[[], str]:
    return lambda: json.dumps(make(), indent=2) + "\n"


DOCUMENTS: Mapping[str, Callable[[], str]] = {
    "docs/openapi.json": _json(document),
    "docs/parameters.md": parameters_page,
    "docs/settings.md": settings_page,
    "models/card.schema.json": _json(schema),
}
"""Path in the repository, and what makes its text."""


def write_documents(root: Path) -> list[str]:
    """Writes what differs; the paths that did."""
    changed = []
    for name, make in DOCUMENTS.items():
        path, text = root / name, make()
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            changed.append(name)
    return changed

"""The documents that the code gives. `python -m inference documents` writes them, a test holds them to it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from inference.api.parameters import Parameter, ParameterPlace, default_of, of_route
from inference.cards.card import schema
from inference.cli.parser import Commands, command
from inference.contracts import Route
from inference.pipeline.openapi import document
from inference.settings import PROJECT, Settings


def _json(make: Callable[[], Any]) -> Callable[[], str]:
    return lambda: json.dumps(make(), indent=2) + "\n"


def settings_page() -> str:
    """The reference page of the settings, in Markdown."""
    lines = [
        "# Settings",
        "",
        "Environment variables, or `Values` of `local.settings.json`. This page is written by",
        "`python -m inference documents`.",
        "",
        "| variable | default | |",
        "|---|---|---|",
    ]
    for setting in fields(Settings):
        description = setting.metadata["description"]
        lines.append(f"| `{setting.metadata['variable']}` | {_shown(setting.default)} | {description} |")
    return "\n".join(lines) + "\n"


def _shown(default: Any) -> str:
    if default is None:
        return "none"
    if isinstance(default, tuple):
        names = (str(item.relative_to(PROJECT)) if isinstance(item, Path) else item for item in default)
        text = ",".join(names)
    else:
        text = str(default).lower() if isinstance(default, bool) else str(default)
    return f"`{text}`" if text else "none"


ROUTES = (Route.CHAT, Route.COMPLETIONS, Route.EMBEDDINGS, Route.IMAGE_EMBEDDINGS)

INTRODUCTION = """\
# Parameters

Every parameter of every route, from the table that validates requests. This page is written by
`python -m inference documents`.

- **envelope**: part of the route; every deployment takes it.
- **standard**: named by the API; honoured where the deployment's card declares it, else refused with 422
  at its place. `GET /info` says which.
- **extra**: not in the API; taken with `extra-parameters: pass-through` where the card declares it or takes
  any, and native under the OpenAI base paths.
- **label**: an extra that every deployment takes; it changes no answer, and the request's log line carries
  a digest of it.

`null` is the same as absent. A value outside its range is refused with 422; a *neutral* value asks for
nothing and is never refused.
"""


def parameters_page() -> str:
    """The page; the same text on every call."""
    return "\n".join([INTRODUCTION, *(line for route in ROUTES for line in _section(route))]) + "\n"


def _section(route: Route) -> Iterator[str]:
    yield f"## POST /{route}\n"
    yield "| parameter | | value | default | neutral | |"
    yield "|---|---|---|---|---|---|"
    for place in ParameterPlace:
        for row in of_route(route, place):
            cells = (f"`{row.name}`", place, _value(row), _default(row, route), _neutral(row), row.meaning)
            yield f"| {' | '.join(cells)} |"
    yield ""


def _value(row: Parameter) -> str:
    if row.values:
        return ", ".join(f"`{value}`" for value in row.values)
    if row.minimum is None and row.maximum is None:
        return str(row.kind)
    return f"{row.kind} {_number(row.minimum)} to {_number(row.maximum)}"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    for power in (31, 63):
        for number, text in ((2**power, f"2^{power}"), (2**power - 1, f"2^{power}-1")):
            if abs(value) == number:
                return f"-{text}" if value < 0 else text
    return f"{value:g}"


def _default(row: Parameter, route: Route) -> str:
    usual = default_of(row.name, route, "")
    if usual is None:
        return ""
    others = {version: default_of(row.name, route, version) for version in row.defaults_by_version}
    notes = [f"{default} in {version}" for version, default in others.items() if default != usual]
    return "; ".join([str(usual).lower() if isinstance(usual, bool) else str(usual), *notes])


def _neutral(row: Parameter) -> str:
    if row.neutral is None:
        return ""
    if isinstance(row.neutral, bool):
        return str(row.neutral).lower()
    return str(list(row.neutral)) if isinstance(row.neutral, tuple) else str(row.neutral) or "empty text"


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


def add(commands: Commands) -> None:
    documents = command(commands, "documents", meaning="write the documents that the code gives")
    documents.set_defaults(run=_documents)


def _documents(_: argparse.Namespace) -> int:

    for name in write_documents(PROJECT):
        print(f"written: {name}")
    return 0

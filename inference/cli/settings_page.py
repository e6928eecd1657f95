"""The reference page of the settings."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from inference.settings import Settings
from inference.settings.setting import PROJECT


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
        meaning = setting.metadata["meaning"]
        lines.append(f"| `{setting.metadata['variable']}` | {_shown(setting.default)} | {meaning} |")
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

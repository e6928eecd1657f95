"""Who made a model, under which licence, and where it comes from: what the card says of it to people."""

from __future__ import annotations

import re

from inference.importer.findings import Finding
from inference.importer.model_folder import ModelFolder
from inference.importer.stock import SourceFiles

FRONT_MATTER = re.compile(r"\A---\n(?P<fields>.*?)\n---\n", re.DOTALL)
LICENSE = re.compile(r"^license: *[\"']?(?P<license>[\w. -]+?)[\"']? *$", re.MULTILINE)
OWNER = re.compile(r"(?P<owner>[\w.-]+)/[\w.-]+", re.ASCII)


def provider(look: ModelFolder, stock: SourceFiles, wanted: str | None) -> Finding[str]:
    """As the user says, else as the source says, else as config.json's `_name_or_path` does."""
    if wanted:
        return Finding(wanted, "")
    if stock.provider:
        return Finding(stock.provider, f"The provider is {stock.provider}.")
    named = OWNER.fullmatch(str(look.json("config.json").get("_name_or_path", "")))
    if named:
        return Finding(named["owner"], f"The provider is {named['owner']} (config.json).")
    return Finding("unknown", "No file says who made the model; --provider NAME does.")


def license_of(look: ModelFolder, stock: SourceFiles) -> Finding[str]:
    """As the hub or the front matter of README.md says; an empty text where neither does."""
    found = stock.license or _front_matter(look)
    if not found:
        return Finding(
            "", "No file says the licence: look at the model's page before you serve it to others."
        )
    return Finding(found, f"The licence is {found}.")


def description(look: ModelFolder, stock: SourceFiles) -> str:
    """One line: architecture, weights, origin."""
    what = look.architecture or "A model"
    return f"{what}, {look.graphs['model'].weights} weights, from {stock.origin}."


def _front_matter(look: ModelFolder) -> str | None:
    path = look.folder / "README.md"
    if not path.is_file():
        return None
    matter = FRONT_MATTER.match(path.read_text(encoding="utf-8", errors="replace"))
    found = LICENSE.search(matter["fields"]) if matter else None
    return found["license"] if found else None

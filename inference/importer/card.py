"""Who made a model, under which licence, and where it comes from: what the card says of it to people."""

from __future__ import annotations

import re
from typing import Any

from inference.backends.encoder.token_graph import POOLED_OUTPUTS, TOKEN_OUTPUTS
from inference.contracts import Task
from inference.importer.decoder_card import decoder_card
from inference.importer.encoder_card import encoder_card, image_card
from inference.importer.findings import Finding, ImporterError, Say, tell
from inference.importer.model_folder import ModelFolder
from inference.importer.sources import SourceFiles
from inference.settings import Settings

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


HIDDEN = (*POOLED_OUTPUTS, *TOKEN_OUTPUTS)


def card_of(
    look: ModelFolder,
    stock: SourceFiles,
    settings: Settings,
    say: Say,
    *,
    name: str,
    maker: str | None,
    pooling: str | None,
) -> dict[str, Any]:
    """What stands in model.json. Raises `ImporterError` for a model that no backend runs."""
    match task_of(look):
        case Task.IMAGE_EMBEDDINGS:
            fields = image_card(look, say)
        case Task.EMBEDDINGS:
            fields = encoder_card(look, say, pooling=pooling)
        case _:
            fields = decoder_card(look, settings, say)
    licence = tell(license_of(look, stock), say)
    return {
        "name": name,
        "provider": tell(provider(look, stock, maker), say),
        "description": description(look, stock),
        **({"license": licence} if licence else {}),
        **fields,
    }


def task_of(look: ModelFolder) -> Task:
    """By the graph's inputs and outputs. A decoder may turn out to chat or only to continue texts."""
    graph = look.graphs["model"]
    if "pixel_values" in graph.inputs and not graph.generates:
        return Task.IMAGE_EMBEDDINGS
    if graph.generates:
        return Task.CHAT
    if any(name in graph.outputs for name in HIDDEN) or (
        len(graph.outputs) == 1 and "logits" not in graph.outputs
    ):
        return Task.EMBEDDINGS
    raise ImporterError(_unknown(look))


def _unknown(look: ModelFolder) -> str:
    graph, kind = look.graphs["model"], look.architecture
    if "SequenceClassification" in kind:
        return (
            f"The graph is a classifier ({kind}). Classifiers judge for the content filter, and only you "
            "can say which harm each label stands for: write its model.json by hand, see "
            "docs/content-safety.md."
        )
    if "logits" in graph.outputs:
        return (
            f"The graph gives logits and keeps no cache ({kind or 'no architecture is named'}). A decoder "
            "must be exported with its KV cache, an encoder without its head: `python -m inference models "
            "convert` does both."
        )
    return (
        f"No backend runs such a graph: inputs {', '.join(graph.inputs)}, outputs {', '.join(graph.outputs)}."
    )

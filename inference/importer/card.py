"""The card of an imported model: its task by the graph, and its provider, licence and origin."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from inference.backends.encoder.token_graph import POOLED_OUTPUTS, TOKEN_OUTPUTS
from inference.backends.vision.image_encoder import IMAGE_OUTPUTS
from inference.contracts import Task
from inference.importer.decoder_card import decoder_card
from inference.importer.encoder_card import encoder_card
from inference.importer.findings import Finding, ImporterError, Report, reported
from inference.importer.image_card import image_card
from inference.importer.kinds import kind_by_config, kind_by_graph
from inference.importer.model_folder import ModelFolder
from inference.importer.scorer_card import is_splade, label_count, scorer_card, sparse_card
from inference.importer.sources import SourceFiles
from inference.settings import Settings

HIDDEN_STATES = (*POOLED_OUTPUTS, *TOKEN_OUTPUTS)
HEAD_OUTPUTS = frozenset({"logits", "pred_boxes", "pred_masks", "predicted_depth"})
FRONT_MATTER = re.compile(r"\A---\n(?P<fields>.*?)\n---\n", re.DOTALL)
LICENSE = re.compile(r"^license: *[\"']?(?P<license>[\w. -]+?)[\"']? *$", re.MULTILINE)
OWNER = re.compile(r"(?P<owner>[\w.-]+)/[\w.-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class CardOptions:
    """Fields of the card that the user sets; None takes them from the files."""

    name: str
    provider: str | None = None
    pooling: str | None = None
    context: int | None = None


def card_of(
    folder: ModelFolder, files: SourceFiles, settings: Settings, options: CardOptions, report: Report
) -> dict[str, Any]:
    """Return the contents of model.json. Raises `ImporterError` for a model that no backend runs."""
    match task_of(folder):
        case Task.IMAGE_EMBEDDINGS:
            fields = image_card(folder, report, pooling=options.pooling, context=options.context)
        case Task.RERANK | Task.CLASSIFICATION as task:
            fields = scorer_card(folder, report, task, context=options.context)
        case Task.SPARSE_EMBEDDINGS:
            fields = sparse_card(folder, report, context=options.context)
        case Task.EMBEDDINGS:
            fields = encoder_card(folder, report, pooling=options.pooling, context=options.context)
        case _:
            fields = decoder_card(folder, settings, report, context=options.context)
    license_name = reported(license_of(folder, files), report)
    return {
        "name": options.name,
        "provider": reported(provider_of(folder, files, options.provider), report),
        "description": description(folder, files),
        **({"license": license_name} if license_name else {}),
        **fields,
    }


def task_of(folder: ModelFolder) -> Task:
    """Return the task by the graph's inputs and outputs, `Task.CHAT` for every decoder.

    Raises `ImporterError` for a graph that no backend runs.
    """
    graph = folder.graphs["model"]
    if refused := kind_by_graph(graph.inputs, (), ""):
        raise ImporterError(_kind(folder) or refused)
    if "pixel_values" in graph.inputs and not graph.generates and _encodes_images(graph.outputs):
        return Task.IMAGE_EMBEDDINGS
    if graph.generates:
        return Task.CHAT
    if (labels := label_count(folder)) is not None:
        return Task.RERANK if labels == 1 else Task.CLASSIFICATION
    if "logits" in graph.outputs and is_splade(folder):
        return Task.SPARSE_EMBEDDINGS
    if any(name in graph.outputs for name in HIDDEN_STATES) or (
        len(graph.outputs) == 1 and "logits" not in graph.outputs
    ):
        return Task.EMBEDDINGS
    raise ImporterError(_unsupported(folder))


def _unsupported(folder: ModelFolder) -> str:
    graph, kind = folder.graphs["model"], folder.architecture
    if known := _kind(folder):
        return known
    if "logits" in graph.outputs:
        return (
            f"The graph has logits and no KV cache ({kind or 'no file names its architecture'}). A decoder "
            "must be exported with its KV cache (optimum-cli export onnx --task text-generation-with-past), "
            "an encoder without its head (--task feature-extraction)."
        )
    return (
        f"No backend runs a graph with the inputs {', '.join(graph.inputs)} and the outputs "
        f"{', '.join(graph.outputs)}. Decoders, text encoders and image encoders are supported."
    )


def _encodes_images(outputs: Collection[str]) -> bool:
    """Return True for vectors or hidden states among the outputs; a lone output may have any name."""
    vectors = (*IMAGE_OUTPUTS, *HIDDEN_STATES)
    return any(name in outputs for name in vectors) or (len(outputs) == 1 and not HEAD_OUTPUTS & set(outputs))


def _kind(folder: ModelFolder) -> str | None:
    """Return the sentence on the model's kind where its files or its graph name one that no backend runs."""
    graph, config = folder.graphs["model"], folder.json("config.json")
    return kind_by_config(config, folder.json("genai_config.json")) or kind_by_graph(
        graph.inputs, graph.outputs, folder.architecture
    )


def provider_of(folder: ModelFolder, files: SourceFiles, wanted: str | None) -> Finding[str]:
    """Return the maker: the user's, else the source's, else the owner in `_name_or_path` of config.json."""
    if wanted:
        return Finding(wanted, "")
    if files.provider:
        return Finding(files.provider, f"The provider is {files.provider}.")
    named = OWNER.fullmatch(str(folder.json("config.json").get("_name_or_path", "")))
    if named:
        return Finding(named["owner"], f"The provider is {named['owner']} (config.json).")
    return Finding("unknown", "No file names the model's provider; set it with --provider NAME.")


def license_of(folder: ModelFolder, files: SourceFiles) -> Finding[str]:
    """Return the licence that the hub or the front matter of README.md names; empty where neither does."""
    found = files.license or _front_matter_license(folder)
    if not found:
        return Finding("", "No file names a licence: check the model's page before you serve it to others.")
    return Finding(found, f"The licence is {found}.")


def description(folder: ModelFolder, files: SourceFiles) -> str:
    """Return one line of architecture, type of weights and origin."""
    kind = folder.architecture or "A model"
    return f"{kind}, {folder.graphs['model'].weights} weights, from {files.origin}."


def _front_matter_license(folder: ModelFolder) -> str | None:
    path = folder.path / "README.md"
    if not path.is_file():
        return None
    front_matter = FRONT_MATTER.match(path.read_text(encoding="utf-8", errors="replace"))
    found = LICENSE.search(front_matter["fields"]) if front_matter else None
    return found["license"] if found else None

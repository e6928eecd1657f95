"""From a look at the files to a whole card: which task it is, then that task's own card."""

from __future__ import annotations

from typing import Any

from inference.backends.encoder.token_graph import POOLED_OUTPUTS, TOKEN_OUTPUTS
from inference.contracts import Task
from inference.importer.decoder_card import decoder_card
from inference.importer.encoder_card import encoder_card
from inference.importer.findings import Say, tell
from inference.importer.image_card import image_card
from inference.importer.model_folder import ModelFolder
from inference.importer.provenance import description, license_of, provider
from inference.importer.refusal import ImporterError
from inference.importer.stock import SourceFiles
from inference.settings import Settings

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

"""Rewrites of graphs before they are described: the lm_head edit of decoders, int8 weights of encoders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from inference.backends.model_files import head_size
from inference.cards.card import CardError, Deployment
from inference.contracts import Task
from inference.importer.decoder_card import decoder_context
from inference.importer.findings import ImporterError, Report
from inference.importer.graph_answers import GraphSizes, answer_alike
from inference.importer.graph_facts import read_graph
from inference.importer.int8 import QuantizationError, cosine_loss, image_loss, write_int8
from inference.importer.lm_head import gather_before_lm_head
from inference.importer.model_folder import ModelFolder
from inference.importer.score_loss import score_loss
from inference.settings import Settings

MODEL = "model"
UNKNOWN_CONTEXT = 512
"""Tokens of the cache in which an edited graph is compared where no file states the context."""
TOWERS = (("preprocessor", "images", image_loss), ("tokenizer", "texts", cosine_loss))
"""Towers of an encoder: the key of its file in the card, the kind of its samples, and its loss."""
SCORES = {
    Task.RERANK: "scores of sample pairs",
    Task.CLASSIFICATION: "scores of sample texts",
    Task.SPARSE_EMBEDDINGS: "weights of sample texts",
}


def select_logits(folder: ModelFolder, settings: Settings, report: Report) -> dict[str, str]:
    """Return the graph files by role after the edit of `lm_head`, where the graph allows it.

    The edited graph replaces the original only if it answers as the original does.
    """
    name = folder.graph_files[MODEL]
    if not folder.graphs[MODEL].generates:
        return dict(folder.graph_files)
    target = f"{Path(name).stem}_gathered.onnx"
    if not gather_before_lm_head(folder.path / name, folder.path / target):
        return dict(folder.graph_files)
    sizes = _cache_sizes(folder, settings)
    if not answer_alike(folder.path / name, folder.path / target, sizes, settings):
        _drop(folder.path, [target], [name])
        report(
            "The graph computes the logits of all tokens of a prompt. It stays as it is, because an edit "
            "that saves the needless ones did not answer as it does."
        )
        return dict(folder.graph_files)
    _drop(folder.path, [name], [target])
    report("The graph was edited to compute the requested logits only; its answers stay the same.")
    return {**folder.graph_files, MODEL: target}


def _cache_sizes(folder: ModelFolder, settings: Settings) -> GraphSizes:
    try:
        context = decoder_context(folder, folder.graphs[MODEL], settings).value
    except ImporterError:
        context = UNKNOWN_CONTEXT
    return GraphSizes(head_size(folder.config, folder.json("genai_config.json")), context)


def quantize(folder: Path, graph_files: Mapping[str, str]) -> dict[str, str]:
    """Write each encoder in int8 next to the original, and return the new graph files by role.

    Raises `ImporterError` for a decoder, or weights that are not float32.
    """
    graphs = {name: read_graph(folder / name) for name in graph_files.values()}
    if any(graph.generates for graph in graphs.values()):
        raise ImporterError(
            "--int8 is for encoders. For a decoder take --variant int8, or convert it with --precision int8."
        )
    for name, graph in graphs.items():
        if graph.weights != "float32":
            raise ImporterError(
                f"--int8 needs float32 weights, and {name} has {graph.weights} ones. Take --variant fp32."
            )
    written = {name: f"{Path(name).stem}_int8.onnx" for name in graphs}
    try:
        for name, target in written.items():
            write_int8(folder / name, folder / target)
    except QuantizationError as error:
        raise ImporterError(f"--int8: {error}.") from None
    return {role: written[name] for role, name in graph_files.items()}


def losses(original: Deployment, quantized: Deployment, settings: Settings) -> Iterator[str]:
    """Yield a sentence on the loss of each tower. Raises `ImporterError` where one does not open."""
    if (kind := SCORES.get(original.card.type)) is not None:
        try:
            yield f"In int8 the {kind} {score_loss(original, quantized, settings)} in float32."
        except CardError as error:
            raise ImporterError(f"The loss of --int8 cannot be measured: {error}") from None
        return
    for _, kind, loss in (tower for tower in TOWERS if tower[0] in original.card.files):
        try:
            yield f"In int8 the vectors of sample {kind} have a {loss(original, quantized, settings)}."
        except CardError as error:
            raise ImporterError(f"The loss of --int8 cannot be measured: {error}") from None


def drop_originals(folder: Path, graph_files: Mapping[str, str], rewritten: Mapping[str, str]) -> None:
    """Delete the graphs that were rewritten."""
    _drop(folder, list(dict.fromkeys(graph_files.values())), list(dict.fromkeys(rewritten.values())))


def _drop(folder: Path, names: list[str], targets: list[str]) -> None:
    """Delete graphs, and those of their files of external data that the targets do not share."""
    kept = {*targets, *(data for target in targets for data in read_graph(folder / target).external)}
    for name in names:
        for old in (name, *read_graph(folder / name).external):
            if old not in kept:
                (folder / old).unlink(missing_ok=True)
                _remove_empty_folders(folder, folder / old)


def _remove_empty_folders(root: Path, removed: Path) -> None:
    for above in removed.relative_to(root).parents[:-1]:
        if any((root / above).iterdir()):
            return
        (root / above).rmdir()

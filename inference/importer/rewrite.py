"""Graphs made fit before they are described: an exact edit always, 8 bits where they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from inference.cards.card import CardError, Deployment
from inference.importer.findings import ImporterError, Say
from inference.importer.graph_facts import read_graph
from inference.importer.int8 import QuantizationError, cosine_loss, picture_loss, write_int8
from inference.importer.lm_head import gather_before_lm_head
from inference.importer.model_folder import ModelFolder
from inference.settings import Settings

MODEL = "model"


def gathered(look: ModelFolder, say: Say) -> dict[str, str]:
    """The files of the roles, a decoder's graph edited where it can be: see `lm_head`."""
    folder, files = look.folder, look.files
    name = files[MODEL]
    if not look.graphs[MODEL].generates:
        return dict(files)
    target = f"{Path(name).stem}_gathered.onnx"
    if not gather_before_lm_head(folder / name, folder / target):
        return dict(files)
    _drop(folder, [name], [target])
    say("The graph was edited to compute logits only where they are needed; what it answers is the same.")
    return {**files, MODEL: target}


def in_8_bit(folder: Path, files: Mapping[str, str]) -> dict[str, str]:
    """The files of the roles, each encoder written anew beside the original.

    Raises `ImporterError` for a decoder, or weights that are not float32.
    """
    graphs = {name: read_graph(folder / name) for name in files.values()}
    if any(graph.generates for graph in graphs.values()):
        raise ImporterError(
            "--int8 is for encoders. Of a decoder take --variant int8, or convert it to int8."
        )
    for name, graph in graphs.items():
        if graph.weights != "float32":
            raise ImporterError(
                f"--int8 starts from float32 weights, and {name} has none. Say --variant fp32."
            )
    made = {name: f"{Path(name).stem}_int8.onnx" for name in graphs}
    try:
        for name, target in made.items():
            write_int8(folder / name, folder / target)
    except QuantizationError as error:
        raise ImporterError(f"--int8: {error}.") from None
    return {role: made[name] for role, name in files.items()}


def losses(original: Deployment, other: Deployment, settings: Settings) -> Iterator[str]:
    """What the 8 bits cost, a sentence a tower. Raises `ImporterError` where one of the two does not open."""
    towers = (("preprocessor", "pictures", picture_loss), ("tokenizer", "texts", cosine_loss))
    for _, kind, loss in (tower for tower in towers if tower[0] in original.card.files):
        try:
            yield f"In 8 bits the vectors of sample {kind} have a {loss(original, other, settings)}."
        except CardError as error:
            raise ImporterError(f"What the 8 bits cost cannot be measured: {error}") from None


def drop_originals(folder: Path, files: Mapping[str, str], made: Mapping[str, str]) -> None:
    _drop(folder, list(dict.fromkeys(files.values())), list(dict.fromkeys(made.values())))


def _drop(folder: Path, names: list[str], targets: list[str]) -> None:
    """Removes graphs and those of their weights that the new ones do not read."""
    kept = {*targets, *(data for target in targets for data in read_graph(folder / target).external)}
    for name in names:
        for old in (name, *read_graph(folder / name).external):
            if old not in kept:
                (folder / old).unlink(missing_ok=True)

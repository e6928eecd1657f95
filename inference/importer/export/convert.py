"""`models convert`: fetch a checkpoint, export it in another environment, add what came out."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from inference.importer.add import AddOptions, add_stock, checked_place
from inference.importer.deployment_folder import place
from inference.importer.export.checkpoint import exporter_of, files_of
from inference.importer.export.environment import environments, python_of
from inference.importer.export.exporters import EXPORTERS, Exporter
from inference.importer.export.process import Run, run
from inference.importer.findings import Say, tell
from inference.importer.model_folder import read_object
from inference.importer.refusal import ImporterError
from inference.importer.sources import Source
from inference.importer.stock import FolderFiles, SourceFiles
from inference.importer.stocks import cleared, files_of_source
from inference.settings import Settings

OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
"""The checkpoint is here already: an exporter has nothing to fetch."""
CARRIED = (
    "README.md",
    "config.json",
    "generation_config.json",
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
)
"""Descriptions that exporters leave behind."""


@dataclass(frozen=True, slots=True)
class ConvertOptions:
    """`None` takes the exporter by the architecture, and that exporter's first precision."""

    exporter: str | None = None
    precision: str | None = None
    environments: Path | None = None


def convert(
    source: Source, choice: ConvertOptions, order: AddOptions, settings: Settings, say: Say, run: Run = run
) -> Path:
    """The folder of the new deployment. Raises `ImporterError`; then nothing was added."""
    with checked_place(order, settings):
        work, shelf = (order.into / f".{order.name}.{word}" for word in ("converting", "fetched"))
        shutil.rmtree(work, ignore_errors=True)
        try:
            stock = files_of_source(source, shelf, settings, say)
            checkpoint = _checkpoint(stock, work / "checkpoint", say)
            exporter = _exporter(choice, checkpoint, stock, say)
            precision = _precision(choice, exporter)
            order = _counted(order, exporter, precision)
            _export(exporter, precision, checkpoint, work / "onnx", choice, say, run)
            made = FolderFiles.of(work / "onnx", f"{stock.origin}, converted by {exporter.name}")
            made = replace(made, provider=stock.provider, license=stock.license)
            target = add_stock(made, order, settings, say)
            cleared(shelf)
            return target
        except OSError as error:
            raise ImporterError(f"{error.filename or work}: {error.strerror}. Nothing was added.") from error
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _checkpoint(stock: SourceFiles, folder: Path, say: Say) -> Path:
    """A folder with what an exporter may see, and nothing else."""
    fetched = stock.fetch(list(files_of(stock.listing)))
    tell(place(fetched, folder, copy=False), say)
    return folder


def _exporter(choice: ConvertOptions, checkpoint: Path, stock: SourceFiles, say: Say) -> Exporter:
    name = choice.exporter or tell(exporter_of(read_object(checkpoint / "config.json"), stock.listing), say)
    return EXPORTERS[name]


def _counted(order: AddOptions, exporter: Exporter, precision: str) -> AddOptions:
    """The order, with int8 where it is made here."""
    if precision == "int8" and exporter.name != "builder":
        return replace(order, int8=True)
    return order


def _precision(choice: ConvertOptions, exporter: Exporter) -> str:
    """Raises `ImporterError` for one that the exporter does not make."""
    if choice.precision is None:
        return exporter.precisions[0]
    if choice.precision not in exporter.precisions:
        known: Sequence[str] = exporter.precisions
        raise ImporterError(f"{exporter.name} makes {', '.join(known)}, not {choice.precision}.")
    return choice.precision


def _export(
    exporter: Exporter,
    precision: str,
    checkpoint: Path,
    target: Path,
    choice: ConvertOptions,
    say: Say,
    run: Run,
) -> None:
    """Runs the exporter. Raises `ImporterError` with its last lines where it fails."""
    python = python_of(exporter, choice.environments or environments(), run, say)
    say(f"{exporter.name} exports to {precision}; this takes some seconds for each 100 MB.")
    command = exporter.command(python, checkpoint, target, precision)
    ended = run(command, target.parent, OFFLINE)
    if ended.code or not any(target.glob("*.onnx")):
        raise ImporterError(
            f"{exporter.name} could not export the model (exit code {ended.code}). It said "
            f"last:\n{ended.tail}"
        )
    for path in checkpoint.rglob("*"):
        name = path.relative_to(checkpoint)
        if path.is_file() and (name.name in CARRIED or len(name.parts) > 1) and not (target / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target / name)

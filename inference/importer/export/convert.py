"""What of a source is a checkpoint, and which exporter is for it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from inference.importer.add import AddOptions, add_stock, checked_place, cleared, files_of_source
from inference.importer.deployment_folder import place
from inference.importer.export.environment import Run, environments, python_of, run
from inference.importer.export.exporters import EXPORTERS, Exporter
from inference.importer.findings import Finding, ImporterError, Say, tell
from inference.importer.model_folder import read_object
from inference.importer.plan import MODULE_FILE, SIDE_FILES
from inference.importer.sources import FolderFiles, Listing, Source, SourceFiles
from inference.settings import Settings

WEIGHTS = re.compile(r"model(-\d{5}-of-\d{5})?\.safetensors|model\.safetensors\.index\.json")
TOKENIZERS = frozenset(
    {"tokenizer.model", "vocab.json", "merges.txt", "vocab.txt", "spiece.model", "added_tokens.json"}
)
GENERATING = ("ForCausalLM", "LMHeadModel")
TOWERS = ("clip", "siglip", "siglip2")


def files_of(listing: Listing) -> dict[str, str]:
    """The files that an exporter may see, by their paths; nothing that could be executed is among them.

    Raises `ImporterError` where there are no weights as safetensors.
    """
    chosen = {path: path for path in listing if _belongs(path)}
    if not any(WEIGHTS.fullmatch(path) for path in chosen):
        pickled = sorted(path for path in listing if path.endswith((".bin", ".pt", ".pth", ".ckpt")))
        more = (
            f" {pickled[0]} is a pickle, which could run any code when it is opened, and is left alone."
            if pickled
            else ""
        )
        raise ImporterError(f"There is no model.safetensors to convert.{more}")
    if "config.json" not in chosen:
        raise ImporterError("There is no config.json beside the weights, which says what model they are.")
    return chosen


def _belongs(path: str) -> bool:
    if "/" in path:
        return MODULE_FILE.fullmatch(path) is not None
    name = PurePosixPath(path).name
    return name in SIDE_FILES or name in TOKENIZERS or WEIGHTS.fullmatch(name) is not None


def exporter_of(config: Mapping[str, Any], listing: Listing) -> Finding[str]:
    """The name of the exporter for a checkpoint. Raises `ImporterError` where none is for it."""
    named = config.get("architectures") or [""]
    kind = str(named[0]) if isinstance(named, list) else str(named)
    if config.get("model_type") in TOWERS:
        return Finding("torch", f"{kind} has a tower for pictures and one for texts: torch exports both.")
    if kind.endswith(GENERATING):
        return Finding("builder", f"{kind} generates text: onnxruntime-genai's builder exports it.")
    if "modules.json" in listing or kind.endswith(("Model", "ForMaskedLM")):
        return Finding("optimum", f"{kind or 'It'} encodes text: optimum exports it.")
    raise ImporterError(
        f"No exporter is known for {kind or 'a model without architectures in config.json'}. "
        "Say --exporter builder, optimum or torch to try one."
    )


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

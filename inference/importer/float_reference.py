"""A model's original weights in float32 as a deployment, to measure what a deployment's form costs.

The original is a GGUF file, of which every type becomes float32, or a checkpoint of safetensors.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from inference.importer.add import AddOptions, add_files, downloads_folder, files_of_source, reserved
from inference.importer.export.convert import ConvertOptions, convert
from inference.importer.findings import ImporterError, Report
from inference.importer.gguf.choice import SUFFIX, is_wanted, offered
from inference.importer.gguf.intake import graphs_of
from inference.importer.gguf.locations import split_file
from inference.importer.plan import PlanOptions
from inference.importer.sources import SourceFiles, parse
from inference.settings import Settings

NAME = "reference"
CONFIG = "config.json"
LOCAL = ("/", "./", "../", "~")
"""Beginnings of a path after `hf:`, where a repository would be."""


class OriginalKind(Enum):
    """The kinds of files that have a model's original weights, by their word in `--reference`."""

    GGUF = "gguf"
    CHECKPOINT = "hf"


@dataclass(frozen=True, slots=True)
class Original:
    """Where a model's original weights are: their kind, and SOURCE as `models add` takes it."""

    kind: OriginalKind
    source: str


def original_of(text: str) -> Original | None:
    """Return the original that `--reference` names; None for anything else, such as a deployment.

    Raises `ImporterError` for a kind without a place.
    """
    word, colon, place = text.partition(":")
    kind = next((kind for kind in OriginalKind if kind.value == word.lower()), None)
    if kind is not None and not place:
        raise ImporterError(_without_place(kind))
    if kind is OriginalKind.GGUF:
        return Original(kind, place)
    if kind is OriginalKind.CHECKPOINT:
        named_file = split_file(text)[1]
        source = place if place.startswith(LOCAL) else text
        return Original(OriginalKind.GGUF if named_file else kind, source)
    path = Path(text)
    if path.is_file():
        return Original(OriginalKind.GGUF, text) if path.suffix.lower() == SUFFIX else None
    if path.is_dir() and not colon:
        return _in_folder(path)
    return None


def _without_place(kind: OriginalKind) -> str:
    if kind is OriginalKind.GGUF:
        return (
            "--reference gguf does not say where the file is. Write gguf:FILE.gguf, gguf:FOLDER or "
            "hf:owner/repo:FILE.gguf."
        )
    return (
        "--reference hf does not say where the checkpoint is. Write hf:owner/repo[@revision], or the folder "
        "that has config.json and model.safetensors."
    )


def _in_folder(folder: Path) -> Original | None:
    if any(folder.glob("*.safetensors")) and (folder / CONFIG).is_file():
        return Original(OriginalKind.CHECKPOINT, str(folder))
    if is_wanted({path.name: path for path in folder.iterdir()}, None):
        return Original(OriginalKind.GGUF, str(folder))
    return None


def write_float_reference(original: Original, into: Path, settings: Settings, report: Report) -> Path:
    """Write the original in float32 as a deployment below `into`, a folder of its own, and return its folder.

    Raises `ImporterError` where the original cannot be read or its architecture is not supported.
    """
    options = AddOptions(NAME, into, opens=False, in_float=True)
    alone = replace(settings, models=(into,), defaults=())

    def said(sentence: str) -> None:
        # It is opened when it is measured: what an unopened deployment lacks is of no use here.
        if "--no-open" not in sentence:
            report(sentence)

    if original.kind is OriginalKind.CHECKPOINT:
        return convert(parse(original.source), ConvertOptions(precision="fp32"), options, alone, said)
    return _add_gguf(original.source, options, alone, said)


def _add_gguf(text: str, options: AddOptions, settings: Settings, report: Report) -> Path:
    address, file = split_file(text)
    source = parse(address)
    with reserved(options, settings):
        files = files_of_source(source, downloads_folder(options), settings, report)
        # By name, because a GGUF file that is not named is passed over where there is a graph beside it.
        wanted = file or _only_model(files, text)
        chosen = replace(options, plan_options=PlanOptions(wanted))
        with graphs_of(files, chosen, report) as (graph_files, graph_options):
            return add_files(graph_files, graph_options, settings, report)


def _only_model(files: SourceFiles, text: str) -> str:
    """Return the path of a source's GGUF model. Raises `ImporterError` where it has none, or several."""
    models = offered(files.listing)
    if not models:
        raise ImporterError(f"There is no GGUF file in {text}, where --reference looks for one.")
    if len(models) > 1:
        paths = ", ".join(one.paths[0] for one in models)
        raise ImporterError(f"{text} has {len(models)} GGUF models: {paths}. Name one in --reference.")
    return models[0].paths[0]

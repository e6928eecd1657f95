"""The plan of an import: the files of a source that a deployment needs, and their names in it.

A deployment is flat: the graphs, with their external data where they look for it, and next to them the small
files that describe the model. These are looked up in the graph's folder first, then in the folders above it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from inference.importer.findings import ImporterError, Report, format_size, reported
from inference.importer.graph_choice import (
    GENAI_CONFIG,
    GraphReader,
    by_path,
    choose_graph,
    named_decoders,
)
from inference.importer.sources import Listing, SourceFiles
from inference.importer.variants import Processor, Variant, choose, variants

SIDE_FILES = (
    "config.json",
    "generation_config.json",
    "genai_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "preprocessor_config.json",
    "processor_config.json",
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "README.md",
)
MODULE_FILE = re.compile(
    r"\d+_\w+/(config\.json|model\.safetensors)|sentence_\w+_config\.json|additional_chat_templates/[\w-]+\.jinja"
)
"""Files with names of their own: those of sentence-transformers' modules, of which Dense and LayerNorm have
weights, its older configs, named after a model's family, and named chat templates."""
MAX_SIDE_FILE = 256 * 1024 * 1024
"""Bytes; tokenizer.json, the largest of them, has some tens of MB."""

VISION, TEXT, MODEL = "vision", "text_model", "model"
ROLES = (
    ("vision_model", VISION),
    ("visual", VISION),
    ("text_model", TEXT),
    ("textual", TEXT),
    ("decoder_model_merged", "decoder_merged"),
    ("decoder_with_past", "decoder_with_past"),
    ("decoder_model", "decoder"),
    ("encoder_model", "encoder"),
    ("embed_tokens", "part"),
    ("vision_encoder", "part"),
    ("audio_encoder", "part"),
)
"""Roles of graphs by the prefix of their names; the first match counts, `MODEL` is the default."""
DECODER_ROLES = ("decoder_merged", "decoder_with_past", TEXT, "decoder")
"""Roles that are a model's only graph where there is no `MODEL`, the best first."""


class PartsOnly(ImporterError):
    """The graphs of a source are parts of a model that no backend runs."""


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """Limits of the choice among variants: one by name or precision, and the bytes of its files."""

    variant: str | None = None
    budget: int = 1 << 62


@dataclass(frozen=True, slots=True)
class FilePlan:
    """The chosen graphs by role, and all files from their path in the source to their path here."""

    graphs: Mapping[str, Variant]
    files: Mapping[str, str]
    fetched: Mapping[str, Path]
    """Those of the files that were fetched to be read."""


def plan(files: SourceFiles, options: PlanOptions, processor: Processor, report: Report) -> FilePlan:
    """Choose the graphs and side files of a source.

    Raises `PartsOnly` where none of its graphs is a whole model, and `ImporterError` where none fits the
    options; `advice.require_graph` has found that there are some.
    """
    reader = GraphReader(files, report)
    graphs = _choose_graphs(reader, options, processor)
    folder = PurePosixPath(next(iter(graphs.values())).path).parent
    chosen = {**dict(_side_files(files.listing, folder)), **by_path(graphs)}
    if len(set(chosen.values())) < len(chosen):
        raise ImporterError(
            "Two of the chosen files have the same name, and a deployment has one folder. "
            "Add a folder that holds one model only."
        )
    fetched = {path: local for path, local in reader.fetched.items() if path in chosen}
    return FilePlan(graphs, chosen, fetched)


def _choose_graphs(reader: GraphReader, options: PlanOptions, processor: Processor) -> dict[str, Variant]:
    offered = variants(reader.files.listing)
    groups = _groups(offered, reported(named_decoders(reader, offered), reader.report))
    generates = VISION not in {_role(one) for one in groups[MODEL]} and _seems_to_generate(
        reader.files.listing, groups[MODEL]
    )
    best = partial(choose, wanted=options.variant, processor=processor, budget=options.budget)
    return {role: choose_graph(group, reader, best, generates=generates) for role, group in groups.items()}


def _groups(offered: Sequence[Variant], named: Sequence[Variant]) -> Mapping[str, Sequence[Variant]]:
    """Return the variants of each graph that the deployment has, by its role.

    Raises `PartsOnly` for an encoder-decoder.
    """
    if named:
        return {MODEL: named}
    by_role: dict[str, list[Variant]] = {}
    for one in offered:
        by_role.setdefault(_role(one), []).append(one)
    if VISION in by_role:
        return {MODEL: by_role[VISION], **({TEXT: by_role[TEXT]} if TEXT in by_role else {})}
    return {MODEL: _main_graphs(by_role, offered)}


def _main_graphs(by_role: Mapping[str, list[Variant]], offered: Sequence[Variant]) -> list[Variant]:
    """Return the variants of the main graph. Raises `ImporterError` for an encoder-decoder."""
    for role in (MODEL, *DECODER_ROLES):
        if role in by_role:
            if "encoder" in by_role and role != MODEL:
                break
            return by_role[role]
    if "encoder" in by_role and not by_role.keys() & set(DECODER_ROLES):
        return by_role["encoder"]
    raise PartsOnly(
        f"The graphs are parts of a model that no backend runs: {', '.join(one.path for one in offered)}. "
        "Decoders, text encoders and image encoders are supported."
    )


def _role(one: Variant) -> str:
    return next((role for prefix, role in ROLES if one.stem.startswith(prefix)), MODEL)


def _seems_to_generate(listing: Listing, group: Sequence[Variant]) -> bool:
    """Return the guess of file names, until a graph is read: True for a decoder."""
    names = {PurePosixPath(path).name for path in listing}
    return bool(names & {"generation_config.json", GENAI_CONFIG}) or any(
        "decoder" in one.stem for one in group
    )


def _side_files(listing: Listing, graph_folder: PurePosixPath) -> Iterator[tuple[str, str]]:
    """Yield path and name of each side file; of several with one name the nearest to the graph."""
    taken: set[str] = set()
    for folder in dict.fromkeys([graph_folder, *graph_folder.parents]):
        for path, name in _side_files_in(folder, listing):
            if name in taken:
                continue
            if listing[path].size > MAX_SIDE_FILE:
                raise ImporterError(
                    f"{path} has {format_size(listing[path].size)}; such a file may have "
                    f"{format_size(MAX_SIDE_FILE)}. Remove it from the source if it is not the model's."
                )
            taken.add(name)
            yield path, name


def _side_files_in(folder: PurePosixPath, listing: Listing) -> Iterator[tuple[str, str]]:
    for path in listing:
        name = path if folder == PurePosixPath() else path.removeprefix(f"{folder}/")
        if str(folder / name) == path and (name in SIDE_FILES or MODULE_FILE.fullmatch(name)):
            yield path, name

"""Which of a source's files a deployment needs, and what they are called in it.

A deployment is flat: the graphs with their data, and beside them the small files that describe the model.
These are looked for beside the graph first, then in the folders above it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from inference.importer.findings import ImporterError, Say, tell
from inference.importer.sources import Listing
from inference.importer.variants import Processor, Variant, choose, variants

SIDE_FILES = (
    "config.json",
    "generation_config.json",
    "genai_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "chat_template.json",
    "preprocessor_config.json",
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "README.md",
)
MODULE_FILE = re.compile(r"\d+_[A-Za-z]+/(config\.json|model\.safetensors)")
"""What sentence-transformers has of one step of a model; Dense and LayerNorm have weights."""
LARGEST_SIDE_FILE = 256 * 1024 * 1024
WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf", ".h5", ".msgpack")

VISION, TEXT, MODEL = "vision", "text_model", "model"


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What whoever adds a model asked for; bytes in `budget`."""

    variant: str | None = None
    budget: int = 1 << 62


@dataclass(frozen=True, slots=True)
class FilePlan:
    """`graphs` by role; `files` from the path in the source to the path in the deployment."""

    graphs: Mapping[str, Variant]
    files: Mapping[str, str]

    @property
    def size(self) -> int:
        return sum(graph.size for graph in self.graphs.values())


def plan(listing: Listing, wishes: PlanOptions, cpu: Processor, say: Say, *, source: str) -> FilePlan:
    """Chooses among a listing. Raises `ImporterError` that says what is missing and what would help."""
    graphs = _graphs(listing, wishes, cpu, say, source)
    beside = PurePosixPath(next(iter(graphs.values())).path).parent
    files = dict(_side_files(listing, beside))
    for graph in graphs.values():
        files |= {path: PurePosixPath(path).name for path in (graph.path, *graph.data)}
    if len(set(files.values())) < len(files):
        raise ImporterError("Two of the files would have the same name in the deployment's folder.")
    return FilePlan(graphs, files)


def _graphs(
    listing: Listing, wishes: PlanOptions, cpu: Processor, say: Say, source: str
) -> dict[str, Variant]:
    offered = variants(listing)
    if not offered:
        raise ImporterError(_no_graph(listing, source))
    roles: dict[str, list[Variant]] = {}
    for one in offered:
        roles.setdefault(_role(one), []).append(one)
    if VISION in roles:
        wanted = {MODEL: roles[VISION], **({TEXT: roles[TEXT]} if TEXT in roles else {})}
        generates = False
    else:
        wanted, generates = {MODEL: _main(roles, offered)}, _generates(listing, offered)
    return {
        role: tell(
            choose(group, generates=generates, wanted=wishes.variant, cpu=cpu, budget=wishes.budget), say
        )
        for role, group in wanted.items()
    }


def _main(roles: Mapping[str, list[Variant]], offered: Sequence[Variant]) -> list[Variant]:
    """The graphs to choose among; of an encoder-decoder there is none."""
    for role in (MODEL, "decoder_merged", "decoder_with_past", TEXT, "decoder"):
        if role in roles:
            if "encoder" in roles and role != MODEL:
                break
            return roles[role]
    raise ImporterError(
        f"The graphs are parts of a model that no backend runs: {', '.join(one.path for one in offered)}. "
        "There are backends for decoders, text encoders and image encoders."
    )


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
"""How a graph's name begins, and what it then is."""


def _role(one: Variant) -> str:
    return next((role for begin, role in ROLES if one.stem.startswith(begin)), MODEL)


def _generates(listing: Listing, offered: Sequence[Variant]) -> bool:
    """By names alone: only decoders come with such files."""
    marks = ("generation_config.json", "genai_config.json")
    names = {PurePosixPath(path).name for path in listing}
    return bool(names.intersection(marks)) or any("decoder" in one.stem for one in offered)


def _side_files(listing: Listing, beside: PurePosixPath) -> Iterator[tuple[str, str]]:
    """Path and name of each; the nearest one to the graph of those that have the same name."""
    taken: set[str] = set()
    for folder in dict.fromkeys([beside, *beside.parents]):
        for path, name in _described(listing, folder):
            if name in taken:
                continue
            if listing[path].size > LARGEST_SIDE_FILE:
                raise ImporterError(f"{path} has {listing[path].size} bytes, which no such file has.")
            taken.add(name)
            yield path, name


def _described(listing: Listing, folder: PurePosixPath) -> Iterator[tuple[str, str]]:
    for path in listing:
        name = path if folder == PurePosixPath() else path.removeprefix(f"{folder}/")
        if str(folder / name) == path and (name in SIDE_FILES or MODULE_FILE.fullmatch(name)):
            yield path, name


def _no_graph(listing: Listing, source: str) -> str:
    weights = sorted(path for path in listing if path.endswith(WEIGHTS))
    if not weights:
        return f"There is no ONNX graph in {source}: none of its {len(listing)} files ends in .onnx."
    return (
        f"There is no ONNX graph in {source}, but weights of another framework ({weights[0]}). Make the "
        f"graph with `python -m inference models convert {source}`, or name a repository that has .onnx "
        "files."
    )

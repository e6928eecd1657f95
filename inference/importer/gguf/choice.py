"""The GGUF models that a source offers, and the choice among them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from inference.importer.findings import Finding, ImporterError, format_size
from inference.importer.gguf.parts import PART, parts_of
from inference.importer.sources import Listing

SUFFIX = ".gguf"
QUANTIZATION = re.compile(
    r"(?<![A-Za-z0-9])(I?Q\d(?:_[A-Z0-9]+)*|BF16|F16|F32|FP16|FP32)(?![A-Za-z0-9])", re.IGNORECASE
)
"""The name of a quantization within a file's name."""
OTHER_PARTS = ("mmproj", "imatrix", "lora", "adapter")
"""Beginnings of words in the names of files that are no model by themselves."""
PREFERENCE = (
    "Q4_K_M",
    "Q4_K_L",
    "Q4_K_S",
    "Q4_1",
    "Q4_0",
    "Q5_K_M",
    "Q5_K_S",
    "Q5_1",
    "Q5_0",
    "Q6_K",
    "Q8_0",
    "IQ4_NL",
    "IQ4_XS",
    "Q3_K_L",
    "Q3_K_M",
    "Q3_K_S",
    "Q2_K",
    "BF16",
    "F16",
    "FP16",
    "F32",
    "FP32",
)
"""Quantizations from the one that is taken where none is named: the best of four bits, which are the fastest,
then what comes closest to the original at 8 bits, which the IQ4 types take too."""


@dataclass(frozen=True, slots=True)
class Offered:
    """A GGUF model of a source: its quantization, its files in order, and their bytes."""

    paths: tuple[str, ...]
    quantization: str
    size: int

    @property
    def stem(self) -> str:
        """Name of the model's file, without the number of a part."""
        name = PurePosixPath(self.paths[0]).name
        part = PART.fullmatch(name)
        return part["stem"] if part else PurePosixPath(name).stem

    def is_named(self, wanted: str) -> bool:
        """Return True for a path, name, stem or quantization of this model."""
        last = wanted.rpartition("/")[2]
        names = {self.stem, *self.paths, *(PurePosixPath(path).name for path in self.paths)}
        return wanted in names or last in names or wanted.upper() == self.quantization


def offered(listing: Listing, wanted: str | None = None) -> list[Offered]:
    """Return the models of a listing by path.

    Projectors and adapters are none, unless nothing else is there or `wanted` is the name of one.

    Raises `ImporterError` for a split model of which a part is missing.
    """
    first_paths = dict.fromkeys(parts_of(path)[0] for path in _models(listing, wanted))
    return [_offered(path, listing) for path in first_paths]


def _models(listing: Mapping[str, object], wanted: str | None = None) -> list[str]:
    """Return the paths of models and their parts; where no name is a model's, what the files are decides."""
    files = sorted(path for path in listing if path.lower().endswith(SUFFIX))
    named = (wanted or "").rpartition("/")[2]
    return [path for path in files if not _is_other(path) or PurePosixPath(path).name == named] or files


def _is_other(path: str) -> bool:
    words = re.split(r"[^a-z0-9]+", PurePosixPath(path).name.lower())
    return any(word.startswith(OTHER_PARTS) for word in words)


def _offered(path: str, listing: Listing) -> Offered:
    paths = parts_of(path)
    if missing := [part for part in paths if part not in listing]:
        raise ImporterError(
            f"{missing[0]} is missing: the model has {len(paths)} parts. Put all of them into one folder."
        )
    named = QUANTIZATION.search(PurePosixPath(path).name) or QUANTIZATION.search(path)
    size = sum(listing[part].size for part in paths)
    return Offered(paths, named[1].upper() if named else "", size)


def choose(models: Sequence[Offered], wanted: str | None, budget: int) -> Finding[Offered]:
    """Choose a model: the named one, else the first of `PREFERENCE` within `budget` bytes.

    Raises `ImporterError` where there is none.
    """
    if wanted is not None:
        named = [one for one in models if one.is_named(wanted)]
        if not named:
            raise ImporterError(f"There is no variant {wanted}. The source has {_list(models)}.")
        return Finding(named[0], f"The GGUF file is {named[0].paths[0]} ({format_size(named[0].size)}).")
    suitable = [one for one in models if one.size <= budget]
    if not suitable:
        raise ImporterError(
            f"No GGUF file fits into {format_size(budget)}: {_list(models)}. Allow more with --memory MB, or "
            "name one with --variant."
        )
    best = min(suitable, key=_rank)
    if len(models) == 1:
        return Finding(best, f"The GGUF file is {best.paths[0]} ({format_size(best.size)}).")
    others = _list([one for one in models if one is not best])
    return Finding(
        best,
        f"The GGUF file is {best.paths[0]} ({format_size(best.size)}), chosen of {len(models)} by its "
        f"quantization and the memory. The others are {others}; --variant takes one of them.",
    )


def _rank(one: Offered) -> tuple[int, str]:
    known = {name: index for index, name in enumerate(PREFERENCE)}
    return known.get(one.quantization, len(known)), one.paths[0]


def _list(models: Sequence[Offered]) -> str:
    return ", ".join(
        f"{one.paths[0]} ({one.quantization or 'no quantization in its name'}, {format_size(one.size)})"
        for one in models
    )


def is_wanted(listing: Mapping[str, object], wanted: str | None) -> bool:
    """Return True where the models of a source are GGUF files: there is no graph, or one of them is named."""
    models = _models(listing)
    if not models:
        return False
    if wanted is None or not any(path.endswith(".onnx") for path in listing):
        return not any(path.endswith(".onnx") for path in listing)
    return wanted.endswith(SUFFIX) or (
        QUANTIZATION.fullmatch(wanted) is not None and any(wanted.upper() in path.upper() for path in models)
    )

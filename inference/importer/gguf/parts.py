"""Models that are split into several GGUF files: the names of their parts, and one header for all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from inference.importer.findings import ImporterError
from inference.importer.gguf.header import GgufHeader, GgufTensor, read_header

PART = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf", re.IGNORECASE)
MAX_PARTS = 999


def parts_of(path: str) -> tuple[str, ...]:
    """Return the paths of all parts of a model, one of which is given; a model in one file has one part."""
    match = PART.fullmatch(PurePosixPath(path).name)
    if match is None or not 0 < int(match["number"]) <= int(match["count"]) <= MAX_PARTS:
        return (path,)
    names = (f"{match['stem']}-{number:05}-of-{match['count']}.gguf" for number in _numbers(match["count"]))
    return tuple(str(PurePosixPath(path).with_name(name)) for name in names)


def _numbers(count: str) -> range:
    return range(1, int(count) + 1)


def read_parts(paths: Sequence[Path]) -> GgufHeader:
    """Read the headers of all parts of a model, in order, as one.

    Raises `ImporterError` as `read_header` does, and for parts that do not belong together.
    """
    headers = [read_header(path) for path in paths]
    for index, header in enumerate(headers):
        _require_place(header, index, len(headers))
    tensors: dict[str, GgufTensor] = {}
    for header in headers:
        for name, tensor in header.tensors.items():
            if name in tensors:
                raise ImporterError(
                    f"{tensors[name].path.name} and {header.path.name} both have {name}. {AGAIN}"
                )
            tensors[name] = tensor
    stated = headers[0].integer("split.tensors.count")
    if stated is not None and stated != len(tensors):
        raise ImporterError(
            f"{headers[0].path.name} states {stated} tensors, and its parts have {len(tensors)}. {AGAIN}"
        )
    return replace(headers[0], tensors=tensors)


AGAIN = "Take all parts of one model, from one place."


def _require_place(header: GgufHeader, index: int, count: int) -> None:
    """Raise `ImporterError` for a part that states another place than its name."""
    stated_count = header.integer("split.count") or 1
    stated_index = header.integer("split.no") or 0
    if stated_count == count and (stated_index == index or count == 1):
        return
    raise ImporterError(
        f"{header.path.name} is part {stated_index + 1} of {stated_count} of a model by its metadata, and "
        f"part {index + 1} of {count} by its name. Name the parts as they were, NAME-00001-of-0000N.gguf, "
        "and put all of them into one folder."
    )

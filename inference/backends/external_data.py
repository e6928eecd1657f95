"""Files of external data: the weights that a graph keeps in other files, by every place that it names.

A place is a path relative to the graph's folder. onnxruntime opens it in that folder and below, and through a
link only where the graph itself is a link into the same folder, as in the hub's cache.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

from inference.backends.onnx_header import read_header


class DataOutside(ValueError):
    """A graph keeps weights outside of its folder; the message says where."""


def data_paths(name: str, locations: Iterable[str]) -> list[str]:
    """Return the paths of external data below the folder of the graph `name`, each once, in order.

    Raises `DataOutside` for a place that is absolute or leads up.
    """
    paths = {str(PurePosixPath(place)) for place in locations if _is_below(place, name)}
    return sorted(paths)


def data_extents(name: str, extents: Mapping[str, int]) -> dict[str, int]:
    """Return the paths as `data_paths` does, each with the bytes that the file there has at least."""
    least = dict.fromkeys(data_paths(name, extents), 0)
    for place, size in extents.items():
        path = str(PurePosixPath(place))
        least[path] = max(least[path], size)
    return least


def _is_below(place: str, name: str) -> bool:
    # A backslash separates folders on Windows only, and nothing may lead out on either.
    forms = (PurePosixPath(place), PureWindowsPath(place))
    leads_out = any(form.root or ".." in form.parts for form in forms) or PurePath(place).drive
    if leads_out or not PurePosixPath(place).parts:
        raise DataOutside(f"{name} keeps weights in {place!r}, outside its own folder")
    return True


def linked_out(graph: Path, paths: Iterable[str]) -> Iterator[str]:
    """Yield the paths that lead out of the graph's folder through a link, as onnxruntime decides it."""
    folders = {graph.parent.resolve(), graph.resolve().parent}
    for path in paths:
        real = (graph.parent / path).resolve()
        if not any(real.is_relative_to(folder) for folder in folders):
            yield path


def data_files(graph: Path) -> list[Path]:
    """Return the files of a graph's external data, whether or not they exist.

    Raises `OSError`, `ValueError` for a file that is not ONNX, and of it `DataOutside`.
    """
    return [graph.parent / path for path in data_paths(graph.name, read_header(graph).locations)]


def files_of(graph: Path) -> list[Path]:
    """Return a graph's file and its files of external data; of a graph that cannot be read itself alone."""
    try:
        return [graph, *data_files(graph)]
    except (OSError, ValueError):
        return [graph]

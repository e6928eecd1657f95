"""Damage of graphs, looked for after a model was refused: which of a source's variants are intact."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from inference.backends.external_data import DataOutside, data_extents
from inference.backends.onnx_header import read_header
from inference.cards.card import CardError
from inference.importer.findings import ImporterError
from inference.importer.sources import FolderFiles, SourceFiles
from inference.importer.variants import Variant, variants

MOST_NAMED = 3


@contextmanager
def naming_intact(
    files: SourceFiles, chosen: Collection[Variant], fetched: Mapping[str, Path]
) -> Iterator[None]:
    """Add the variants that are intact to an error of the block, where a chosen one is damaged.

    A `CardError`, of a file that the card was to be made from, becomes an `ImporterError`.
    """
    try:
        yield
    except (ImporterError, CardError) as error:
        damages = {one.path: damage_of(fetched[one.path]) for one in chosen if one.path in fetched}
        found = {path: damage for path, damage in damages.items() if damage}
        if not found:
            raise ImporterError(str(error) if isinstance(error, ImporterError) else f"{error}.") from error
        damage = "; ".join(f"{path} {what}" for path, what in found.items())
        raise ImporterError(f"{error} {_sentence(damage)} {_hint(files, found)}") from error


def _sentence(damage: str) -> str:
    return f"The cause: {damage}."


def _hint(files: SourceFiles, damaged: Collection[str]) -> str:
    others = [one for one in variants(files.listing) if one.path not in damaged]
    if isinstance(files, FolderFiles):
        others = [one for one in others if damage_of(files.root / one.path) is None]
    if not others:
        return "No other variant of it is intact: download or export it again."
    named = ", ".join(one.path for one in others[:MOST_NAMED])
    state = "intact" if isinstance(files, FolderFiles) else "there too"
    return f"{named} {'is' if len(others) == 1 else 'are'} {state}: --variant {others[0].path}."


def damage_of(path: Path) -> str | None:
    """Return what is wrong with the file of a graph or its external data, None where they are whole."""
    try:
        header = read_header(path)
        least = data_extents(path.name, header.extents)
    except DataOutside:
        return "keeps weights outside its own folder"
    except (OSError, ValueError):
        return "is not a readable ONNX file"
    if not header.operators:
        return "has no nodes: it is cut off, or no graph"
    sizes = ((name, bytes_of(path.parent / name), size) for name, size in least.items())
    return next((damage for name, found, size in sizes if (damage := data_damage(name, found, size))), None)


def bytes_of(path: Path) -> int | None:
    """Return the bytes of a file, None where there is none."""
    try:
        return path.stat().st_size if path.is_file() else None
    except (OSError, ValueError):
        return None


def data_damage(name: str, size: int | None, least: int) -> str | None:
    """Return what is wrong with a file of external data of this size, None for nothing."""
    if size is None:
        return f"keeps its weights in {name}, which is missing"
    return f"keeps {least} bytes of weights in {name}, which has {size}" if size < least else None

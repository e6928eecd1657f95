"""Damage of graphs, looked for after a model was refused: which of a source's variants are intact."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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
    import onnx

    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception:  # noqa: BLE001  any bytes may be there
        return "is not a readable ONNX file"
    if not model.graph.node:
        return "has no nodes: it is cut off, or no graph"
    for name, least in _data_sizes(model.graph).items():
        try:
            size = (path.parent / name).stat().st_size
        except (OSError, ValueError):
            return f"keeps its weights in {name}, which is missing"
        if size < least:
            return f"keeps {least} bytes of weights in {name}, which has {size}"
    return None


def _data_sizes(graph: Any) -> dict[str, int]:
    """Return the least size of each file of external data, by its location."""
    sizes: dict[str, int] = {}
    for tensor in graph.initializer:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        if location := entries.get("location"):
            end = sum(int(entries[key]) for key in ("offset", "length") if entries.get(key, "").isdigit())
            sizes[location] = max(sizes.get(location, 0), end)
    return sizes

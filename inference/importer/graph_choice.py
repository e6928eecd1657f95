"""The choice of a source's graphs: which are meant, which variant of each, and the data that belongs to it.

What a graph is and where its weights are is written in the graph. A listing has names and sizes only, so that
names are guesses: the graph they lead to is fetched and read, and where it says otherwise the choice is made
again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Protocol

from inference.backends.external_data import linked_out
from inference.backends.onnx_header import OnnxHeader
from inference.cards.json_files import inner_object
from inference.importer.findings import Finding, ImporterError, Report, reported
from inference.importer.graph_facts import external_data, header_of
from inference.importer.lfs import MAX_POINTER
from inference.importer.model_folder import read_object
from inference.importer.sources import FolderFiles, SourceFiles
from inference.importer.variants import OTHER_HARDWARE, Variant, list_variants, words_of

GENAI_CONFIG = "genai_config.json"


class Choose(Protocol):
    """A choice among variants by processor and memory, or by the user's wish."""

    def __call__(self, offered: Sequence[Variant], *, generates: bool) -> Finding[Variant]:
        """Choose one. Raises `ImporterError` where none is suitable."""
        ...


@dataclass(frozen=True, slots=True)
class GraphReader:
    """Graphs of a source that are fetched to be read; `fetched` has the files that are here by now."""

    files: SourceFiles
    report: Report
    fetched: dict[str, Path] = field(default_factory=dict)
    headers: dict[str, OnnxHeader] = field(default_factory=dict)

    def local(self, path: str) -> Path:
        """Return a file of the source on this machine. Raises `ImporterError` where it cannot be fetched."""
        if path not in self.fetched:
            self.fetched.update(self.files.fetch([path]))
        return self.fetched[path]

    def header(self, path: str) -> OnnxHeader:
        """Return the header of a graph. Raises `ImporterError` where it cannot be fetched or read."""
        if path not in self.headers:
            self.headers[path] = header_of(self.local(path))
        return self.headers[path]

    def exact(self, variant: Variant) -> Variant:
        """Return a variant with the data that its graph names, and their size.

        Raises `ImporterError` for a graph that cannot be read, and for data that is missing or outside.
        """
        graph, folder = self.local(variant.path), PurePosixPath(variant.path).parent
        inside = external_data(graph, self.header(variant.path))
        for path in linked_out(graph, inside):
            raise ImporterError(
                f"{variant.path} keeps weights in {path}, which is a link out of its own folder. Put the "
                "file itself there."
            )
        sizes = {str(folder / path): self._size(str(folder / path)) for path in inside}
        if missing := [path for path, size in sizes.items() if size is None]:
            raise ImporterError(
                f"{variant.path} keeps its weights in {', '.join(missing)}, and that file is missing. Put it "
                "there and add the model again."
            )
        for path, least in inside.items():
            self._require_whole(variant.path, str(folder / path), sizes[str(folder / path)] or 0, least)
        size = self.files.listing[variant.path].size + sum(size or 0 for size in sizes.values())
        return replace(variant, data=tuple(sizes), size=size)

    def _require_whole(self, graph: str, path: str, size: int, least: int) -> None:
        """Raise `ImporterError` for a file of data that is shorter than its graph says.

        A hub may leave sizes out, as 0.
        """
        if size >= least or not (size or isinstance(self.files, FolderFiles)):
            return
        if size <= MAX_POINTER:
            self.local(path)  # refuses a Git LFS pointer, which is as short
        raise ImporterError(
            f"{graph} keeps {least} bytes of weights in {path}, which has {size}: it is cut off. Download or "
            "export it again."
        )

    def _size(self, path: str) -> int | None:
        """Return the bytes of a file of data; None where the source has none."""
        if path in self.files.listing:
            return self.files.listing[path].size
        # A folder's listing leaves hidden files out, and a graph may name one.
        local = self.files.root / path if isinstance(self.files, FolderFiles) else None
        return local.stat().st_size if local is not None and local.is_file() else None


def choose_graph(
    group: Sequence[Variant], reader: GraphReader, choose: Choose, *, generates: bool
) -> Variant:
    """Choose the variant of one graph, with the data that it names, and report the choice.

    `generates` is a guess, until the first graph that was read says what they are. Raises `ImporterError`
    where none is suitable or the chosen one is damaged.
    """
    offered, known = {one.path: one for one in group}, False
    while True:
        found = choose(list(offered.values()), generates=generates)
        exact = _exact(found.value, group, reader)
        truth = generates if known else reader.header(exact.path).generates
        if exact == found.value and truth == generates:
            return reported(found, reader.report)
        # Each round corrects one variant or, once, what the graphs are.
        generates, known = truth, True
        offered[exact.path] = exact


def _exact(chosen: Variant, group: Sequence[Variant], reader: GraphReader) -> Variant:
    try:
        return reader.exact(chosen)
    except ImporterError as error:
        whole = list(_whole([one for one in group if one != chosen], reader))
        if not whole:
            raise
        raise ImporterError(
            f"{error} The source also has {list_variants(whole)}; --variant takes one of them."
        ) from None


def _whole(others: Sequence[Variant], reader: GraphReader) -> Iterator[Variant]:
    """Yield the variants that are intact; those of a source that is far away are not fetched for that."""
    for one in others:
        if not isinstance(reader.files, FolderFiles):
            yield one
            continue
        try:
            yield reader.exact(one)
        except ImporterError:
            continue


def named_decoders(reader: GraphReader, offered: Sequence[Variant]) -> Finding[Sequence[Variant]]:
    """Return the graphs that the builder's configurations name as decoders; none without a configuration."""
    listing, paths, absent = reader.files.listing, set(), ""
    for config in (path for path in listing if PurePosixPath(path).name == GENAI_CONFIG):
        folder = PurePosixPath(config).parent
        if words_of(str(folder)) & OTHER_HARDWARE or not (name := _decoder_file(reader.local(config))):
            continue
        if (graph := str(folder / name)) in listing:
            paths.add(graph)
        else:
            absent = f"{config} names {name} as the decoder, and there is no such file: it is chosen by name."
    return Finding([one for one in offered if one.path in paths], "" if paths else absent)


def _decoder_file(config: Path) -> str:
    """Return the decoder's file by a genai_config.json; empty where it names none or cannot be read."""
    try:
        decoder = inner_object(inner_object(read_object(config), "model"), "decoder")
    except ImporterError:
        return ""
    name = decoder.get("filename")
    return name if isinstance(name, str) else ""


def by_path(variants: Mapping[str, Variant]) -> Mapping[str, str]:
    """Return the chosen files by their path in the source, each with its path below the deployment's folder.

    A graph is at its root, and its data where the graph looks for it.
    """
    files: dict[str, str] = {}
    for one in variants.values():
        folder = PurePosixPath(one.path).parent
        files |= {path: str(PurePosixPath(path).relative_to(folder)) for path in (one.path, *one.data)}
    return files

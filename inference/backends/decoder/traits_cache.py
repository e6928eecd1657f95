"""The traits of graphs on the local disk, so that the next start need not probe them again.

INFERENCE_CACHE/traits/KEY-THREADS-ROWS-LENGTH.json
"""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from dataclasses import asdict, fields
from pathlib import Path
from uuid import uuid4

from pydantic import TypeAdapter
from pydantic_core import from_json

from inference.backends.decoder.probe import ROWS
from inference.backends.decoder.row_decoder import GraphTraits
from inference.backends.prepared_graphs import MIN_BYTES, identity, size_of
from inference.engine.kv_cache import KVCache
from inference.settings import Settings
from inference.settings.machine import available_processors

log = logging.getLogger(__name__)

TRAITS: TypeAdapter[GraphTraits] = TypeAdapter(GraphTraits)
FIELDS = frozenset(field.name for field in fields(GraphTraits))


class TraitsCache:
    """The cached traits of one graph over one cache, with this machine's processor and threads."""

    def __init__(self, graph: Path, cache: KVCache, settings: Settings) -> None:
        threads = settings.threads or available_processors()
        name = f"{identity(graph, settings)}-{threads}-{min(cache.rows, ROWS)}-{cache.length}.json"
        self._file = settings.cache_folder / "traits" / name
        self._enabled = size_of(graph) >= MIN_BYTES

    def find(self) -> GraphTraits | None:
        """Return the traits that an earlier start stored; None without, or where the file is of no use."""
        if not self._enabled:
            return None
        try:
            content = self._file.read_bytes()
            complete = from_json(content).keys() == FIELDS
            return TRAITS.validate_json(content, strict=True) if complete else None
        except (OSError, ValueError, AttributeError):
            return None

    def store(self, traits: GraphTraits) -> None:
        """Store traits for the next start; where the disk refuses them, that start probes again."""
        if not self._enabled:
            return
        partial = self._file.with_name(f".{self._file.name}-{uuid4().hex}")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps(asdict(traits)))
            partial.replace(self._file)
        except OSError as error:
            log.info("The traits of the graph are not stored: %s", error)
            with suppress(OSError):
                partial.unlink()

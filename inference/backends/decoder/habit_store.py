"""What a trial found out about a graph, kept on the local disk so that the next start need not run it.

    INFERENCE_CACHE/habits/KEY.json

It holds for one kind of processor, one version of onnxruntime, a number of threads and a shape of the cache:
all are in the key, with the identity of the graph's files. A file that cannot be read, or says something else
than habits, is as good as none. Of a small graph nothing is kept: its trial takes milliseconds.
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
from inference.backends.prepared_graphs import WORTH, identity, size_of
from inference.engine.kv_cache import KVCache
from inference.settings import Settings
from inference.settings.machine import processors

log = logging.getLogger(__name__)

KEPT: TypeAdapter[GraphTraits] = TypeAdapter(GraphTraits)


class TraitsCache:
    """The habits of one graph over one cache."""

    def __init__(self, graph: Path, cache: KVCache, settings: Settings) -> None:
        threads = settings.threads or processors()
        name = f"{identity(graph, settings)}-{threads}-{min(cache.rows, ROWS)}-{cache.length}.json"
        self._file = settings.cache_folder / "habits" / name
        self._worth = size_of(graph) >= WORTH

    def find(self) -> GraphTraits | None:
        """What an earlier start found out."""
        if not self._worth:
            return None
        try:
            found = self._file.read_bytes()
            whole = from_json(found).keys() == {field.name for field in fields(GraphTraits)}
            return KEPT.validate_json(found, strict=True) if whole else None
        except (OSError, ValueError, AttributeError):
            return None

    def keep(self, habits: GraphTraits) -> None:
        """For the next start; a disk that does not take it costs that start the trial."""
        if not self._worth:
            return
        made = self._file.with_name(f".{self._file.name}-{uuid4().hex}")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            made.write_text(json.dumps(asdict(habits)))
            made.replace(self._file)
        except OSError as error:
            log.info("What the trial found out is not kept: %s", error)
            with suppress(OSError):
                made.unlink()

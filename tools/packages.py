"""The locked packages in a folder, as they run on a target, whatever machine this is."""

from __future__ import annotations

import importlib.metadata as metadata
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from tools.target import Target

PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"
UNAVAILABLE = re.compile(r"No matching distribution found for (\S+)")


class PackagesError(Exception):
    """The packages are not installed; the message is a sentence that names the one at fault."""


def install(lock: Path, target: Target, folder: Path) -> None:
    """Install the packages of a lock into `folder`; raises `PackagesError`."""
    with TemporaryDirectory() as work:
        chosen = Path(work) / "requirements.txt"
        chosen.write_text("\n".join(requirements(lock.read_text(encoding="utf-8"), target)), encoding="utf-8")
        command = pip_command(chosen, target, folder)
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 our own words
    if done.returncode:
        raise PackagesError(sentence(done.stderr, target))
    if unfit := next(refusing(folder, target), None):
        raise PackagesError(f"{unfit} does not support {target}: package for another Python with --python.")


def write_sbom(lock: Path, target: Target, out: Path) -> None:
    """Write the packages of a lock as a CycloneDX 1.6 document, with the app as its subject.

    The same lock gives the same bytes. Raises `PackagesError`.
    """
    chosen = "\n".join(requirements(lock.read_text(encoding="utf-8"), target))
    command = [
        *(sys.executable, "-m", "cyclonedx_py", "requirements", "-", "--output-reproducible", "--of", "JSON"),
        *("--pyproject", str(PYPROJECT), "--output-file", str(out)),
    ]
    done = subprocess.run(  # noqa: S603 our own words
        command, input=chosen, capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "no reason")
        raise PackagesError(f"cyclonedx-bom, of the extra `dev`, could not write {out.name}: {last}")


def requirements(lock: str, target: Target) -> Iterator[str]:
    """Yield the lines of a lock that hold on the target, with their hashes and without markers.

    pip itself compares markers with the Python that it runs on, even where it installs for another one.
    """
    text = re.sub(r"^\s*#.*\n", "", lock, flags=re.MULTILINE).replace("\\\n", " ")
    for line in filter(None, map(str.strip, text.splitlines())):
        pin, *hashes = re.split(r"\s+(?=--hash=)", line)
        wanted = Requirement(pin)
        if wanted.marker is None or wanted.marker.evaluate(target.markers):
            yield " ".join([pin.partition(";")[0].strip(), *hashes])


def pip_command(chosen: Path, target: Target, folder: Path) -> Sequence[str]:
    """Return pip's arguments. The lock is complete, so that nothing is resolved.

    pip older than 24 compares Requires-Python with the Python that it runs on; `refusing` does it instead.
    """
    return [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"),
        *("--require-hashes", "--no-deps", "--only-binary", ":all:", "--ignore-requires-python"),
        *("--implementation", "cp", "--python-version", target.python),
        *(word for tag in target.tags for word in ("--platform", tag)),
        *("--target", str(folder), "--requirement", str(chosen)),
    ]


def refusing(folder: Path, target: Target) -> Iterator[str]:
    """Yield the installed packages whose metadata excludes the target's Python, with their versions."""
    for found in metadata.distributions(path=[str(folder)]):
        wanted = SpecifierSet(found.metadata.json.get("requires_python", ""))
        if not wanted.contains(target.markers["python_full_version"]):
            yield f"{found.name}=={found.version}"


def sentence(stderr: str, target: Target) -> str:
    """Return the reason for pip's failure in one sentence."""
    if found := UNAVAILABLE.search(stderr):
        return (
            f"{found[1]} has no wheel for {target}: pin another version of it in requirements.txt and run "
            "make lock, or package for another Python with --python."
        )
    errors = [
        line.removeprefix("ERROR:").strip() for line in stderr.splitlines() if line.startswith("ERROR:")
    ]
    return f"pip could not install the packages: {(errors or ['it gave no reason'])[-1]}"

"""`python -m tools.package`: the app with its packages in one zip, as Flex Consumption takes it.

The packages are those of `infra/requirements.lock` for the plan's Python on Linux, whatever machine this runs
on. What comes out is measured against the plan's disk before it is zipped.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.packages import PackagesError, install, write_sbom
from tools.target import DEFAULT_PYTHON, GLIBC_MINOR, Target

PROJECT = Path(__file__).resolve().parent.parent
LOCK = PROJECT / "infra" / "requirements.lock"
OUT = PROJECT / "build" / "package"
PACKAGES = Path(".python_packages/lib/site-packages")
"""Where the Functions worker looks for packages."""

DISK_BYTES = 800_000_000
"""An instance's disk: the unpacked app and everything it writes."""
RESERVE_BYTES = 100_000_000
"""Left for what is written while it runs."""
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every entry of the zip, so that the same files give the same zip."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """A `.funcignore` as Core Tools reads it: beginnings of paths, `**` across folders, `!` above all."""

    left_out: Sequence[re.Pattern[str]]
    kept: Sequence[re.Pattern[str]]

    @classmethod
    def read(cls, text: str) -> Ignored:
        lines = [line.strip() for line in text.splitlines()]
        said = [line for line in lines if line and not line.startswith("#")]
        kept = [_pattern(line[1:]) for line in said if line.startswith("!")]
        return cls([_pattern(line) for line in said if not line.startswith("!")], kept)

    def accepts(self, path: Path) -> bool:
        """Return whether a path relative to the root is deployed."""
        text = path.as_posix()
        return any(p.match(text) for p in self.kept) or not any(p.match(text) for p in self.left_out)


def _pattern(line: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*|\*)", line.removeprefix("/"))
    meaning = {"**": ".+", "*": "[^/]+"}
    return re.compile("".join(meaning.get(part) or re.escape(part) for part in parts))


def app_files(root: Path = PROJECT) -> Iterator[Path]:
    """Yield the files that are deployed, relative to the root, sorted by name."""
    yield from _accepted(root, Path(), Ignored.read((root / ".funcignore").read_text(encoding="utf-8")))


def _accepted(root: Path, folder: Path, ignored: Ignored) -> Iterator[Path]:
    for path in sorted((root / folder).iterdir()):
        relative = path.relative_to(root)
        if not ignored.accepts(relative):
            continue
        if path.is_dir():
            yield from _accepted(root, relative, ignored)
        else:
            yield relative


def copy_app(root: Path, out: Path) -> None:
    """Copy the app's files into an empty folder."""
    shutil.rmtree(out, ignore_errors=True)
    for path in app_files(root):
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / path, out / path)


def measure(root: Path, files: Iterable[Path]) -> dict[str, int]:
    """Return bytes by part: the app's code, its models by deployment, its packages."""
    sizes: dict[str, int] = {"app": 0}
    for path in files:
        parts = path.parts
        if path.is_relative_to(PACKAGES):
            part = "packages"
        else:
            part = "/".join(parts[:2]) if parts[0] == "models" and len(parts) > 2 else "app"
        sizes[part] = sizes.get(part, 0) + (root / path).stat().st_size
    return sizes


def report(sizes: Mapping[str, int]) -> str:
    """Return the sizes as a table, and the room that the plan leaves for further models."""
    total = sum(sizes.values())
    rows = [*sorted(sizes.items(), key=lambda row: -row[1]), ("together", total), ("left", room(sizes))]
    return "\n".join(f"{name:<32}{size / 1e6:>8.1f} MB" for name, size in rows)


def room(sizes: Mapping[str, int]) -> int:
    """Return the bytes that further models may take; negative: the package does not fit."""
    return DISK_BYTES - RESERVE_BYTES - sum(sizes.values())


def build(target: Target, out: Path) -> dict[str, int]:
    """Return the sizes of the app and its packages, laid out in `out`; raises `PackagesError`."""
    copy_app(PROJECT, out)
    install(LOCK, target, out / PACKAGES)
    return measure(out, (path.relative_to(out) for path in out.rglob("*") if path.is_file()))


def zip_folder(folder: Path, target: Path) -> None:
    """Write a folder's files into one zip that depends on nothing but their names and contents."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as package:
        for path in sorted(file for file in folder.rglob("*") if file.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), EPOCH)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            package.writestr(entry, path.read_bytes())


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 with the zip's path on stdout, or 1 with a sentence on stderr when there is none."""
    parser = argparse.ArgumentParser(prog="python -m tools.package", description=__doc__)
    parser.add_argument(
        "--python",
        default=DEFAULT_PYTHON,
        choices=GLIBC_MINOR,
        help="Python of the plan (default %(default)s)",
    )
    options = parser.parse_args(arguments)
    try:
        sizes = build(Target(options.python), OUT)
        write_sbom(LOCK, Target(options.python), OUT.with_suffix(".cdx.json"))
    except PackagesError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(report(sizes) + "\n")
    if room(sizes) < 0:
        sys.stderr.write("The package does not fit: keep models out of it, or use infra/aca.\n")
        return 1
    zip_folder(OUT, OUT.with_suffix(".zip"))
    for made in (OUT.with_suffix(".zip"), OUT.with_suffix(".cdx.json")):
        sys.stdout.write(f"{made.relative_to(PROJECT)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

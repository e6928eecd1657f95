"""`python -m tools.package_smoke`: the package, served from its zip and asked everything.

It is built for the Python that runs this, because no other could load it, and put beside the package that is
deployed. Where no package can be loaded, on macOS say, it is built all the same and not served.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tools import package
from tools.packages import PackagesError
from tools.target import DEFAULT_PYTHON, Target, running

OUT = package.PROJECT / "build" / "package-smoke"
PYTHON = (sys.executable, "-s", "-S")
"""Without the packages of its own environment: those of the zip are to be enough."""
URL = re.compile(r"\s+(http://\S+)\n")
GREETING_ENDS = "Ctrl-C stops."
FOREIGN = ("INFERENCE_", "AZURE_", "PYTHON")
"""Beginnings of variables that would configure the endpoint or its Python."""
SECONDS = 120


class Failed(Exception):
    """The package does not serve; the message says what went wrong."""


def environment(folder: Path) -> dict[str, str]:
    """Return the variables under which the unpacked app finds its packages and nothing else."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    packages = str(folder / package.PACKAGES)
    return {**kept, "PYTHONPATH": packages, "PYTHONDONTWRITEBYTECODE": "1", "NO_PROXY": "127.0.0.1"}


@contextmanager
def serving(folder: Path, variables: Mapping[str, str]) -> Iterator[str]:
    """Yield the URL of the app in `folder`, served until the block ends; raises `Failed`."""
    command = [*PYTHON, "-m", "inference", "serve", "--port", "0"]
    process = subprocess.Popen(  # noqa: S603 our own words
        command, cwd=folder, env=dict(variables), stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            yield _url(process)
        finally:
            process.terminate()


def _url(process: subprocess.Popen[str]) -> str:
    """Return the URL in the greeting, after whose end connections are taken."""
    assert process.stdout is not None
    greeting = ""
    for line in process.stdout:
        greeting += line
        if GREETING_ENDS in line and (found := URL.search(greeting)):
            return found[1]
    raise Failed("The packaged app ended before it served; its reason stands above.")


def smoke(folder: Path) -> None:
    """Serve the app in `folder` and run the smoke test, both with its own packages; raises `Failed`."""
    variables = environment(folder)
    with serving(folder, variables) as url:
        command = [*PYTHON, "-m", "inference", "smoke", url]
        done = subprocess.run(command, cwd=folder, env=variables, timeout=SECONDS, check=False)  # noqa: S603
    if done.returncode:
        raise Failed("The packaged app does not answer as it should; the table above says where.")


def main() -> int:
    """Return 0 when the package serves or cannot be loaded here, or 1 with a sentence on stderr."""
    here = running()
    try:
        package.build(here or Target(DEFAULT_PYTHON), OUT)
        if here is None:
            sys.stdout.write(f"Packaged for {Target(DEFAULT_PYTHON)}, which this is not: not served.\n")
            return 0
        package.zip_folder(OUT, OUT.with_suffix(".zip"))
        with TemporaryDirectory() as folder:
            zipfile.ZipFile(OUT.with_suffix(".zip")).extractall(folder)
            smoke(Path(folder))
    except (PackagesError, Failed) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The imports of the package point one way: the layers stand in pyproject.toml."""

from __future__ import annotations

import subprocess
import sys

from inference.settings import PROJECT

LINT = """
import sys
from importlinter.cli import lint_imports
sys.exit(lint_imports(sys.argv[1], cache_dir=None))
"""


def test_rooms_import_only_what_the_contracts_allow() -> None:
    # In a process of its own: it configures logging, which silences every logger that exists by then.
    command = [sys.executable, "-c", LINT, str(PROJECT / "pyproject.toml")]
    ended = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr

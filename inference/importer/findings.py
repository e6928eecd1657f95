"""Findings of the importer, each a value with the sentence that explains it, and its one error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar


class ImporterError(Exception):
    """A model cannot be imported and nothing was added; the message says why and what to do next."""


Value = TypeVar("Value")

Report: TypeAlias = Callable[[str], None]
"""Callback for the progress of an import, one sentence a call."""


@dataclass(frozen=True, slots=True)
class Finding(Generic[Value]):
    """A value of the card and the sentence that names its source; an empty sentence is not reported."""

    value: Value
    sentence: str


def reported(finding: Finding[Value], report: Report) -> Value:
    """Return the value of a finding after its sentence was reported."""
    if finding.sentence:
        report(finding.sentence)
    return finding.value


def install_hint(package: str) -> str:
    """Return the advice for a machine that lacks a package which importing models needs.

    It installs from the clone: the project is on no package index.
    """
    return (
        "Install the packages for importing models: run pip install -e '.[models]' in the clone of this "
        f"project (or pip install {package})."
    )


def format_size(size: int) -> str:
    """Return a number of bytes in MB of 10^6 bytes, as model hubs print it."""
    return f"{size / 1e6:.1f} MB" if size < 1e8 else f"{size / 1e6:,.0f} MB"

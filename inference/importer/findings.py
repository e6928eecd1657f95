"""Why a model could not be taken in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar


class ImporterError(Exception):
    """Nothing was added; the message says what is wrong and what to do next."""


def install_sentence(package: str) -> str:
    """Return the advice for a machine that lacks a package which adding models needs.

    It installs from the clone: the project is on no package index.
    """
    return (
        "Install what adding models needs: run pip install -e '.[models]' in the clone of this project "
        f"(or pip install {package})."
    )


Value = TypeVar("Value")

Say: TypeAlias = Callable[[str], None]
"""Takes a sentence for whoever watches."""


@dataclass(frozen=True, slots=True)
class Finding(Generic[Value]):
    """A value of the card and the sentence that says where it comes from; an empty one says nothing."""

    value: Value
    sentence: str


def tell(found: Finding[Value], say: Say) -> Value:
    """The value, its sentence said."""
    if found.sentence:
        say(found.sentence)
    return found.value


def megabytes(size: int) -> str:
    """A size as people say it: 10^6 bytes a MB."""
    return f"{size / 1e6:.1f} MB" if size < 1e8 else f"{size / 1e6:,.0f} MB"

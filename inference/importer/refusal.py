"""Why a model could not be taken in."""

from __future__ import annotations


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

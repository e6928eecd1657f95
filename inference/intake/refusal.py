"""Why a model could not be taken in."""

from __future__ import annotations


class IntakeError(Exception):
    """Nothing was added; the message says what is wrong and what to do next."""

"""A classifier on this machine as one who judges: opened with the first text, like any deployment."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from inference.contracts import Category, TextClassifier
from inference.errors import ApiError, SafetyUnavailable
from inference.safety.verdict import Checks, Finding, Verdict

if TYPE_CHECKING:
    from inference.contracts import Picture


class Classifier:
    """A `Moderator` by a deployment of type text-classification."""

    findings: frozenset[Finding] = frozenset()
    sees = False
    limited = False

    def __init__(
        self,
        name: str,
        categories: frozenset[Category],
        opened: Callable[[], AbstractAsyncContextManager[TextClassifier]],
    ) -> None:
        """`opened` gives the running model for the length of a block, loading it the first time."""
        self.name = name
        self.categories = categories
        self._opened = opened

    async def judge(self, text: str, checks: Checks) -> Verdict:
        if not checks.categories & self.categories:
            return Verdict()
        try:
            async with self._opened() as classifier:
                severities = await classifier.classify(text)
        except ApiError as error:
            raise SafetyUnavailable(f"The local content filter {self.name} cannot judge now.") from error
        asked = checks.categories & self.categories
        if missing := asked - severities.keys():
            raise SafetyUnavailable(f"The local content filter gave no severity of {', '.join(missing)}.")
        return Verdict({category: severities[category] for category in asked})

    async def look(self, picture: Picture, checks: Checks) -> Verdict:  # noqa: ARG002  it cannot see
        return Verdict()

    async def aclose(self) -> None:
        """The registry closes the model."""

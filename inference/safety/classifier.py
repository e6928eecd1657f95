"""A classifier on this machine as one who judges: opened with the first text, like any deployment."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from inference.contracts import HarmCategory, TextClassifier
from inference.errors import ApiError, SafetyUnavailable
from inference.safety.verdict import Detection, FilterChecks, Verdict

if TYPE_CHECKING:
    from inference.contracts import ImageArray


class ClassifierModerator:
    """A `Moderator` by a deployment of type text-classification."""

    findings: frozenset[Detection] = frozenset()
    sees = False
    limited = False

    def __init__(
        self,
        name: str,
        categories: frozenset[HarmCategory],
        opened: Callable[[], AbstractAsyncContextManager[TextClassifier]],
    ) -> None:
        """`opened` gives the running model for the length of a block, loading it the first time."""
        self.name = name
        self.categories = categories
        self._opened = opened

    async def judge(self, text: str, checks: FilterChecks) -> Verdict:
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

    async def look(self, picture: ImageArray, checks: FilterChecks) -> Verdict:  # noqa: ARG002  it cannot see
        return Verdict()

    async def aclose(self) -> None:
        """The registry closes the model."""

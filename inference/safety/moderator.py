"""Who judges: the one interface, and several behind it as one, of whom the stricter wins."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Protocol

from inference.contracts import HarmCategory, TextClassifier
from inference.errors import ApiError, SafetyUnavailable
from inference.safety.text_splitting import split
from inference.safety.verdict import Detection, FilterChecks, Verdict, worst

if TYPE_CHECKING:
    from inference.contracts import ImageArray

ALL = frozenset(HarmCategory)
AT_ONCE = 64
"""Checks of this process that are under way together; further ones wait for their turn."""


class Moderator(Protocol):
    """Judges texts and pictures. Raises `errors.SafetyUnavailable` when it cannot."""

    name: str
    categories: frozenset[HarmCategory]
    """What it can tell in texts; of others it says nothing."""
    findings: frozenset[Detection]
    sees: bool
    """Whether it can judge pictures."""

    @property
    def limited(self) -> bool:
        """Whether it wants to be asked less often."""
        ...

    async def judge(self, text: str, checks: FilterChecks) -> Verdict:
        """What is in a text of at most `splitting.LIMIT` characters, of what it can tell."""
        ...

    async def look(self, picture: ImageArray, checks: FilterChecks) -> Verdict:
        """What is in a picture; asked only where it `sees`."""
        ...

    async def aclose(self) -> None: ...


class ModeratorEnsemble:
    """Several as one. Who cannot judge is noted in the verdict instead of raised: the others' word stands."""

    def __init__(self, members: Sequence[Moderator]) -> None:
        self.members = tuple(members)
        self._turn = asyncio.Semaphore(AT_ONCE)

    @property
    def limited(self) -> bool:
        return any(member.limited for member in self.members)

    @property
    def sees(self) -> bool:
        return any(member.sees for member in self.members)

    @property
    def categories(self) -> frozenset[HarmCategory]:
        """The categories that somebody judges."""
        return frozenset().union(*(member.categories for member in self.members))

    async def judge(self, text: str, checks: FilterChecks) -> Verdict:
        """What is in a text of any length: the worst of its pieces, as the strictest member sees them."""
        if not checks or not text.strip():
            return Verdict(dict.fromkeys(checks.categories & self.categories, 0))
        judging = [member.judge(piece, checks) for member in self.members for piece in split(text)]
        return worst(await asyncio.gather(*map(self._noted, judging)))

    async def look(self, picture: ImageArray, checks: FilterChecks) -> Verdict:
        """What is in a picture, as those see it who can."""
        looking = [member.look(picture, checks) for member in self.members if member.sees]
        return worst(await asyncio.gather(*map(self._noted, looking)))

    async def aclose(self) -> None:
        """Closes connections."""
        for member in self.members:
            await member.aclose()

    async def _noted(self, judging: Coroutine[Any, Any, Verdict]) -> Verdict:
        try:
            async with self._turn:
                return await judging
        except SafetyUnavailable as error:
            return Verdict(failure=error)


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

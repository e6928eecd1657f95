"""The interface of moderators, several of them as one, and the moderator by a classifier deployment."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TYPE_CHECKING, Protocol

from inference.contracts import HarmCategory, TextClassifier
from inference.errors import ApiError, SafetyUnavailable
from inference.safety.json_escapes import decoded_forms
from inference.safety.text_splitting import MAX_CHARACTERS, split_text
from inference.safety.verdict import Detection, FilterChecks, Verdict, merge

if TYPE_CHECKING:
    from inference.contracts import ImageArray

ALL_CATEGORIES = frozenset(HarmCategory)
MAX_CONCURRENT_CHECKS = 64
"""Checks of this process that run at the same time; further ones wait."""
FORM_SEPARATOR = "\n\n---\n\n"
"""The separator of a text and its decodings, which no phrase runs across."""
LONG_TEXT = 20_000
"""Characters from which a text is decoded in a thread."""


class Moderator(Protocol):
    """A judge of texts and images, which raises `SafetyUnavailable` when it cannot check them."""

    name: str
    categories: frozenset[HarmCategory]
    """Categories that it rates in texts; others are absent from its verdicts."""
    detections: frozenset[Detection]
    """Detections that it makes in texts."""
    checks_images: bool
    """True if it checks images."""

    @property
    def limited(self) -> bool:
        """True while it is rate limited and should be called less often."""
        ...

    async def judge(self, text: str, checks: FilterChecks) -> Verdict:
        """Return the verdict on a text of at most `text_splitting.MAX_CHARACTERS` characters."""
        ...

    async def judge_image(self, image: ImageArray, checks: FilterChecks) -> Verdict:
        """Return the verdict on an RGB image (height, width, 3) of uint8; called only if it `sees`."""
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...


class ModeratorEnsemble:
    """Several moderators as one: the strictest verdict wins.

    A moderator's failure is noted in the verdict instead of raised, so that the findings of the others count.
    """

    def __init__(self, members: Sequence[Moderator]) -> None:
        self.members = tuple(members)
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_CHECKS)

    @property
    def limited(self) -> bool:
        """True while any member is rate limited."""
        return any(member.limited for member in self.members)

    @property
    def checks_images(self) -> bool:
        """True if any member checks images."""
        return any(member.checks_images for member in self.members)

    @property
    def categories(self) -> frozenset[HarmCategory]:
        """The categories that at least one member rates."""
        return frozenset().union(*(member.categories for member in self.members))

    async def judge(self, text: str, checks: FilterChecks) -> Verdict:
        """Return the worst verdict of all members on all pieces of a text of any length.

        A text with escapes of JSON is judged as it is and as its readers decode it.
        """
        if not checks or not text.strip():
            return Verdict(dict.fromkeys(checks.categories & self.categories, 0))
        pieces = await asyncio.to_thread(_pieces, text) if len(text) > LONG_TEXT else _pieces(text)
        calls = [partial(member.judge, piece, checks) for member in self.members for piece in pieces]
        return merge(await asyncio.gather(*map(self._run, calls)))

    async def judge_image(self, image: ImageArray, checks: FilterChecks) -> Verdict:
        """Return the worst verdict of the members that check images."""
        calls = [
            partial(member.judge_image, image, checks) for member in self.members if member.checks_images
        ]
        return merge(await asyncio.gather(*map(self._run, calls)))

    async def aclose(self) -> None:
        """Close every member's connections."""
        for member in self.members:
            await member.aclose()

    async def _run(self, call: Callable[[], Awaitable[Verdict]]) -> Verdict:
        try:
            async with self._slots:
                return await call()
        except SafetyUnavailable as error:
            return Verdict(failure=error)


def _pieces(text: str) -> list[str]:
    """Return the pieces of a text and of its decodings, all in one piece if they fit."""
    forms = decoded_forms(text)
    joined = FORM_SEPARATOR.join(forms)
    if len(joined) <= MAX_CHARACTERS:
        return [joined]
    return [piece for form in forms for piece in split_text(form)]


class ClassifierModerator:
    """A `Moderator` by a deployment of type text-classification."""

    detections: frozenset[Detection] = frozenset()
    checks_images = False
    limited = False

    def __init__(
        self,
        name: str,
        categories: frozenset[HarmCategory],
        lease: Callable[[], AbstractAsyncContextManager[TextClassifier]],
    ) -> None:
        """Take the `lease` that keeps the running model open for a block, loading it the first time."""
        self.name = name
        self.categories = categories
        self._lease = lease

    async def judge(self, text: str, checks: FilterChecks) -> Verdict:
        """Return the severities of the checked categories that the model rates."""
        categories = checks.categories & self.categories
        if not categories:
            return Verdict()
        try:
            async with self._lease() as classifier:
                severities = await classifier.classify(text)
        except ApiError as error:
            raise SafetyUnavailable(
                f"The content filter's classifier {self.name} is not available; try again later."
            ) from error
        if missing := categories - severities.keys():
            raise SafetyUnavailable(
                f"The content filter's classifier {self.name} returned no severity of "
                f"{', '.join(sorted(missing))}; try again later."
            )
        return Verdict({category: severities[category] for category in categories})

    async def judge_image(self, image: ImageArray, checks: FilterChecks) -> Verdict:  # noqa: ARG002
        """Return no finding: a text classifier checks no images."""
        return Verdict()

    async def aclose(self) -> None:
        """Do nothing: the registry closes the model."""

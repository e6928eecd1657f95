"""The filter of requests: the texts and images of a request are checked before it is answered."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from inference.contracts import FilteredText, TextOrigin
from inference.safety.moderator import ModeratorEnsemble
from inference.safety.policy import Decision, FilterSide
from inference.safety.text_splitting import SEPARATOR, pack_texts
from inference.safety.verdict import Detection, FilterChecks, Verdict, VerdictCache, digest, merge

if TYPE_CHECKING:
    from inference.contracts import ImageArray

log = logging.getLogger(__name__)

TEXTS_AT_ONCE = 256
"""Texts that are looked up before other requests have their turn: some 3 ms."""


class InputFilter:
    """The filter of the requests of all deployments; a text checked before is not checked again."""

    def __init__(self, ensemble: ModeratorEnsemble, cache: VerdictCache, *, fail_open: bool) -> None:
        """Take `fail_open`, which lets requests pass that could not be checked."""
        self._ensemble = ensemble
        self._cache = cache
        self._fail_open = fail_open

    async def judge(
        self, texts: Sequence[FilteredText], images: Sequence[ImageArray], side: FilterSide, deployment: str
    ) -> Decision:
        """Return the decision on all texts and images of a request; the deployment's name is for the log.

        Raises `SafetyUnavailable` when a moderator failed, nothing else blocks the request, and the filter
        does not fail open.
        """
        checks = side.checks
        from_user = [text.text for text in texts if text.origin is TextOrigin.USER]
        from_tools = [text.text for text in texts if text.origin is TextOrigin.TOOL]
        verdicts = await asyncio.gather(
            self._judge_texts([text.text for text in texts], checks.harm),
            self._judge_texts(from_user, checks.only(Detection.JAILBREAK)),
            self._judge_texts(from_tools, checks.only(Detection.INDIRECT)),
            self._judge_images(images, checks.harm),
        )
        decision = side.judge(merge(verdicts))
        if decision.blocked:
            text_digest = digest(SEPARATOR.join(text.text for text in texts))
            log.warning(
                "Filtered input: deployment=%s found=%s hash=%s", deployment, decision.reasons, text_digest
            )
        elif (failure := decision.verdict.failure) is not None:
            log.warning("Unchecked input: deployment=%s: %s", deployment, failure.message)
            if not self._fail_open:
                raise failure
        return decision

    async def _judge_texts(self, texts: Sequence[str], checks: FilterChecks) -> Verdict:
        """Return the verdict on all texts; those not in the cache share as few checks as possible."""
        if not checks:
            return Verdict()
        known: list[Verdict] = []
        new: list[str] = []
        for number, text in enumerate(dict.fromkeys(text for text in texts if text.strip())):
            if number % TEXTS_AT_ONCE == TEXTS_AT_ONCE - 1:
                await asyncio.sleep(0)
            verdict = self._cache.get(text, checks)
            known.append(verdict) if verdict is not None else new.append(text)
        groups = [[new[index] for index in indices] for indices in pack_texts(new)]
        verdicts = await asyncio.gather(*(self._judge_group(group, checks) for group in groups))
        clean = Verdict(dict.fromkeys(checks.categories & self._ensemble.categories, 0))
        return merge([clean, *known, *verdicts])

    async def _judge_group(self, texts: Sequence[str], checks: FilterChecks) -> Verdict:
        """Return the verdict on texts checked as one.

        A clean verdict is cached for each text. A finding may be in any of them, and is cached for the whole.
        """
        whole = SEPARATOR.join(texts)
        verdict = self._cache.get(whole, checks)
        if verdict is not None:
            return verdict
        verdict = await self._ensemble.judge(whole, checks)
        for text in {whole, *(texts if verdict.clean else ())}:
            self._cache.put(text, checks, verdict)
        return verdict

    async def _judge_images(self, images: Sequence[ImageArray], checks: FilterChecks) -> Verdict:
        if not (self._ensemble.checks_images and checks.categories):
            return Verdict()
        return merge(await asyncio.gather(*(self._ensemble.judge_image(image, checks) for image in images)))

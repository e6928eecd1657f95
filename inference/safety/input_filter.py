"""What comes in: everything a person or a tool wrote is judged before anything is answered."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from inference.contracts import FilteredText, TextOrigin
from inference.safety.moderator import ModeratorEnsemble
from inference.safety.policy import Decision, FilterSide
from inference.safety.text_splitting import JOINT, pack
from inference.safety.verdict import Detection, FilterChecks, Verdict, VerdictCache, digest, worst

if TYPE_CHECKING:
    from inference.contracts import ImageArray

log = logging.getLogger(__name__)


class InputFilter:
    """Judges the passages of requests, each text once."""

    def __init__(self, ensemble: ModeratorEnsemble, memory: VerdictCache, *, fail_open: bool) -> None:
        self._ensemble = ensemble
        self._memory = memory
        self._fail_open = fail_open

    async def judge(
        self, passages: Sequence[FilteredText], pictures: Sequence[ImageArray], side: FilterSide, name: str
    ) -> Decision:
        """What follows from everything of a request; `name` is the deployment's, for the log.

        Raises `SafetyUnavailable` when somebody could not judge, nothing was found that blocks anyway, and
        the operator did not choose to let such requests pass.
        """
        checks = side.checks
        users = [passage.text for passage in passages if passage.origin is TextOrigin.USER]
        tools = [passage.text for passage in passages if passage.origin is TextOrigin.TOOL]
        parts = await asyncio.gather(
            self._texts([passage.text for passage in passages], checks.harm),
            self._texts(users, checks.only(Detection.JAILBREAK)),
            self._texts(tools, checks.only(Detection.INDIRECT)),
            self._pictures(pictures, checks.harm),
        )
        judgement = side.judge(worst(parts))
        if judgement.blocked:
            text = JOINT.join(passage.text for passage in passages)
            log.warning(
                "Filtered input: deployment=%s found=%s hash=%s", name, judgement.reasons, digest(text)
            )
        elif (failure := judgement.verdict.failure) is not None:
            log.warning("Unjudged input: deployment=%s: %s", name, failure.message)
            if not self._fail_open:
                raise failure
        return judgement

    async def _texts(self, texts: Sequence[str], checks: FilterChecks) -> Verdict:
        """New texts are judged together, as many as fit into one request."""
        if not checks:
            return Verdict()
        known: list[Verdict] = []
        new: list[str] = []
        for text in dict.fromkeys(text for text in texts if text.strip()):
            verdict = self._memory.recall(text, checks)
            known.append(verdict) if verdict is not None else new.append(text)
        groups = [[new[place] for place in places] for places in pack(new)]
        judged = await asyncio.gather(*(self._group(group, checks) for group in groups))
        clean = Verdict(dict.fromkeys(checks.categories & self._ensemble.categories, 0))
        return worst([clean, *known, *judged])

    async def _group(self, texts: Sequence[str], checks: FilterChecks) -> Verdict:
        """A clean verdict is every member's own; another is remembered of the whole only."""
        whole = JOINT.join(texts)
        verdict = self._memory.recall(whole, checks)
        if verdict is not None:
            return verdict
        verdict = await self._ensemble.judge(whole, checks)
        for text in {whole, *(texts if verdict.spotless else ())}:
            self._memory.keep(text, checks, verdict)
        return verdict

    async def _pictures(self, pictures: Sequence[ImageArray], checks: FilterChecks) -> Verdict:
        if not (self._ensemble.sees and checks.categories):
            return Verdict()
        return worst(await asyncio.gather(*(self._ensemble.look(one, checks) for one in pictures)))

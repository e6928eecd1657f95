"""Content safety around a request: what comes in is judged beside everything else, and nothing is sent before
it passed; what goes out passes through a last stage. Off, it is not there: no stage, no task, no import.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from inference.api.completions import GenerationBody
from inference.api.validation import Request, abridged
from inference.cards.card import Deployment
from inference.contracts import HarmCategory, Task, TextClassifier
from inference.errors import ApiError, ContentFiltered, InvalidInput, Offender, RequestTooLarge
from inference.images.decode import ImageError, read_image
from inference.pipeline.admission import ResolvedRequest
from inference.pipeline.filtered_texts import has_tokens, images_of, place_of, sounds_of, texts_of
from inference.pipeline.request_check import UNCHECKED, RequestCheck
from inference.registry.registry import Registry
from inference.safety.blocklist import Blocklist, BlocklistError
from inference.safety.input_filter import InputFilter
from inference.safety.moderator import ALL, ClassifierModerator, Moderator, ModeratorEnsemble
from inference.safety.output_filter import HOLD, HOLD_LISTS, OutputFilter, WindowTiming
from inference.safety.policy import Decision, FilterPolicy
from inference.safety.verdict import VerdictCache
from inference.settings import InvalidSetting, Settings

if TYPE_CHECKING:
    from inference.contracts import ImageArray

log = logging.getLogger(__name__)


class ContentFilter:
    """The content filter of a process. Who judges is made with the first request that is judged."""

    def __init__(self, settings: Settings, registry: Registry) -> None:
        """Raises `InvalidSetting` for a file of phrases, or a classifier, that cannot be used."""
        self._settings = settings
        self._registry = registry
        self._memory = VerdictCache()
        self._ensemble: ModeratorEnsemble | None = None
        self._making = asyncio.Lock()
        self._policies: dict[str, FilterPolicy] = {}
        self._phrases = _phrases(settings)
        self._classifier = self._classified(settings.content_safety_classifier)
        log.info("Content safety: %s", self.summary)
        if self.on and (unjudged := ALL - self._categories):
            log.warning("Content safety: nobody judges %s", ", ".join(sorted(unjudged)))

    @property
    def on(self) -> bool:
        return self._settings.content_safety_on

    @property
    def summary(self) -> str:
        """Who judges, in a line."""
        if not self.on:
            return "off (neither INFERENCE_CONTENT_SAFETY_ENDPOINT nor a local judge is set)"
        return f"by {', '.join(self._providers)}; fails {self._settings.content_safety_fail}"

    @property
    def _providers(self) -> list[str]:
        settings = self._settings
        return [
            *(["azure"] if settings.content_safety_endpoint else []),
            *([settings.content_safety_classifier] if settings.content_safety_classifier else []),
            *(path.name for path in settings.content_safety_blocklist_files),
        ]

    @property
    def _categories(self) -> frozenset[HarmCategory]:
        """What somebody judges: a classifier may know less than the four kinds of harm."""
        if self._settings.content_safety_endpoint or self._phrases is not None:
            return ALL
        return self._classifier.categories if self._classifier is not None else frozenset()

    def describe(self, deployment: Deployment) -> dict[str, Any]:
        """What `/info` says: by whom and by which rules, or that nothing is filtered."""
        if not self.on:
            return {"enabled": False}
        policy = self.policy(deployment)
        seen = policy.images and bool(self._settings.content_safety_endpoint)
        return {
            "enabled": True,
            "providers": self._providers,
            "categories": sorted(self._categories),
            "fail": self._settings.content_safety_fail,
            **policy.describe(),
            "images": seen,
        }

    def policy(self, deployment: Deployment) -> FilterPolicy:
        """What a deployment is held to."""
        if deployment.name not in self._policies:
            changes = deployment.card.content_safety.changes
            self._policies[deployment.name] = FilterPolicy.of(self._settings, changes)
        return self._policies[deployment.name]

    @asynccontextmanager
    async def inquiry(
        self, request: Request, order: ResolvedRequest, pictures: Sequence[ImageArray] | None = None
    ) -> AsyncIterator[RequestCheck]:
        """Begins to judge a request; `pictures` are those of a route that takes pictures only.

        What is not done when the block is left is given up.
        """
        if not self.on:
            yield UNCHECKED
            return
        ensemble, policy = await self._judges(), self.policy(order.deployment)
        stream = isinstance(request, GenerationBody) and bool(request.stream)
        judging = self._judge(request, order, policy, ensemble, pictures)
        check = asyncio.create_task(judging) if policy.incoming.checks else None
        if check is None:
            judging.close()
        try:
            watch = self._watch(order.deployment.name, policy, ensemble)
            annotate = self._settings.content_safety_annotations
            yield RequestCheck(check, watch, stream=stream, annotate=annotate)
        finally:
            if check is not None:
                check.cancel()
                await asyncio.gather(check, return_exceptions=True)

    async def aclose(self) -> None:
        """Closes the connections to who judges."""
        if self._ensemble is not None:
            await self._ensemble.aclose()

    def _watch(self, name: str, policy: FilterPolicy, ensemble: ModeratorEnsemble) -> OutputFilter | None:
        if not policy.outgoing.checks:
            return None
        lists = policy.outgoing.blocklists or self._settings.content_safety_blocklist_files
        return OutputFilter(
            ensemble,
            policy.outgoing,
            name,
            fail_open=self._settings.content_safety_fail == "open",
            annotate=self._settings.content_safety_annotations,
            asynchronous=policy.asynchronous,
            pace=WindowTiming.holding(HOLD_LISTS if lists else HOLD),
        )

    async def _judge(
        self,
        request: Request,
        order: ResolvedRequest,
        policy: FilterPolicy,
        ensemble: ModeratorEnsemble,
        pictures: Sequence[ImageArray] | None,
    ) -> list[Decision]:
        """Raises `ContentFiltered`, and `SafetyUnavailable` when nobody can judge."""
        _refuse_sound(request)
        groups = texts_of(request, await self._decoder(request, order))
        seen = await self._pictures(request, pictures) if policy.images and ensemble.sees else []
        gate = InputFilter(ensemble, self._memory, fail_open=self._settings.content_safety_fail == "open")
        judgements = await asyncio.gather(
            *(gate.judge(group, seen, policy.incoming, order.deployment.name) for group in groups)
        )
        for judgement in judgements:
            if judgement.blocked:
                raise ContentFiltered(place_of(request), judgement.results)
        return judgements

    async def _decoder(self, request: Request, order: ResolvedRequest) -> Callable[[Sequence[int]], str]:
        """What reads token ids: the model's own tokenizer, where there are any to read."""
        if not has_tokens(request):
            return lambda _: ""
        opened = await self._registry.open(order.deployment, patience=self._settings.load_seconds)
        if opened.tokenizer is None:
            message = "the content filter cannot read token ids of a model elsewhere; send text"
            place = place_of(request)
            raise InvalidInput([Offender(("body", place), abridged(order.body.get(place)), message)])
        return opened.tokenizer.decode

    async def _pictures(
        self, request: Request, pictures: Sequence[ImageArray] | None
    ) -> Sequence[ImageArray]:
        """As the model sees them. Raises `InvalidInput` for what cannot be looked at, `RequestTooLarge`."""
        if pictures is not None:
            return pictures
        seen, left = [], self._settings.max_request_pixels
        for loc, url in images_of(request):
            try:
                picture = await asyncio.to_thread(read_image, url, self._settings.max_image_pixels)
            except ImageError as error:
                message = f"The content filter must see every picture. {error}"
                raise InvalidInput([Offender(loc, abridged(url), message)]) from None
            left -= picture.shape[0] * picture.shape[1]
            if left < 0:
                message = f"the pictures have more than {self._settings.max_request_pixels} pixels together"
                raise RequestTooLarge(message, offenders=[Offender(loc, abridged(url), message)])
            seen.append(picture)
        return seen

    async def _judges(self) -> ModeratorEnsemble:
        async with self._making:
            if self._ensemble is None:
                members: list[Moderator] = []
                if self._settings.content_safety_endpoint:
                    # The SDK and the certificates take a quarter of a second, which others need not wait for.
                    members.append(await asyncio.to_thread(_azure, self._settings))
                members += [local for local in (self._classifier, self._phrases) if local is not None]
                self._ensemble = ModeratorEnsemble(members)
            return self._ensemble

    def _classified(self, name: str) -> ClassifierModerator | None:
        if not name:
            return None
        try:
            deployment = self._registry.get(name)
        except ApiError as error:
            raise InvalidSetting(f"INFERENCE_CONTENT_SAFETY_CLASSIFIER: {error.message}") from None
        if deployment.card.type is not Task.CLASSIFICATION:
            raise InvalidSetting(f"INFERENCE_CONTENT_SAFETY_CLASSIFIER: {name} is no {Task.CLASSIFICATION}")
        labels = deployment.card.classification.labels.values()

        @asynccontextmanager
        async def opened() -> AsyncIterator[TextClassifier]:
            lease = await self._registry.lease(deployment, patience=self._settings.load_seconds)
            try:
                assert lease.opened.classifier is not None
                yield lease.opened.classifier
            finally:
                lease.release()

        return ClassifierModerator(name, frozenset(label.category for label in labels), opened)


def _refuse_sound(request: Request) -> None:
    """Raises `InvalidInput` for sound in a conversation: there is nobody who could judge it."""
    message = "sound cannot be judged by the content filter, and nothing passes unjudged"
    if offenders := [Offender(loc, None, message) for loc in sounds_of(request)]:
        raise InvalidInput(offenders)


def _azure(settings: Settings) -> Moderator:
    from azure.core.credentials import AzureKeyCredential

    from inference.auth.entra import AppIdentity
    from inference.safety.azure import AzureContentSafety

    key = settings.content_safety_key
    return AzureContentSafety(
        settings.content_safety_endpoint,
        AzureKeyCredential(key) if key else AppIdentity(),
        api_version=settings.content_safety_api_version,
        seconds=settings.content_safety_seconds,
    )


def _phrases(settings: Settings) -> Blocklist | None:
    if not settings.content_safety_blocklist_files:
        return None
    try:
        return Blocklist.read(settings.content_safety_blocklist_files)
    except BlocklistError as error:
        raise InvalidSetting(f"INFERENCE_CONTENT_SAFETY_BLOCKLIST_FILES: {error}") from None

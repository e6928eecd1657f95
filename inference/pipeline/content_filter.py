"""Content safety around requests.

A request is judged beside its other stages, and nothing is sent before it passed; an answer passes through a
last stage. Off, the filter has no stage and no task, and imports no moderator's SDK.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from inference.api.offenders import abridged
from inference.api.validation import Request
from inference.backends.loaded_models import (
    ClassifierModel,
    GenerativeModel,
    ImageEmbeddingModel,
    TextEmbeddingModel,
)
from inference.cancellation import cancel
from inference.cards.card import Deployment
from inference.contracts import HarmCategory, Task, TextClassifier
from inference.errors import ApiError, ContentFiltered, InvalidInput, Offender, RequestTooLarge
from inference.images.decode import decode_data_url
from inference.images.formats import ImageError
from inference.pipeline.admission import ResolvedRequest, off_loop
from inference.pipeline.exchange import Deployments
from inference.pipeline.planner import expect
from inference.pipeline.request_check import UNCHECKED, RequestCheck
from inference.safety.blocklist import Blocklist, BlocklistError
from inference.safety.input_filter import InputFilter
from inference.safety.moderator import ALL_CATEGORIES, ClassifierModerator, Moderator, ModeratorEnsemble
from inference.safety.output_filter import BLOCKLIST_HOLDBACK, HOLDBACK, OutputFilter, WindowTiming
from inference.safety.policy import Decision, FilterPolicy
from inference.safety.verdict import VerdictCache
from inference.settings import InvalidSetting, Settings

if TYPE_CHECKING:
    from inference.contracts import ImageArray

log = logging.getLogger(__name__)


class ContentFilter:
    """The content filter of a process. Its moderators are made with the first request that is judged."""

    def __init__(self, settings: Settings, deployments: Deployments) -> None:
        """Raise `InvalidSetting` for a blocklist file, or a classifier, that cannot be used."""
        self._settings = settings
        self.on = settings.content_safety_enabled
        self._deployments = deployments
        self._verdicts = VerdictCache(seconds=60 * settings.content_safety_cache_minutes)
        self._ensemble: ModeratorEnsemble | None = None
        self._making = asyncio.Lock()
        self._policies: dict[str, FilterPolicy] = {}
        self._blocklist = _blocklist(settings)
        self._classifier = self._classified(settings.content_safety_classifier)
        log.info("Content safety: %s", self.summary)
        if self.on and (unjudged := ALL_CATEGORIES - self._categories):
            log.warning("Content safety: no moderator judges %s", ", ".join(sorted(unjudged)))

    @property
    def summary(self) -> str:
        """The moderators, in a line."""
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
        """The harm that is judged: a classifier may know less than the four kinds."""
        if self._settings.content_safety_endpoint or self._blocklist is not None:
            return ALL_CATEGORIES
        return self._classifier.categories if self._classifier is not None else frozenset()

    def describe(self, deployment: Deployment) -> dict[str, Any]:
        """Return the entry of `/info`: moderators and rules, or that nothing is filtered."""
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
        """Return the policy of a deployment."""
        if deployment.name not in self._policies:
            changes = deployment.card.content_safety.overrides
            self._policies[deployment.name] = FilterPolicy.from_settings(self._settings, changes)
        return self._policies[deployment.name]

    @asynccontextmanager
    async def check(
        self, request: Request, resolved: ResolvedRequest, images: Sequence[ImageArray] | None = None
    ) -> AsyncIterator[RequestCheck]:
        """Start to judge a request; `images` are those of a route that takes images only.

        A check that is not done when the block is left is given up.
        """
        if not self.on:
            yield UNCHECKED
            return
        ensemble, policy = await self._moderators(), self.policy(resolved.deployment)
        output = self._output_filter(resolved.deployment.name, policy, ensemble)
        annotate, stream = self._settings.content_safety_annotations, request.streamed
        if not policy.incoming.checks:
            yield RequestCheck(None, output, stream=stream, annotate=annotate)
            return
        check = asyncio.create_task(self._judge(request, resolved, policy, ensemble, images))
        try:
            yield RequestCheck(check, output, stream=stream, annotate=annotate)
        finally:
            await cancel(check)

    async def aclose(self) -> None:
        """Close the connections of the moderators."""
        if self._ensemble is not None:
            await self._ensemble.aclose()

    def _output_filter(
        self, name: str, policy: FilterPolicy, ensemble: ModeratorEnsemble
    ) -> OutputFilter | None:
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
            timing=WindowTiming.with_holdback(BLOCKLIST_HOLDBACK if lists else HOLDBACK),
        )

    async def _judge(
        self,
        request: Request,
        resolved: ResolvedRequest,
        policy: FilterPolicy,
        ensemble: ModeratorEnsemble,
        images: Sequence[ImageArray] | None,
    ) -> list[Decision]:
        """Return the decision on each prompt.

        Raises `ContentFiltered`, `SafetyUnavailable` or `InvalidInput`.
        """
        _refuse_audio(request)
        groups = await off_loop(resolved.size, request.filtered_texts, await self._decoder(request, resolved))
        seen = await self._images(request, images) if policy.images and ensemble.checks_images else []
        fail_open = self._settings.content_safety_fail == "open"
        input_filter = InputFilter(ensemble, self._verdicts, fail_open=fail_open)
        decisions = await asyncio.gather(
            *(input_filter.judge(group, seen, policy.incoming, resolved.deployment.name) for group in groups)
        )
        for decision in decisions:
            if decision.blocked:
                raise ContentFiltered(request.text_key, decision.results)
        return decisions

    async def _decoder(self, request: Request, resolved: ResolvedRequest) -> Callable[[Sequence[int]], str]:
        """Return the function that reads the request's token ids: the model's own tokenizer."""
        if not request.has_token_ids:
            return lambda _: ""
        model = await self._deployments.open(resolved.deployment, patience=self._settings.load_seconds)
        if isinstance(model, GenerativeModel | TextEmbeddingModel):
            return model.tokenizer.decode
        if isinstance(model, ImageEmbeddingModel) and model.text is not None:
            return model.text.tokenizer.decode
        message = "the content filter cannot read token ids of a remote model; send text"
        value = abridged(resolved.body.get(request.text_key))
        raise InvalidInput([Offender(("body", request.text_key), value, message)])

    async def _images(self, request: Request, images: Sequence[ImageArray] | None) -> Sequence[ImageArray]:
        """Return the images as the model sees them. Raises `InvalidInput` or `RequestTooLarge`."""
        if images is not None:
            return images
        seen, left = [], self._settings.max_request_pixels
        for loc, url in request.image_urls():
            try:
                image = await asyncio.to_thread(decode_data_url, url, self._settings.max_image_pixels)
            except ImageError as error:
                message = f"The content filter must see every image. {error}"
                raise InvalidInput([Offender(loc, abridged(url), message, "invalid_image")]) from None
            left -= image.shape[0] * image.shape[1]
            if left < 0:
                most = self._settings.max_request_pixels
                message = f"the images have more than {most} pixels together"
                offender = Offender(loc, abridged(url), message, "image_too_large")
                raise RequestTooLarge(offender.sentence, offenders=[offender])
            seen.append(image)
        return seen

    async def _moderators(self) -> ModeratorEnsemble:
        async with self._making:
            if self._ensemble is None:
                members: list[Moderator] = []
                if self._settings.content_safety_endpoint:
                    # The SDK and the certificates take a quarter of a second, which others need not wait for.
                    members.append(await asyncio.to_thread(_azure, self._settings))
                members += [local for local in (self._classifier, self._blocklist) if local is not None]
                self._ensemble = ModeratorEnsemble(members)
            return self._ensemble

    def _classified(self, name: str) -> ClassifierModerator | None:
        if not name:
            return None
        try:
            deployment = self._deployments.get(name)
        except ApiError as error:
            raise InvalidSetting(f"INFERENCE_CONTENT_SAFETY_CLASSIFIER: {error.message}") from None
        if deployment.card.type is not Task.CLASSIFICATION:
            raise InvalidSetting(f"INFERENCE_CONTENT_SAFETY_CLASSIFIER: {name} is no {Task.CLASSIFICATION}")
        labels = deployment.card.classification.labels.values()
        if not labels:
            raise InvalidSetting(
                f"INFERENCE_CONTENT_SAFETY_CLASSIFIER: the card of {name} has no classification.labels, "
                "which map each label to a category of harm"
            )

        @asynccontextmanager
        async def opened() -> AsyncIterator[TextClassifier]:
            with await self._deployments.lease(deployment, patience=self._settings.load_seconds) as model:
                yield expect(model, ClassifierModel, name).classifier

        return ClassifierModerator(name, frozenset(label.category for label in labels), opened)


def _refuse_audio(request: Request) -> None:
    """Raise `InvalidInput` for audio in a conversation: no moderator can judge it."""
    message = "the content filter cannot judge audio, and nothing passes unjudged"
    if offenders := [Offender(loc, None, message) for loc in request.audio_locations()]:
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


def _blocklist(settings: Settings) -> Blocklist | None:
    if not settings.content_safety_blocklist_files:
        return None
    try:
        return Blocklist.read(settings.content_safety_blocklist_files)
    except BlocklistError as error:
        raise InvalidSetting(f"INFERENCE_CONTENT_SAFETY_BLOCKLIST_FILES: {error}") from None

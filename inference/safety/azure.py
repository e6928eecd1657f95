"""The moderator by Azure AI Content Safety: texts and images checked through Microsoft's SDK."""

from __future__ import annotations

import asyncio
import logging
import time
from base64 import b64encode
from collections.abc import Coroutine, Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Any

import httpx
from azure.ai.contentsafety.aio import ContentSafetyClient
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import AzureError, HttpResponseError
from azure.core.pipeline import PipelineResponse
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.core.rest import HttpRequest

from inference.cancellation import within
from inference.contracts import HarmCategory
from inference.errors import SafetyUnavailable
from inference.safety.azure_transport import HttpxTransport
from inference.safety.moderator import ALL_CATEGORIES
from inference.safety.verdict import Detection, FilterChecks, Verdict, merge

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

    from inference.contracts import ImageArray

log = logging.getLogger(__name__)

CONNECT_SECONDS, READ_SECONDS, RETRIES, BACKOFF = 2.0, 3.0, 2, 0.2
RATE_WINDOW_SECONDS = 10.0
"""The span over which the service counts its rate limit (1,000 requests in 10 s)."""
CODE_VERSION = "2024-09-15-preview"
"""The api-version that has detectProtectedMaterialForCode; no other has."""
MIN_PROTECTED_TEXT = 110
"""Characters from which the service detects protected text, by its documentation."""
MIN_IMAGE_EDGE, MAX_IMAGE_EDGE = 50, 2048
"""Pixels of an image's edges that the service takes (newer documentation allows 7,200); a file has 4 MB."""
JPEG_QUALITY = 90
CATEGORIES: Mapping[str, HarmCategory] = {
    "Hate": HarmCategory.HATE,
    "SelfHarm": HarmCategory.SELF_HARM,
    "Sexual": HarmCategory.SEXUAL,
    "Violence": HarmCategory.VIOLENCE,
}
NAMES = {category: name for name, category in CATEGORIES.items()}
POST = frozenset({"POST"})


class AzureContentSafety:
    """A `Moderator` by the service.

    A process has one client, bound to the event loop that first used it.
    """

    name = "azure"
    categories = ALL_CATEGORIES
    detections = frozenset(Detection)
    checks_images = True

    def __init__(
        self,
        endpoint: str,
        credential: AzureKeyCredential | AsyncTokenCredential,
        *,
        api_version: str,
        seconds: float,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Take the `seconds` that one check may last, retries included."""
        self._seconds = seconds
        self._limited_until = 0.0
        self._version = api_version
        local = endpoint.startswith("http://")
        self._client = ContentSafetyClient(
            endpoint,
            credential,
            api_version=api_version,
            transport=HttpxTransport(httpx.AsyncClient(transport=transport, trust_env=not local)),
            retry_total=RETRIES,
            retry_backoff_factor=BACKOFF,
            permit_redirects=False,
            # The SDK's own policies could write bodies and addresses into the log.
            logging_policy=SansIOHTTPPolicy(),
            http_logging_policy=SansIOHTTPPolicy(),
        )

    @property
    def limited(self) -> bool:
        """True for a while after the service answered 429."""
        return time.monotonic() < self._limited_until

    async def judge(self, text: str, checks: FilterChecks) -> Verdict:
        """Return the verdict on a text, from one call for harm and one for each detection."""
        return await self._within_time(self._judge_text(text, checks))

    async def judge_image(self, image: ImageArray, checks: FilterChecks) -> Verdict:
        """Return the severities of an image; the service has no detections for images."""
        file = await asyncio.to_thread(encode_image, image)
        return await self._within_time(self._analyze_image(file, checks))

    async def aclose(self) -> None:
        """Close the client's connections."""
        await self._client.close()

    async def _judge_text(self, text: str, checks: FilterChecks) -> Verdict:
        calls = []
        if checks.categories or checks.blocklists:
            calls.append(self._analyze_text(text, checks))
        if Detection.JAILBREAK in checks.detections:
            calls.append(self._shield_prompt({"userPrompt": text, "documents": []}, Detection.JAILBREAK))
        if Detection.INDIRECT in checks.detections:
            calls.append(self._shield_prompt({"documents": [text]}, Detection.INDIRECT))
        if Detection.PROTECTED_TEXT in checks.detections and len(text) >= MIN_PROTECTED_TEXT:
            calls.append(self._protected_text(text))
        if Detection.PROTECTED_CODE in checks.detections:
            calls.append(self._protected_code(text))
        return merge(await asyncio.gather(*calls))

    async def _analyze_text(self, text: str, checks: FilterChecks) -> Verdict:
        body: dict[str, Any] = {"text": text, "outputType": "EightSeverityLevels"}
        if checks.categories:
            body["categories"] = [NAMES[category] for category in sorted(checks.categories)]
        if checks.blocklists:
            body |= {"blocklistNames": list(checks.blocklists), "haltOnBlocklistHit": False}
        result = await self._client.analyze_text(body, **self._options())
        blocklists = frozenset(str(match.blocklist_name) for match in result.blocklists_match or ())
        return Verdict(_severities(result.categories_analysis, checks), blocklists)

    async def _analyze_image(self, file: bytes, checks: FilterChecks) -> Verdict:
        body = {"image": {"content": b64encode(file).decode()}, "outputType": "FourSeverityLevels"}
        categories = [NAMES[category] for category in sorted(checks.categories)]
        result = await self._client.analyze_image({**body, "categories": categories}, **self._options())
        return Verdict(_severities(result.categories_analysis, checks))

    async def _shield_prompt(self, body: Mapping[str, Any], detection: Detection) -> Verdict:
        result = await self._call("shieldPrompt", body)
        analysis = result["userPromptAnalysis" if detection is Detection.JAILBREAK else "documentsAnalysis"]
        parts = analysis if isinstance(analysis, list) else [analysis]
        if not parts:
            raise ValueError("no analysis")
        # The list is complete before it is searched, so that every flag is validated.
        return _detection(detection, True in [_boolean(part["attackDetected"]) for part in parts])

    async def _protected_text(self, text: str) -> Verdict:
        result = await self._call("detectProtectedMaterial", {"text": text})
        detected = _boolean(result["protectedMaterialAnalysis"]["detected"])
        return _detection(Detection.PROTECTED_TEXT, detected)

    async def _protected_code(self, text: str) -> Verdict:
        result = await self._call("detectProtectedMaterialForCode", {"code": text}, CODE_VERSION)
        analysis = result["protectedMaterialAnalysis"]
        verdict = _detection(Detection.PROTECTED_CODE, _boolean(analysis["detected"]))
        citations = [c for c in analysis.get("codeCitations") or () if c.get("sourceUrls")]
        sources = ({"license": c.get("license"), "URL": c["sourceUrls"][0]} for c in citations)
        return verdict | Verdict(citations=tuple(sources))

    async def _call(self, operation: str, body: Mapping[str, Any], version: str | None = None) -> Any:
        path = f"/text:{operation}?api-version={version or self._version}"
        request = HttpRequest("POST", path, json=dict(body))
        response = await self._client.send_request(request, **self._options())
        response.raise_for_status()
        return response.json()

    def _options(self) -> dict[str, Any]:
        """Return the options of a call: retries, timeouts, and the hook that notices rate limits."""
        deadline = time.monotonic() + self._seconds

        def notice(response: PipelineResponse[Any, Any]) -> None:
            if response.http_response.status_code == 429:
                self._limit(response.http_response.headers, deadline)

        return {
            "retry_on_methods": POST,
            "connection_timeout": CONNECT_SECONDS,
            "read_timeout": READ_SECONDS,
            "raw_response_hook": notice,
        }

    def _limit(self, headers: Mapping[str, str], deadline: float) -> None:
        """Note a rate limit. Raises `SafetyUnavailable` when it lasts beyond the deadline."""
        wait = _retry_after_seconds(headers.get("Retry-After", ""))
        now = time.monotonic()
        self._limited_until = max(self._limited_until, now + max(wait, RATE_WINDOW_SECONDS))
        if now + wait > deadline:
            raise _rate_limited(wait)

    async def _within_time(self, call: Coroutine[Any, Any, Verdict]) -> Verdict:
        """Return the call's verdict.

        Raises `SafetyUnavailable`, whose message repeats nothing of the request or the response.
        """
        try:
            return await within(self._seconds, call)
        except SafetyUnavailable:
            raise
        except TimeoutError:
            raise _unavailable("did not answer in time") from None
        except HttpResponseError as error:
            raise _from_response(error) from None
        except AzureError as error:
            log.warning("The content filter could not be reached: %s", type(error).__name__)
            raise _unavailable("could not be reached") from None
        except OSError as error:
            log.warning("The content filter could not be reached: %s", type(error).__name__)
            raise _unavailable("could not be reached") from None
        except Exception as error:  # noqa: BLE001
            # Of any kind, because a response may have any form: JSON too deep, a character set that is none.
            log.warning("The content filter's response cannot be used: %s", type(error).__name__)
            raise _unavailable("sent an invalid response") from None


def encode_image(pixels: ImageArray) -> bytes:
    """Return a JPEG file of an image, scaled into the service's limits; one too narrow is padded white."""
    from PIL import Image

    image = Image.fromarray(pixels)
    width, height = image.size
    scale = min(MAX_IMAGE_EDGE / max(width, height), max(MIN_IMAGE_EDGE / min(width, height), 1.0))
    if scale != 1:
        image = image.resize((max(round(width * scale), 1), max(round(height * scale), 1)))
    if min(image.size) < MIN_IMAGE_EDGE:
        size = (max(image.width, MIN_IMAGE_EDGE), max(image.height, MIN_IMAGE_EDGE))
        padded = Image.new("RGB", size, "white")
        padded.paste(image)
        image = padded
    file = BytesIO()
    image.save(file, "JPEG", quality=JPEG_QUALITY)
    return file.getvalue()


def _unavailable(problem: str) -> SafetyUnavailable:
    return SafetyUnavailable(
        f"The content filter {problem}, and nothing is served unchecked; try again later."
    )


def _rate_limited(retry_after: float = 2) -> SafetyUnavailable:
    return SafetyUnavailable(
        "The content filter's rate limit is reached; try again later.", retry_after=retry_after, limited=True
    )


def _from_response(error: HttpResponseError) -> SafetyUnavailable:
    """Return the error for a refusal of the service or of the credential; details go to the log alone."""
    if error.status_code is None:
        log.error("No token for the content filter: %s", error.message)
        return _unavailable("could not be called (no token for the app's identity)")
    if error.status_code == 429:
        headers: Mapping[str, str] = getattr(error.response, "headers", {})
        return _rate_limited(_retry_after_seconds(headers.get("Retry-After", "2")))
    answered = error.status_code != 200
    return _unavailable(f"answered {error.status_code}" if answered else "sent an invalid response")


def _severities(analyses: Any, checks: FilterChecks) -> dict[HarmCategory, int]:
    """Return the severity of every checked category.

    Raises `ValueError` when one is missing: an absent severity is not a safe one.
    """
    found = {CATEGORIES.get(str(one.category)): one.severity for one in analyses or ()}
    severities = {}
    for category in checks.categories:
        severity = found.get(category)
        if isinstance(severity, bool) or not isinstance(severity, int) or not 0 <= severity <= 7:
            raise ValueError(f"no severity of {category}")
        severities[category] = severity
    return severities


def _detection(detection: Detection, detected: bool) -> Verdict:
    return Verdict(detections=frozenset({detection}) if detected else frozenset())


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("not true or false")
    return value


def _retry_after_seconds(value: str) -> float:
    """Return the seconds of a Retry-After header; a date, which the service does not send, counts as 1."""
    try:
        return max(float(value), 0.0)
    except ValueError:
        return 1.0

"""A picture as the service takes it: what the model sees, in a file it accepts.

Its limits: 4 MB, 50 x 50 to 2,048 x 2,048 pixels (newer documentation allows 7,200).
"""

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

from inference.contracts import HarmCategory
from inference.errors import SafetyUnavailable
from inference.safety.azure_transport import HttpxTransport
from inference.safety.moderator import ALL
from inference.safety.verdict import Detection, FilterChecks, Verdict, worst

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

    from inference.contracts import ImageArray

SMALLEST, LARGEST = 50, 2048
QUALITY = 90


def as_file(picture: ImageArray) -> bytes:
    """A JPEG file of the picture, scaled into the limits; what is too narrow stands on white."""
    from PIL import Image

    image = Image.fromarray(picture)
    width, height = image.size
    scale = min(LARGEST / max(width, height), max(SMALLEST / min(width, height), 1.0))
    if scale != 1:
        image = image.resize((max(round(width * scale), 1), max(round(height * scale), 1)))
    if min(image.size) < SMALLEST:
        white = Image.new("RGB", (max(image.width, SMALLEST), max(image.height, SMALLEST)), "white")
        white.paste(image)
        image = white
    file = BytesIO()
    image.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


log = logging.getLogger(__name__)

CONNECT_SECONDS, READ_SECONDS, RETRIES, BACKOFF = 2.0, 3.0, 2, 0.2
LIMIT_SECONDS = 10.0
"""After a 429: the span that the service's own rates (1,000 requests in 10 s) are counted over."""
CODE_VERSION = "2024-09-15-preview"
"""The api-version that has detectProtectedMaterialForCode; no other has."""
SHORTEST = 110
"""Characters from which detection of protected text means anything, by the service's documentation."""
CATEGORIES: Mapping[str, HarmCategory] = {
    "Hate": HarmCategory.HATE,
    "SelfHarm": HarmCategory.SELF_HARM,
    "Sexual": HarmCategory.SEXUAL,
    "Violence": HarmCategory.VIOLENCE,
}
NAMES = {category: name for name, category in CATEGORIES.items()}
POST = frozenset({"POST"})


class AzureContentSafety:
    """A `Moderator` by the service. One client a process, bound to the event loop that first used it."""

    name = "azure"
    categories = ALL
    findings = frozenset(Detection)
    sees = True

    def __init__(
        self,
        endpoint: str,
        credential: AzureKeyCredential | AsyncTokenCredential,
        *,
        api_version: str,
        seconds: float,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`seconds` is what one check may take in all, repetitions included."""
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
        return time.monotonic() < self._limited_until

    async def judge(self, text: str, checks: FilterChecks) -> Verdict:
        return await self._within(self._judge(text, checks))

    async def look(self, picture: ImageArray, checks: FilterChecks) -> Verdict:

        file = await asyncio.to_thread(as_file, picture)
        return await self._within(self._look(file, checks))

    async def aclose(self) -> None:
        await self._client.close()

    async def _judge(self, text: str, checks: FilterChecks) -> Verdict:
        asked = []
        if checks.categories or checks.blocklists:
            asked.append(self._harm(text, checks))
        if Detection.JAILBREAK in checks.findings:
            asked.append(self._shield({"userPrompt": text, "documents": []}, Detection.JAILBREAK))
        if Detection.INDIRECT in checks.findings:
            asked.append(self._shield({"documents": [text]}, Detection.INDIRECT))
        if Detection.PROTECTED_TEXT in checks.findings and len(text) >= SHORTEST:
            asked.append(self._protected_text(text))
        if Detection.PROTECTED_CODE in checks.findings:
            asked.append(self._protected_code(text))
        return worst(await asyncio.gather(*asked))

    async def _harm(self, text: str, checks: FilterChecks) -> Verdict:
        body: dict[str, Any] = {"text": text, "outputType": "EightSeverityLevels"}
        if checks.categories:
            body["categories"] = [NAMES[category] for category in sorted(checks.categories)]
        if checks.blocklists:
            body |= {"blocklistNames": list(checks.blocklists), "haltOnBlocklistHit": False}
        result = await self._client.analyze_text(body, **self._options())
        lists = frozenset(str(match.blocklist_name) for match in result.blocklists_match or ())
        return Verdict(_severities(result.categories_analysis, checks), lists)

    async def _look(self, file: bytes, checks: FilterChecks) -> Verdict:
        body = {"image": {"content": b64encode(file).decode()}, "outputType": "FourSeverityLevels"}
        asked = {"categories": [NAMES[category] for category in sorted(checks.categories)]}
        result = await self._client.analyze_image({**body, **asked}, **self._options())
        return Verdict(_severities(result.categories_analysis, checks))

    async def _shield(self, body: Mapping[str, Any], finding: Detection) -> Verdict:
        answer = await self._ask("shieldPrompt", body)
        analysis = answer["userPromptAnalysis" if finding is Detection.JAILBREAK else "documentsAnalysis"]
        parts = analysis if isinstance(analysis, list) else [analysis]
        if not parts:
            raise ValueError("no analysis")
        return _found(finding, True in [_flag(part["attackDetected"]) for part in parts])

    async def _protected_text(self, text: str) -> Verdict:
        answer = await self._ask("detectProtectedMaterial", {"text": text})
        detected = _flag(answer["protectedMaterialAnalysis"]["detected"])
        return _found(Detection.PROTECTED_TEXT, detected)

    async def _protected_code(self, text: str) -> Verdict:
        answer = await self._ask("detectProtectedMaterialForCode", {"code": text}, CODE_VERSION)
        analysis = answer["protectedMaterialAnalysis"]
        verdict = _found(Detection.PROTECTED_CODE, _flag(analysis["detected"]))
        citations = ({"license": c.get("license"), "URL": c["sourceUrls"][0]} for c in _cited(analysis))
        return verdict | Verdict(citations=tuple(citations))

    async def _ask(self, operation: str, body: Mapping[str, Any], version: str | None = None) -> Any:
        path = f"/text:{operation}?api-version={version or self._version}"
        request = HttpRequest("POST", path, json=dict(body))
        response = await self._client.send_request(request, **self._options())
        response.raise_for_status()
        return response.json()

    def _options(self) -> dict[str, Any]:
        """Of every call: what may be repeated, how long to wait, and who hears of a 429."""
        deadline = time.monotonic() + self._seconds

        def heard(response: PipelineResponse[Any, Any]) -> None:
            if response.http_response.status_code == 429:
                self._limit(response.http_response.headers, deadline)

        return {
            "retry_on_methods": POST,
            "connection_timeout": CONNECT_SECONDS,
            "read_timeout": READ_SECONDS,
            "raw_response_hook": heard,
        }

    def _limit(self, headers: Mapping[str, str], deadline: float) -> None:
        """Notes that the service wants rest. Raises `SafetyUnavailable` when it wants more than there is."""
        wait = _seconds_of(headers.get("Retry-After", ""))
        now = time.monotonic()
        self._limited_until = max(self._limited_until, now + max(wait, LIMIT_SECONDS))
        if now + wait > deadline:
            raise SafetyUnavailable(
                "The content filter is asked too often; try again later.", retry_after=wait, limited=True
            )

    async def _within(self, judging: Coroutine[Any, Any, Verdict]) -> Verdict:
        """The verdict, or `SafetyUnavailable` without a word of what was sent or answered."""
        try:
            async with asyncio.timeout(self._seconds):
                return await judging
        except TimeoutError:
            raise _unavailable("did not answer in time") from None
        except HttpResponseError as error:
            raise _refused(error) from None
        except AzureError as error:
            log.warning("The content filter could not be reached: %s", type(error).__name__)
            raise _unavailable("could not be reached") from None
        except (ValueError, TypeError, KeyError, AttributeError, IndexError):
            raise _unavailable("gave no sound answer") from None


def _unavailable(what: str) -> SafetyUnavailable:
    return SafetyUnavailable(f"The content filter {what}, and nothing passes unjudged.")


def _refused(error: HttpResponseError) -> SafetyUnavailable:
    """What the service, or the credential before it, refused. Their own words are for the operator only."""
    if error.status_code is None:
        log.error("No token for the content filter: %s", error.message)
        return _unavailable("could not be asked (no token)")
    if error.status_code == 429:
        return SafetyUnavailable("The content filter is asked too often; try again later.", limited=True)
    answered = f"answered {error.status_code}" if error.status_code != 200 else "gave no sound answer"
    return _unavailable(answered)


def _severities(analyses: Any, checks: FilterChecks) -> dict[HarmCategory, int]:
    """Of every category that was asked for. Raises `ValueError` when one is missing: it is not safe."""
    found = {CATEGORIES.get(str(one.category)): one.severity for one in analyses or ()}
    severities = {}
    for category in checks.categories:
        severity = found.get(category)
        if isinstance(severity, bool) or not isinstance(severity, int) or not 0 <= severity <= 7:
            raise ValueError(f"no severity of {category}")
        severities[category] = severity
    return severities


def _found(finding: Detection, detected: bool) -> Verdict:
    return Verdict(found=frozenset({finding}) if detected else frozenset())


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("not true or false")
    return value


def _cited(analysis: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [citation for citation in analysis.get("codeCitations") or () if citation.get("sourceUrls")]


def _seconds_of(retry_after: str) -> float:
    """Seconds; a date, which the service does not send, counts as one."""
    try:
        return max(float(retry_after), 0.0)
    except ValueError:
        return 1.0

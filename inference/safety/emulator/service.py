"""The operations of the emulated service: a request in, a status, a body and headers out.

Bodies, limits and errors are those of the service's REST reference, api-version 2024-09-01, and of
2024-09-15-preview for protected code.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs, urlsplit

from inference.contracts import HarmCategory
from inference.safety.blocklist import BlocklistRule, normalize
from inference.safety.text_splitting import MAX_CHARACTERS
from inference.safety.verdict import Detection, Verdict, merge

VERSIONS = ("2023-10-01", "2024-09-01", "2024-09-15-preview", "2024-09-30-preview")
OPERATION_VERSIONS: Mapping[str, Sequence[str]] = {
    "text:analyze": VERSIONS,
    "image:analyze": VERSIONS,
    "text:shieldPrompt": VERSIONS[1:],
    "text:detectProtectedMaterial": VERSIONS[1:],
    "text:detectProtectedMaterialForCode": ("2024-09-15-preview",),
}
"""The api-versions that have an operation."""
NAMES: Mapping[str, HarmCategory] = {
    "Hate": HarmCategory.HATE,
    "SelfHarm": HarmCategory.SELF_HARM,
    "Sexual": HarmCategory.SEXUAL,
    "Violence": HarmCategory.VIOLENCE,
}
SEVERITY_STEPS = {"FourSeverityLevels": 2, "EightSeverityLevels": 1}
"""The step between the severities of an output type."""
MAX_DOCUMENTS = 5
MAX_IMAGE_BYTES = 4 * 1024 * 1024
MIN_IMAGE_EDGE, MAX_IMAGE_EDGE = 50, 7200
IMAGE_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP")
BLOCKLIST_NAME = re.compile(r"[0-9A-Za-z._~-]{1,64}")


class EmulatedError(Exception):
    """An error response of the service."""

    def __init__(self, status: int, code: str, message: str, target: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        error = {"code": code, "message": message, **({"target": target} if target else {})}
        self.body = {"error": error}
        self.headers = {"x-ms-error-code": code}


@dataclass(slots=True)
class EmulatedService:
    """The emulated service: its rules, its key, and its verdict on images."""

    rules: Sequence[BlocklistRule] = ()
    key: str = ""
    """The key of requests; empty: any key is accepted, but one is required."""
    image_verdict: Verdict = field(default_factory=Verdict)
    """The verdict on every image."""
    answered: int = 0
    """Requests answered so far."""

    @property
    def blocklists(self) -> frozenset[str]:
        """The names of the blocklists in the rules."""
        return merge(rule.verdict for rule in self.rules).blocklists

    def answer(self, target: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Any, dict[str, str]]:
        """Return the status, the JSON body and the headers of the response."""
        self.answered += 1
        try:
            return 200, self._operate(target, headers, body), {}
        except EmulatedError as error:
            return error.status, error.body, error.headers

    def _operate(self, target: str, headers: Mapping[str, str], body: bytes) -> Any:
        parts = urlsplit(target)
        operation = parts.path.strip("/").removeprefix("contentsafety/")
        self._authorise(headers)
        version = parse_qs(parts.query).get("api-version", [""])[0]
        if operation not in OPERATION_VERSIONS or version not in OPERATION_VERSIONS[operation]:
            raise EmulatedError(404, "404", "Resource not found")
        return OPERATIONS[operation](self, _object(body))

    def _authorise(self, headers: Mapping[str, str]) -> None:
        key = headers.get("ocp-apim-subscription-key", "")
        bearer = headers.get("authorization", "").lower().startswith("bearer ")
        if not (key == self.key if self.key and not bearer else key or bearer):
            raise EmulatedError(
                401,
                "401",
                "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a "
                "valid key for an active subscription and use a correct regional API endpoint for your "
                "resource.",
            )

    def analyze_text(self, body: Mapping[str, Any]) -> Any:
        """Return the severities of a text and its matches of blocklists."""
        verdict = self._judge(_text(body, "text"))
        names = body.get("blocklistNames") or []
        for name in names:
            if not BLOCKLIST_NAME.fullmatch(str(name)) or name not in self.blocklists:
                message = f"The blocklist {name} does not exist."
                raise EmulatedError(404, "ResourceNotFound", message, "blocklistNames")
        matches = [
            {"blocklistName": name, "blocklistItemId": "0", "blocklistItemText": ""}
            for name in names
            if name in verdict.blocklists
        ]
        return {"blocklistsMatch": matches, "categoriesAnalysis": _analysis(body, verdict)}

    def analyze_image(self, body: Mapping[str, Any]) -> Any:
        """Return the severities of an image, which are the same for every image."""
        image = body.get("image")
        if not isinstance(image, dict) or ("content" in image) == ("blobUrl" in image):
            raise _invalid("Either content or blobUrl of the image is needed.", "image")
        if "blobUrl" in image:
            raise _invalid("The emulator fetches no blobs; send the content.", "image.blobUrl")
        _check_image(image["content"])
        if body.get("outputType", "FourSeverityLevels") != "FourSeverityLevels":
            raise _invalid("Images have four severity levels.", "outputType")
        return {"categoriesAnalysis": _analysis(body, self.image_verdict)}

    def shield_prompt(self, body: Mapping[str, Any]) -> Any:
        """Return the attacks detected in a prompt and in documents."""
        prompt, documents = body.get("userPrompt") or "", body.get("documents") or []
        if not prompt and not documents:
            raise _invalid("The userPrompt or documents is needed.", "userPrompt")
        if (
            len(documents) > MAX_DOCUMENTS
            or sum(map(len, documents)) > MAX_CHARACTERS
            or len(prompt) > MAX_CHARACTERS
        ):
            raise _invalid("The prompt or the documents are too long.", "documents")
        return {
            "userPromptAnalysis": {"attackDetected": self._has(Detection.JAILBREAK, prompt)},
            "documentsAnalysis": [
                {"attackDetected": self._has(Detection.INDIRECT, document)} for document in documents
            ],
        }

    def protected_text(self, body: Mapping[str, Any]) -> Any:
        """Return the analysis of a text for protected material."""
        detected = self._has(Detection.PROTECTED_TEXT, _text(body, "text"))
        return {"protectedMaterialAnalysis": {"detected": detected}}

    def protected_code(self, body: Mapping[str, Any]) -> Any:
        """Return the analysis of code for protected material, with its citation."""
        detected = self._has(Detection.PROTECTED_CODE, _text(body, "code"))
        citations = [{"license": "NOASSERTION", "sourceUrls": ["https://example.org/source"]}]
        analysis = {"detected": detected, "codeCitations": citations if detected else []}
        return {"protectedMaterialAnalysis": analysis}

    def _judge(self, text: str) -> Verdict:
        normalized = normalize(text)
        return merge(rule.verdict for rule in self.rules if rule.matches(normalized))

    def _has(self, detection: Detection, text: str) -> bool:
        return detection in self._judge(text).detections


OPERATIONS: Mapping[str, Callable[[EmulatedService, Mapping[str, Any]], Any]] = {
    "text:analyze": EmulatedService.analyze_text,
    "image:analyze": EmulatedService.analyze_image,
    "text:shieldPrompt": EmulatedService.shield_prompt,
    "text:detectProtectedMaterial": EmulatedService.protected_text,
    "text:detectProtectedMaterialForCode": EmulatedService.protected_code,
}


def _invalid(message: str, target: str) -> EmulatedError:
    return EmulatedError(400, "InvalidRequestBody", message, target)


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        raise _invalid("The request body is not JSON.", "body") from None
    if not isinstance(value, dict):
        raise _invalid("The request body is not an object.", "body")
    return value


def _text(body: Mapping[str, Any], key: str) -> str:
    text = body.get(key)
    if not isinstance(text, str) or not text:
        raise _invalid(f"The field {key} is required.", key)
    if len(text) > MAX_CHARACTERS:
        message = f"The length of {key} is {len(text)}, the maximum is {MAX_CHARACTERS} Unicode code points."
        raise _invalid(message, key)
    return text


def _analysis(body: Mapping[str, Any], verdict: Verdict) -> list[dict[str, Any]]:
    step = SEVERITY_STEPS.get(body.get("outputType", "FourSeverityLevels"))
    names = body.get("categories") or list(NAMES)
    if step is None or not set(names) <= NAMES.keys():
        raise _invalid("The categories or the outputType are not known.", "categories")
    return [
        {"category": name, "severity": verdict.severities.get(NAMES[name], 0) // step * step}
        for name in names
    ]


def _check_image(content: Any) -> None:
    from PIL import Image

    try:
        data = b64decode(content, validate=True)
        with Image.open(BytesIO(data), formats=IMAGE_FORMATS) as image:
            edges = image.size
    except Exception as error:
        raise _invalid("The image format is not supported.", "image.content") from error
    if len(data) > MAX_IMAGE_BYTES or min(edges) < MIN_IMAGE_EDGE or max(edges) > MAX_IMAGE_EDGE:
        raise _invalid("The image size is not supported.", "image.content")

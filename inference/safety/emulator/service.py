"""The operations: a request's path, headers and body become a status, headers and a body.

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
from inference.safety.blocklist import BlocklistRule, plain
from inference.safety.text_splitting import LIMIT
from inference.safety.verdict import Detection, Verdict, worst

VERSIONS = ("2023-10-01", "2024-09-01", "2024-09-15-preview", "2024-09-30-preview")
SINCE: Mapping[str, Sequence[str]] = {
    "text:analyze": VERSIONS,
    "image:analyze": VERSIONS,
    "text:shieldPrompt": VERSIONS[1:],
    "text:detectProtectedMaterial": VERSIONS[1:],
    "text:detectProtectedMaterialForCode": ("2024-09-15-preview",),
}
"""The versions that have an operation."""
NAMES: Mapping[str, HarmCategory] = {
    "Hate": HarmCategory.HATE,
    "SelfHarm": HarmCategory.SELF_HARM,
    "Sexual": HarmCategory.SEXUAL,
    "Violence": HarmCategory.VIOLENCE,
}
LEVELS = {"FourSeverityLevels": 2, "EightSeverityLevels": 1}
"""How far apart the severities of an output type are."""
MOST_DOCUMENTS = 5
MOST_IMAGE_BYTES = 4 * 1024 * 1024
SMALLEST_IMAGE, LARGEST_IMAGE = 50, 7200
IMAGE_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP")
LIST_NAME = re.compile(r"[0-9A-Za-z._~-]{1,64}")


class EmulatedError(Exception):
    """An error of the service."""

    def __init__(self, status: int, code: str, message: str, target: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        error = {"code": code, "message": message, **({"target": target} if target else {})}
        self.body = {"error": error}
        self.headers = {"x-ms-error-code": code}


@dataclass(slots=True)
class EmulatedService:
    """What the emulator knows: rules, the names of its blocklists, its key."""

    phrases: Sequence[BlocklistRule] = ()
    key: str = ""
    """Empty: any key will do, and a request must still carry one."""
    picture: Verdict = field(default_factory=Verdict)
    """What every picture is."""
    answered: int = 0
    """Requests answered, for whoever counts what a filter costs."""

    @property
    def blocklists(self) -> frozenset[str]:
        return worst(phrase.verdict for phrase in self.phrases).blocklists

    def answer(self, target: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Any, dict[str, str]]:
        """Status, JSON body and headers."""
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
        if operation not in SINCE or version not in SINCE[operation]:
            raise EmulatedError(404, "404", "Resource not found")
        return OPERATIONS[operation](self, _object(body))

    def _authorise(self, headers: Mapping[str, str]) -> None:
        given = headers.get("ocp-apim-subscription-key", "")
        bearer = headers.get("authorization", "").lower().startswith("bearer ")
        if not (given == self.key if self.key and not bearer else given or bearer):
            raise EmulatedError(
                401,
                "401",
                "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a "
                "valid key for an active subscription and use a correct regional API endpoint for your "
                "resource.",
            )

    def analyze(self, body: Mapping[str, Any]) -> Any:
        text = _text(body, "text")
        found = self._found(text)
        asked = body.get("blocklistNames") or []
        for name in asked:
            if not LIST_NAME.fullmatch(str(name)) or name not in self.blocklists:
                message = f"The blocklist {name} does not exist."
                raise EmulatedError(404, "ResourceNotFound", message, "blocklistNames")
        matches = [
            {"blocklistName": name, "blocklistItemId": "0", "blocklistItemText": ""}
            for name in asked
            if name in found.blocklists
        ]
        return {"blocklistsMatch": matches, "categoriesAnalysis": _analysis(body, found)}

    def analyze_image(self, body: Mapping[str, Any]) -> Any:
        image = body.get("image")
        if not isinstance(image, dict) or ("content" in image) == ("blobUrl" in image):
            raise _invalid("Either content or blobUrl of the image is needed.", "image")
        if "blobUrl" in image:
            raise _invalid("The emulator fetches nothing.", "image.blobUrl")
        _check_image(image["content"])
        if body.get("outputType", "FourSeverityLevels") != "FourSeverityLevels":
            raise _invalid("Images have four severity levels.", "outputType")
        return {"categoriesAnalysis": _analysis(body, self.picture)}

    def shield(self, body: Mapping[str, Any]) -> Any:
        prompt, documents = body.get("userPrompt") or "", body.get("documents") or []
        if not prompt and not documents:
            raise _invalid("The userPrompt or documents is needed.", "userPrompt")
        if len(documents) > MOST_DOCUMENTS or sum(map(len, documents)) > LIMIT or len(prompt) > LIMIT:
            raise _invalid("The prompt or the documents are too long.", "documents")
        return {
            "userPromptAnalysis": {"attackDetected": self._has(Detection.JAILBREAK, prompt)},
            "documentsAnalysis": [
                {"attackDetected": self._has(Detection.INDIRECT, one)} for one in documents
            ],
        }

    def protected_text(self, body: Mapping[str, Any]) -> Any:
        detected = self._has(Detection.PROTECTED_TEXT, _text(body, "text"))
        return {"protectedMaterialAnalysis": {"detected": detected}}

    def protected_code(self, body: Mapping[str, Any]) -> Any:
        detected = self._has(Detection.PROTECTED_CODE, _text(body, "code"))
        citations = [{"license": "NOASSERTION", "sourceUrls": ["https://example.org/source"]}]
        analysis = {"detected": detected, "codeCitations": citations if detected else []}
        return {"protectedMaterialAnalysis": analysis}

    def _found(self, text: str) -> Verdict:
        searched = plain(text)
        return worst(phrase.verdict for phrase in self.phrases if phrase.within(searched))

    def _has(self, finding: Detection, text: str) -> bool:
        return finding in self._found(text).found


OPERATIONS: Mapping[str, Callable[[EmulatedService, Mapping[str, Any]], Any]] = {
    "text:analyze": EmulatedService.analyze,
    "image:analyze": EmulatedService.analyze_image,
    "text:shieldPrompt": EmulatedService.shield,
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
    if len(text) > LIMIT:
        message = f"The length of {key} is {len(text)}, the maximum is {LIMIT} Unicode code points."
        raise _invalid(message, key)
    return text


def _analysis(body: Mapping[str, Any], found: Verdict) -> list[dict[str, Any]]:
    step = LEVELS.get(body.get("outputType", "FourSeverityLevels"))
    names = body.get("categories") or list(NAMES)
    if step is None or not set(names) <= NAMES.keys():
        raise _invalid("The categories or the outputType are not known.", "categories")
    return [
        {"category": name, "severity": found.severities.get(NAMES[name], 0) // step * step} for name in names
    ]


def _check_image(content: Any) -> None:
    from PIL import Image

    try:
        data = b64decode(content, validate=True)
        with Image.open(BytesIO(data), formats=IMAGE_FORMATS) as image:
            sides = image.size
    except Exception as error:
        raise _invalid("The image format is not supported.", "image.content") from error
    if len(data) > MOST_IMAGE_BYTES or min(sides) < SMALLEST_IMAGE or max(sides) > LARGEST_IMAGE:
        raise _invalid("The image size is not supported.", "image.content")

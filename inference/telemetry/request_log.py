"""What is told of a request: an id in and out, and one log line without a word of its content."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from uuid import uuid4

from inference.contracts import Usage

log = logging.getLogger("inference.requests")

DIGEST = 12
"""Hex digits of a label's digest: enough to find the requests of one caller again."""
LONGEST = 300
"""Characters of a path, or of dropped names, that a line shows."""
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


@dataclass(slots=True)
class RequestTrace:
    """One request on its way; the stages fill in what they learn, `end` writes the line."""

    id: str
    method: str
    path: str
    deployment: str = "-"
    dropped: tuple[str, ...] = ()
    prompt_tokens: int = 0
    completion_tokens: int = 0
    outcome: str = ""
    label: str = "-"
    started: float = field(default_factory=time.perf_counter)

    @classmethod
    def start(cls, method: str, path: str, headers: Mapping[str, str]) -> RequestTrace:
        """Takes the caller's `x-ms-client-request-id` when it is a plain word, else makes one."""
        given = headers.get("x-ms-client-request-id", "")
        return cls(given if REQUEST_ID.fullmatch(given) else str(uuid4()), method, path)

    @property
    def headers(self) -> dict[str, str]:
        """The response headers by which a caller can name this request."""
        return {"x-ms-request-id": self.id, "apim-request-id": self.id}

    @property
    def onward(self) -> dict[str, str]:
        """The request headers by which another endpoint can name this request."""
        return {"x-ms-client-request-id": self.id}

    def count(self, usage: Usage) -> None:
        """Notes the tokens of the answer."""
        self.prompt_tokens, self.completion_tokens = usage.prompt_tokens, usage.completion_tokens

    def file_under(self, labels: Mapping[str, object]) -> None:
        """Notes a digest of what the caller labelled the request with; the labels themselves stay unsaid."""
        if labels:
            text = "\n".join(f"{name}={labels[name]}" for name in sorted(labels))
            self.label = sha256(text.encode()).hexdigest()[:DIGEST]

    def end(self, status: int) -> None:
        """Write the line: the request, its deployment, its outcome, how long it took, how many tokens."""
        log.info(
            "%s %s -> %s %s deployment=%s tokens=%d+%d dropped=%s label=%s %.1f ms id=%s",
            self.method,
            _plain(self.path),
            status,
            self.outcome or "ok",
            self.deployment,
            self.prompt_tokens,
            self.completion_tokens,
            _plain(",".join(self.dropped)) or "-",
            self.label,
            (time.perf_counter() - self.started) * 1000,
            self.id,
        )


def _plain(text: str) -> str:
    """Text of the caller's making on one line: a line break in it would forge another line."""
    return text.encode("unicode_escape").decode()[:LONGEST]

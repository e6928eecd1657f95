"""The request log: one line for each request, and the ids by which a request is found in it."""

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

DIGEST_LENGTH = 12
"""Hex digits of a label's digest: enough to find the requests of one caller."""
MAX_CHARACTERS = 300
"""Characters of a path, or of the list of dropped parameters, in a line."""
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
"""Ids of callers that are kept; they need no escaping in a line or in a header."""


@dataclass(slots=True)
class RequestTrace:
    """The log record of one request: the stages fill it in, and `end` writes it.

    It has no content of the request or the response.
    """

    id: str
    method: str
    path: str
    deployment: str = "-"
    dropped: tuple[str, ...] = ()
    """Parameters that were removed from the request."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    outcome: str = ""
    """Code of the error that ended the request; empty if none did."""
    label: str = "-"
    """Digest of the labels by which the caller files the request."""
    started: float = field(default_factory=time.perf_counter)

    @classmethod
    def start(cls, method: str, path: str, headers: Mapping[str, str]) -> RequestTrace:
        """Return the record of a new request.

        Its id is the caller's `x-ms-client-request-id` if that matches `REQUEST_ID`, else a random one.
        """
        client_id = headers.get("x-ms-client-request-id", "")
        return cls(client_id if REQUEST_ID.fullmatch(client_id) else str(uuid4()), method, path)

    @property
    def headers(self) -> dict[str, str]:
        """Response headers with the id of this request, under OpenAI's name and Azure's."""
        return {"x-request-id": self.id, "x-ms-request-id": self.id, "apim-request-id": self.id}

    @property
    def milliseconds(self) -> float:
        """The time since the request came."""
        return (time.perf_counter() - self.started) * 1000

    @property
    def upstream_headers(self) -> dict[str, str]:
        """Headers with the id of this request, for requests to a remote endpoint."""
        return {"x-ms-client-request-id": self.id}

    def record_usage(self, usage: Usage) -> None:
        """Record the tokens of the request."""
        self.prompt_tokens, self.completion_tokens = usage.prompt_tokens, usage.completion_tokens

    def record_labels(self, labels: Mapping[str, object]) -> None:
        """Record a digest of the labels, which may be personal data themselves."""
        if labels:
            text = "\n".join(f"{name}={labels[name]}" for name in sorted(labels))
            self.label = sha256(text.encode()).hexdigest()[:DIGEST_LENGTH]

    def finish(self, status: int) -> None:
        """Write the line: the request, its deployment, its outcome, how long it took, how many tokens."""
        log.info(
            "%s %s -> %s %s deployment=%s tokens=%d+%d dropped=%s label=%s %.1f ms id=%s",
            _escaped(self.method),
            _escaped(self.path),
            status,
            self.outcome or "ok",
            self.deployment,
            self.prompt_tokens,
            self.completion_tokens,
            _escaped(",".join(self.dropped)) or "-",
            self.label,
            self.milliseconds,
            self.id,
        )


def _escaped(text: str) -> str:
    """Return text of the caller in printable ASCII without spaces, so that it forges no line and no field."""
    return text.encode("unicode_escape").decode().replace(" ", r"\x20")[:MAX_CHARACTERS]

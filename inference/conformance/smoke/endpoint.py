"""An endpoint under test, and what was found."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

LATER = (429, 503)
"""Busy, or a model that is still loading: asked again."""


class SmokeFailure(Exception):
    """An answer is not what it should be; the message says how."""


@dataclass(frozen=True, slots=True)
class SmokeCheck:
    """What one question showed, and how long it took."""

    name: str
    passed: bool
    seconds: float
    detail: str


@dataclass(slots=True)
class SmokeTarget:
    """Asked with its credentials; a cold one is waited for, `patience` seconds a question at most."""

    http: httpx.Client
    credentials: Mapping[str, str]
    patience: float = 240
    sleep: Callable[[float], None] = time.sleep
    checks: list[SmokeCheck] = field(default_factory=list)

    def ask(
        self, method: str, path: str, body: Any = None, credentials: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """The first answer that does not ask to come later, or the last one where patience ends."""
        headers = dict(self.credentials if credentials is None else credentials)
        deadline = time.monotonic() + self.patience
        while True:
            answer = self.http.request(method, path, json=body, headers=headers)
            if answer.status_code not in LATER or time.monotonic() >= deadline:
                return answer
            self.sleep(float(answer.headers.get("retry-after", 2)))

    def lines(self, path: str, body: Any) -> list[str]:
        """The lines of a streamed answer that say something. Raises `SmokeFailure` where it is refused."""
        with self.http.stream("POST", path, json=body, headers=dict(self.credentials)) as answer:
            if answer.status_code != 200:
                raise SmokeFailure(f"{answer.status_code}: {answer.read().decode()[:200]}")
            return [line for line in answer.iter_lines() if line]

    def check(self, name: str, question: Callable[[], str]) -> bool:
        """Notes what a question showed: its sentence, or what went wrong."""
        began = time.monotonic()
        try:
            detail, passed = question(), True
        except SmokeFailure as error:
            detail, passed = str(error), False
        except (httpx.HTTPError, LookupError, TypeError, ValueError) as error:
            detail, passed = f"{type(error).__name__}: {error}", False
        self.checks.append(SmokeCheck(name, passed, time.monotonic() - began, detail))
        return passed


def expect(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The JSON of an answer. Raises `SmokeFailure` where it has another status or none."""
    if answer.status_code != status:
        raise SmokeFailure(f"{answer.status_code} instead of {status}: {answer.text[:200]}")
    body: dict[str, Any] = answer.json()
    return body


def table(checks: Sequence[SmokeCheck]) -> str:
    """What was found, a line a check, and a line of sums."""
    width = max(len(check.name) for check in checks)
    lines = [
        f"{'ok' if check.passed else 'FAILED':<8}{check.name:<{width}}{check.seconds:>8.2f} s  {check.detail}"
        for check in checks
    ]
    failed = sum(not check.passed for check in checks)
    verdict = f"{failed} of {len(checks)} checks failed" if failed else f"{len(checks)} checks passed"
    return "\n".join([*lines, "", f"{verdict} in {sum(check.seconds for check in checks):.1f} s"])

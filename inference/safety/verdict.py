"""What was found in a text or a picture: plain values that add up, the stricter winning."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from typing import Any

from inference.contracts import HarmCategory
from inference.errors import SafetyUnavailable

WORDS = ("safe", "low", "medium", "high")
"""A severity's word is that of its pair: 0 and 1 safe, 2 and 3 low, 4 and 5 medium, 6 and 7 high."""


class Detection(StrEnum):
    """What is there or not, without a severity; in the words of the content filter's wire."""

    JAILBREAK = "jailbreak"
    INDIRECT = "indirect_attack"
    PROTECTED_TEXT = "protected_material_text"
    PROTECTED_CODE = "protected_material_code"


@dataclass(frozen=True, slots=True)
class FilterChecks:
    """What a text is to be judged by."""

    categories: frozenset[HarmCategory] = frozenset()
    blocklists: tuple[str, ...] = ()
    findings: frozenset[Detection] = frozenset()

    @property
    def harm(self) -> FilterChecks:
        """The part that looks for harm whoever wrote the text."""
        return FilterChecks(self.categories, self.blocklists)

    def only(self, *findings: Detection) -> FilterChecks:
        """The part that looks for these findings."""
        return FilterChecks(findings=self.findings & frozenset(findings))

    def __bool__(self) -> bool:
        return bool(self.categories or self.blocklists or self.findings)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found; `|` joins what was found in parts, or by several who judge."""

    severities: Mapping[HarmCategory, int] = field(default_factory=dict)
    """From 0 to 7; a category that nobody judged is absent, which is not the same as 0."""
    blocklists: frozenset[str] = frozenset()
    """The lists of which an item was found."""
    found: frozenset[Detection] = frozenset()
    citations: tuple[Mapping[str, Any], ...] = ()
    """Where protected code comes from: `license` and `URL`."""
    failure: SafetyUnavailable | None = None
    """Why somebody who should have judged did not."""

    def __or__(self, other: Verdict) -> Verdict:
        both = {**self.severities, **other.severities}
        severities = {
            category: max(self.severities.get(category, 0), other.severities.get(category, 0))
            for category in both
        }
        return Verdict(
            severities,
            self.blocklists | other.blocklists,
            self.found | other.found,
            (*self.citations, *other.citations),
            self.failure or other.failure,
        )

    @property
    def spotless(self) -> bool:
        """Whether everybody judged and nobody found anything."""
        return not (self.failure or self.blocklists or self.found or any(self.severities.values()))


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """All verdicts in one."""
    total = Verdict()
    for verdict in verdicts:
        total |= verdict
    return total


def word(severity: int) -> str:
    """The word of a severity from 0 to 7."""
    return WORDS[severity // 2]


MOST = 20_000
"""Verdicts kept; some 300 bytes each."""
DIGEST = 12
"""Hex digits of a text's hash in the log: enough to find the same text again, and nothing of it."""


class VerdictCache:
    """The verdicts of the texts judged last. No text is kept."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._verdicts: OrderedDict[bytes, Verdict] = OrderedDict()

    def recall(self, text: str, checks: FilterChecks) -> Verdict | None:
        """The verdict of the same text under the same checks."""
        key = _key(text, checks)
        verdict = self._verdicts.get(key)
        if verdict is not None:
            self._verdicts.move_to_end(key)
        return verdict

    def keep(self, text: str, checks: FilterChecks, verdict: Verdict) -> None:
        """Remembers a verdict, unless somebody did not judge."""
        if verdict.failure:
            return
        self._verdicts[_key(text, checks)] = verdict
        if len(self._verdicts) > self._most:
            self._verdicts.popitem(last=False)


def digest(text: str) -> str:
    """What the log says of a text."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:DIGEST]


def _key(text: str, checks: FilterChecks) -> bytes:
    asked = (sorted(checks.categories), sorted(checks.blocklists), sorted(checks.findings))
    return sha256(f"{asked}\n{text}".encode("utf-8", "surrogatepass")).digest()

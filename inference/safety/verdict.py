"""Verdicts on texts and images, the checks that they answer, and a cache of them."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from typing import Any

from inference.contracts import HarmCategory
from inference.errors import SafetyUnavailable

SEVERITY_LABELS = ("safe", "low", "medium", "high")
"""Labels of pairs of severities: 0 and 1 are safe, 2 and 3 low, 4 and 5 medium, 6 and 7 high."""
CACHE_CAPACITY = 20_000
"""Verdicts of a cache; some 300 bytes each."""
DIGEST_LENGTH = 12
"""Hex digits of a text's hash in the log: enough to find the same text again, and nothing of its content."""


class Detection(StrEnum):
    """A finding without a severity, by its name in content filter results."""

    JAILBREAK = "jailbreak"
    INDIRECT = "indirect_attack"
    PROTECTED_TEXT = "protected_material_text"
    PROTECTED_CODE = "protected_material_code"


@dataclass(frozen=True, slots=True)
class FilterChecks:
    """The categories, blocklists and detections that a text is checked for."""

    categories: frozenset[HarmCategory] = frozenset()
    blocklists: tuple[str, ...] = ()
    detections: frozenset[Detection] = frozenset()

    @property
    def harm(self) -> FilterChecks:
        """The categories and blocklists, which apply to the texts of every author."""
        return FilterChecks(self.categories, self.blocklists)

    def only(self, *detections: Detection) -> FilterChecks:
        """Return these detections, as far as they are among the checks, and nothing else."""
        return FilterChecks(detections=self.detections & frozenset(detections))

    def __bool__(self) -> bool:
        return bool(self.categories or self.blocklists or self.detections)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The findings in a text or an image; `|` merges verdicts, and the stricter finding wins."""

    severities: Mapping[HarmCategory, int] = field(default_factory=dict)
    """Severities from 0 to 7; a category that no moderator checked is absent, which differs from 0."""
    blocklists: frozenset[str] = frozenset()
    """Names of the blocklists of which an item was found."""
    detections: frozenset[Detection] = frozenset()
    citations: tuple[Mapping[str, Any], ...] = ()
    """Sources of protected code: `license` and `URL`."""
    failure: SafetyUnavailable | None = None
    """The first failure of a moderator that could not check its part."""

    def __or__(self, other: Verdict) -> Verdict:
        both = {**self.severities, **other.severities}
        severities = {
            category: max(self.severities.get(category, 0), other.severities.get(category, 0))
            for category in both
        }
        return Verdict(
            severities,
            self.blocklists | other.blocklists,
            self.detections | other.detections,
            (*self.citations, *other.citations),
            self.failure or other.failure,
        )

    @property
    def clean(self) -> bool:
        """True if every check was made and none found anything."""
        return not (self.failure or self.blocklists or self.detections or any(self.severities.values()))


def merge(verdicts: Iterable[Verdict]) -> Verdict:
    """Return all verdicts as one, the worst of each finding."""
    total = Verdict()
    for verdict in verdicts:
        total |= verdict
    return total


def severity_label(severity: int) -> str:
    """Return the label of a severity from 0 to 7."""
    return SEVERITY_LABELS[severity // 2]


class VerdictCache:
    """The verdicts on the texts checked most recently, by hash; no text is stored.

    A verdict expires, so that a change of a moderator's rules or blocklists takes effect.
    """

    def __init__(
        self,
        capacity: int = CACHE_CAPACITY,
        seconds: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the `seconds` from its check that a verdict counts; 0 for none at all."""
        self._capacity = capacity
        self._seconds = seconds
        self._clock = clock
        self._verdicts: OrderedDict[bytes, tuple[Verdict, float]] = OrderedDict()
        """Verdicts with the time of their check."""

    def get(self, text: str, checks: FilterChecks) -> Verdict | None:
        """Return the verdict on the same text under the same checks, None if it is not cached."""
        key = _key(text, checks)
        verdict, checked = self._verdicts.get(key, (None, 0.0))
        if verdict is None:
            return None
        if self._clock() - checked >= self._seconds:
            del self._verdicts[key]
            return None
        self._verdicts.move_to_end(key)
        return verdict

    def put(self, text: str, checks: FilterChecks, verdict: Verdict) -> None:
        """Store a verdict, unless a moderator failed."""
        if verdict.failure:
            return
        self._verdicts[_key(text, checks)] = verdict, self._clock()
        if len(self._verdicts) > self._capacity:
            self._verdicts.popitem(last=False)


def digest(text: str) -> str:
    """Return a short hash of a text, for the log."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:DIGEST_LENGTH]


def _key(text: str, checks: FilterChecks) -> bytes:
    parts = (sorted(checks.categories), sorted(checks.blocklists), sorted(checks.detections))
    return sha256(f"{parts}\n{text}".encode("utf-8", "surrogatepass")).digest()

"""Verdicts: how they merge, their labels, and the cache of them."""

from __future__ import annotations

from inference.contracts import HarmCategory
from inference.errors import SafetyUnavailable
from inference.safety.moderator import ALL_CATEGORIES
from inference.safety.verdict import (
    Detection,
    FilterChecks,
    Verdict,
    VerdictCache,
    digest,
    merge,
    severity_label,
)
from tests.safety.judges import BAD


def test_severities_have_four_labels() -> None:
    assert [severity_label(severity) for severity in range(8)] == [
        *("safe", "safe", "low", "low", "medium", "medium", "high", "high")
    ]


def test_merged_verdicts_have_the_worst_of_each_finding() -> None:
    away = SafetyUnavailable("away")
    parts = [
        Verdict({HarmCategory.HATE: 2}),
        Verdict({HarmCategory.HATE: 1, HarmCategory.SEXUAL: 0}, detections=frozenset({Detection.JAILBREAK})),
        Verdict(failure=away),
    ]
    both = merge(parts)
    assert both.severities == {HarmCategory.HATE: 2, HarmCategory.SEXUAL: 0}
    assert both.detections == {Detection.JAILBREAK}
    assert both.failure is away
    assert not both.clean
    assert Verdict({HarmCategory.HATE: 0}).clean


def test_the_cache_evicts_the_longest_unused_and_keys_by_checks() -> None:
    cache = VerdictCache(capacity=2)
    harm, shield = FilterChecks(ALL_CATEGORIES), FilterChecks(detections=frozenset({Detection.JAILBREAK}))
    cache.put("one", harm, BAD)
    cache.put("two", harm, BAD)
    assert cache.get("one", harm) == BAD
    assert cache.get("one", shield) is None
    cache.put("three", harm, BAD)
    assert cache.get("two", harm) is None
    assert cache.get("one", harm) == BAD


def test_a_cached_verdict_expires_however_often_it_is_used() -> None:
    now = [100.0]
    cache, harm = VerdictCache(seconds=60, clock=lambda: now[0]), FilterChecks(ALL_CATEGORIES)
    cache.put("one", harm, BAD)
    for second in (100.0, 130.0, 159.9):
        now[0] = second
        assert cache.get("one", harm) == BAD
    now[0] = 160.0
    assert cache.get("one", harm) is None
    cache.put("one", harm, Verdict())
    assert cache.get("one", harm) == Verdict()


def test_no_verdict_is_used_again_where_they_expire_at_once() -> None:
    cache, harm = VerdictCache(seconds=0), FilterChecks(ALL_CATEGORIES)
    cache.put("one", harm, BAD)
    assert cache.get("one", harm) is None


def test_a_digest_has_twelve_digits_for_any_text() -> None:
    assert len(digest("one")) == 12
    assert digest("one") != digest("two")
    assert digest("\ud800")

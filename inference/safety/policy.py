"""What is judged, and what follows from a verdict: a side for what comes in and one for what goes out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from inference.contracts import HarmCategory
from inference.safety.verdict import Detection, FilterChecks, Verdict, word
from inference.settings import Settings

INPUT_FINDINGS = (Detection.JAILBREAK, Detection.INDIRECT)
OUTPUT_FINDINGS = (Detection.PROTECTED_TEXT, Detection.PROTECTED_CODE)
FAILED: Mapping[str, Any] = MappingProxyType(
    {"error": {"code": "content_filter_error", "message": "The contents are not filtered"}}
)
"""What stands in place of results that there are none of: the words of Azure OpenAI's reference."""


class FilterAction(StrEnum):
    """What happens to a text in which something was found."""

    BLOCK = "block"
    ANNOTATE = "annotate"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class FilterRule:
    """From which severity, 1 to 7, a category counts, and what then happens."""

    threshold: int
    action: FilterAction

    def describe(self) -> dict[str, Any]:
        return {"threshold": self.threshold, "action": self.action}


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict under a policy: whether the text may not pass, and the results in the wire's words."""

    verdict: Verdict
    blocked: bool
    results: Mapping[str, Any]

    @property
    def reasons(self) -> str:
        """What was found, without a word of the text: for the log."""
        harms = [f"{c}={s}" for c, s in sorted(self.verdict.severities.items()) if s]
        return ",".join([*harms, *sorted(self.verdict.blocklists), *sorted(self.verdict.found)]) or "-"


@dataclass(frozen=True, slots=True)
class FilterSide:
    """The rules of one direction."""

    rules: Mapping[HarmCategory, FilterRule]
    blocklists: tuple[str, ...] = ()
    findings: Mapping[Detection, FilterAction] = field(default_factory=dict)

    @property
    def checks(self) -> FilterChecks:
        """What has to be judged for these rules."""
        return FilterChecks(
            frozenset(c for c, rule in self.rules.items() if rule.action is not FilterAction.OFF),
            self.blocklists,
            frozenset(f for f, action in self.findings.items() if action is not FilterAction.OFF),
        )

    def judge(self, verdict: Verdict) -> Decision:
        """What follows from a verdict; who did not judge is no reason to block here."""
        results: dict[str, Any] = {}
        for category in sorted(verdict.severities):
            results |= self._harm(category, verdict.severities[category])
        for finding in sorted(self.checks.findings):
            results |= self._finding(finding, verdict)
        if self.blocklists or verdict.blocklists:
            results["custom_blocklists"] = _listed(verdict.blocklists)
        blocked = any(result["filtered"] for result in results.values())
        if verdict.failure:
            results |= FAILED
        return Decision(verdict, blocked, results)

    def _harm(self, category: HarmCategory, severity: int) -> dict[str, Any]:
        rule = self.rules.get(category)
        if rule is None or rule.action is FilterAction.OFF:
            return {}
        filtered = rule.action is FilterAction.BLOCK and severity >= rule.threshold
        return {category.value: {"filtered": filtered, "severity": word(severity)}}

    def _finding(self, finding: Detection, verdict: Verdict) -> dict[str, Any]:
        detected = finding in verdict.found
        filtered = detected and self.findings[finding] is FilterAction.BLOCK
        result: dict[str, Any] = {"filtered": filtered, "detected": detected}
        if finding is Detection.PROTECTED_CODE and verdict.citations:
            result["citation"] = dict(verdict.citations[0])
        return {finding.value: result}

    def describe(self) -> dict[str, Any]:
        """The rules as `/info` shows them."""
        return {
            **{category.value: rule.describe() for category, rule in sorted(self.rules.items())},
            **{finding.value: action for finding, action in sorted(self.findings.items())},
            "blocklists": list(self.blocklists),
        }


@dataclass(frozen=True, slots=True)
class FilterPolicy:
    """What a deployment's texts and pictures are held to."""

    incoming: FilterSide
    outgoing: FilterSide
    asynchronous: bool = False
    """Show first, judge beside it."""
    images: bool = True
    """Judge pictures by the rules for what comes in."""

    @classmethod
    def of(cls, settings: Settings, card: Mapping[str, Any]) -> FilterPolicy:
        """The app's default, and over it what a card's `content_safety` sets."""
        actions = {
            Detection.JAILBREAK: settings.content_safety_jailbreak,
            Detection.INDIRECT: settings.content_safety_indirect_attack,
            Detection.PROTECTED_TEXT: settings.content_safety_protected_text,
            Detection.PROTECTED_CODE: settings.content_safety_protected_code,
        }
        actions |= {finding: card[finding] for finding in Detection if finding in card}
        lists = tuple(card.get("blocklists", settings.content_safety_blocklists))
        asked = card.get("mode", settings.content_safety_mode)
        incoming = _rules(settings.content_safety_input, card.get("input", {}))
        outgoing = _rules(settings.content_safety_output, card.get("output", {}))
        return cls(
            FilterSide(incoming, lists, _of(actions, INPUT_FINDINGS)),
            FilterSide(outgoing, lists, _of(actions, OUTPUT_FINDINGS)),
            asked == "async",
            card.get("images", settings.content_safety_images),
        )

    def describe(self) -> dict[str, Any]:
        """The policy as `/info` shows it."""
        return {
            "input": self.incoming.describe(),
            "output": self.outgoing.describe(),
            "mode": "async" if self.asynchronous else "sync",
            "images": self.images,
        }


def _rules(
    default: Iterable[tuple[str, int, str]], card: Mapping[str, Any]
) -> Mapping[HarmCategory, FilterRule]:
    rules = {
        HarmCategory(name): FilterRule(threshold, FilterAction(action)) for name, threshold, action in default
    }
    for name, given in card.items():
        known = rules[HarmCategory(name)]
        rules[HarmCategory(name)] = replace(
            known,
            threshold=given.get("threshold", known.threshold),
            action=FilterAction(given.get("action", known.action)),
        )
    return rules


def _of(actions: Mapping[Detection, str], findings: Iterable[Detection]) -> Mapping[Detection, FilterAction]:
    return {finding: FilterAction(actions[finding]) for finding in findings}


def _listed(names: Iterable[str]) -> dict[str, Any]:
    """The blocklists of which an item was found; a list has no milder action than to block."""
    details = [{"id": name, "filtered": True} for name in sorted(names)]
    return {"filtered": bool(details), "details": details}

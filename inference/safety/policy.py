"""The policy of a content filter: the rules of each direction, and the decision on a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from inference.contracts import HarmCategory
from inference.safety.verdict import Detection, FilterChecks, Verdict, severity_label
from inference.settings import Settings

INPUT_DETECTIONS = (Detection.JAILBREAK, Detection.INDIRECT)
OUTPUT_DETECTIONS = (Detection.PROTECTED_TEXT, Detection.PROTECTED_CODE)
FAILURE_RESULT: Mapping[str, Any] = MappingProxyType(
    {"error": {"code": "content_filter_error", "message": "The contents are not filtered"}}
)
"""The result of a check that failed, in the words of Azure OpenAI's reference."""


class FilterAction(StrEnum):
    """The consequence of a finding."""

    BLOCK = "block"
    ANNOTATE = "annotate"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class FilterRule:
    """The severity, 1 to 7, from which a category counts, and the action it then has."""

    threshold: int
    action: FilterAction

    def describe(self) -> dict[str, Any]:
        """Return the rule as `/info` shows it."""
        return {"threshold": self.threshold, "action": self.action}


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict under a policy: `blocked`, and the content filter results as they are sent."""

    verdict: Verdict
    blocked: bool
    results: Mapping[str, Any]

    @property
    def reasons(self) -> str:
        """The findings for the log, without any of the text."""
        harms = [f"{c}={s}" for c, s in sorted(self.verdict.severities.items()) if s]
        return ",".join([*harms, *sorted(self.verdict.blocklists), *sorted(self.verdict.detections)]) or "-"


@dataclass(frozen=True, slots=True)
class FilterSide:
    """The rules of one direction: for requests or for answers."""

    rules: Mapping[HarmCategory, FilterRule]
    blocklists: tuple[str, ...] = ()
    detections: Mapping[Detection, FilterAction] = field(default_factory=dict)

    @property
    def checks(self) -> FilterChecks:
        """The checks that these rules need."""
        return FilterChecks(
            frozenset(c for c, rule in self.rules.items() if rule.action is not FilterAction.OFF),
            self.blocklists,
            frozenset(d for d, action in self.detections.items() if action is not FilterAction.OFF),
        )

    def judge(self, verdict: Verdict) -> Decision:
        """Return the decision on a verdict; a moderator's failure alone does not block."""
        results: dict[str, Any] = {}
        for category in sorted(verdict.severities):
            results |= self._harm(category, verdict.severities[category])
        for detection in sorted(self.checks.detections):
            results |= self._detection(detection, verdict)
        if self.blocklists or verdict.blocklists:
            results["custom_blocklists"] = _blocklist_result(verdict.blocklists)
        blocked = any(result["filtered"] for result in results.values())
        if verdict.failure:
            results |= FAILURE_RESULT
        return Decision(verdict, blocked, results)

    def _harm(self, category: HarmCategory, severity: int) -> dict[str, Any]:
        rule = self.rules.get(category)
        if rule is None or rule.action is FilterAction.OFF:
            return {}
        filtered = rule.action is FilterAction.BLOCK and severity >= rule.threshold
        return {category.value: {"filtered": filtered, "severity": severity_label(severity)}}

    def _detection(self, detection: Detection, verdict: Verdict) -> dict[str, Any]:
        detected = detection in verdict.detections
        filtered = detected and self.detections[detection] is FilterAction.BLOCK
        result: dict[str, Any] = {"filtered": filtered, "detected": detected}
        if detection is Detection.PROTECTED_CODE and verdict.citations:
            result["citation"] = dict(verdict.citations[0])
        return {detection.value: result}

    def describe(self) -> dict[str, Any]:
        """Return the rules as `/info` shows them."""
        return {
            **{category.value: rule.describe() for category, rule in sorted(self.rules.items())},
            **{detection.value: action for detection, action in sorted(self.detections.items())},
            "blocklists": list(self.blocklists),
        }


@dataclass(frozen=True, slots=True)
class FilterPolicy:
    """The rules for the requests and the answers of a deployment."""

    incoming: FilterSide
    outgoing: FilterSide
    asynchronous: bool = False
    """Send text at once and check it meanwhile."""
    images: bool = True
    """Check images by the rules for requests."""

    @classmethod
    def from_settings(cls, settings: Settings, card: Mapping[str, Any]) -> FilterPolicy:
        """Return the app's default, overridden by a card's `content_safety`."""
        actions = {
            Detection.JAILBREAK: settings.content_safety_jailbreak,
            Detection.INDIRECT: settings.content_safety_indirect_attack,
            Detection.PROTECTED_TEXT: settings.content_safety_protected_text,
            Detection.PROTECTED_CODE: settings.content_safety_protected_code,
        }
        actions |= {detection: card[detection] for detection in Detection if detection in card}
        blocklists = tuple(card.get("blocklists", settings.content_safety_blocklists))
        mode = card.get("mode", settings.content_safety_mode)
        incoming = _rules(settings.content_safety_input, card.get("input", {}))
        outgoing = _rules(settings.content_safety_output, card.get("output", {}))
        return cls(
            FilterSide(incoming, blocklists, _select(actions, INPUT_DETECTIONS)),
            FilterSide(outgoing, blocklists, _select(actions, OUTPUT_DETECTIONS)),
            mode == "async",
            card.get("images", settings.content_safety_images),
        )

    def describe(self) -> dict[str, Any]:
        """Return the policy as `/info` shows it."""
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
    for name, changes in card.items():
        rule = rules[HarmCategory(name)]
        rules[HarmCategory(name)] = replace(
            rule,
            threshold=changes.get("threshold", rule.threshold),
            action=FilterAction(changes.get("action", rule.action)),
        )
    return rules


def _select(
    actions: Mapping[Detection, str], detections: Iterable[Detection]
) -> Mapping[Detection, FilterAction]:
    return {detection: FilterAction(actions[detection]) for detection in detections}


def _blocklist_result(names: Iterable[str]) -> dict[str, Any]:
    """Return the result of the blocklists that matched; a match always blocks."""
    details = [{"id": name, "filtered": True} for name in sorted(names)]
    return {"filtered": bool(details), "details": details}

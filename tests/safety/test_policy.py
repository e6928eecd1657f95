"""Policies: rules from the settings, overridden by a card, and their decisions on verdicts."""

from __future__ import annotations

from typing import Any

import pytest

from inference.cards.content_safety import CardContentSafety
from inference.contracts import HarmCategory
from inference.errors import SafetyUnavailable
from inference.safety.policy import FAILURE_RESULT, FilterAction, FilterPolicy, FilterRule, FilterSide
from inference.safety.verdict import Detection, Verdict
from inference.settings import InvalidSetting, Settings

AZURE = "https://name.cognitiveservices.azure.com"


def settings(**changes: str) -> Settings:
    return Settings.from_environment({f"INFERENCE_CONTENT_SAFETY_{k}": v for k, v in changes.items()})


def policy(card: dict[str, Any] | None = None, **changes: str) -> FilterPolicy:
    return FilterPolicy.from_settings(
        settings(**changes), CardContentSafety.model_validate(card or {}).overrides
    )


def test_the_default_blocks_medium_and_above_both_ways() -> None:
    made = policy()
    for side in (made.incoming, made.outgoing):
        assert side.rules == dict.fromkeys(HarmCategory, FilterRule(4, FilterAction.BLOCK))
        assert not side.checks.detections
    assert not made.asynchronous
    assert made.images


def test_the_filter_is_off_without_a_moderator() -> None:
    assert not settings().content_safety_enabled
    assert settings(ENDPOINT=AZURE).content_safety_enabled
    assert settings(CLASSIFIER="toxic").content_safety_enabled
    assert settings(BLOCKLIST_FILES="phrases.txt").content_safety_enabled


@pytest.mark.parametrize(
    ("text", "category", "rule"),
    [
        ("low", HarmCategory.HATE, FilterRule(2, FilterAction.BLOCK)),
        ("high, violence=3", HarmCategory.VIOLENCE, FilterRule(3, FilterAction.BLOCK)),
        ("high, violence=3", HarmCategory.HATE, FilterRule(6, FilterAction.BLOCK)),
        ("sexual = low : annotate", HarmCategory.SEXUAL, FilterRule(2, FilterAction.ANNOTATE)),
        ("off", HarmCategory.SELF_HARM, FilterRule(4, FilterAction.OFF)),
        ("self_harm=off", HarmCategory.SELF_HARM, FilterRule(4, FilterAction.OFF)),
    ],
)
def test_a_setting_changes_the_rules_of_its_direction(
    text: str, category: HarmCategory, rule: FilterRule
) -> None:
    assert policy(INPUT=text).incoming.rules[category] == rule
    assert policy(INPUT=text).outgoing.rules[category] == FilterRule(4, FilterAction.BLOCK)


@pytest.mark.parametrize("text", ["strict", "hate=8", "greed=low", "low:maybe", "hate==2", "0"])
def test_an_invalid_setting_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidSetting, match="INFERENCE_CONTENT_SAFETY_INPUT"):
        settings(INPUT=text)


def test_a_card_overrides_the_settings() -> None:
    card = {
        "input": {"violence": {"threshold": "high"}, "hate": {"threshold": 1}},
        "output": {"sexual": {"action": "annotate"}},
        "jailbreak": "block",
        "protected_material_text": "annotate",
        "blocklists": ["ours"],
        "mode": "async",
        "images": False,
    }
    made = policy(card, JAILBREAK="annotate", INDIRECT_ATTACK="block", BLOCKLISTS="theirs")
    assert made.incoming.rules[HarmCategory.VIOLENCE] == FilterRule(6, FilterAction.BLOCK)
    assert made.incoming.rules[HarmCategory.HATE] == FilterRule(1, FilterAction.BLOCK)
    assert made.incoming.rules[HarmCategory.SEXUAL] == FilterRule(4, FilterAction.BLOCK)
    assert made.outgoing.rules[HarmCategory.SEXUAL] == FilterRule(4, FilterAction.ANNOTATE)
    assert made.incoming.detections == {
        Detection.JAILBREAK: FilterAction.BLOCK,
        Detection.INDIRECT: FilterAction.BLOCK,
    }
    assert made.outgoing.detections[Detection.PROTECTED_TEXT] is FilterAction.ANNOTATE
    assert made.outgoing.blocklists == ("ours",)
    assert made.asynchronous
    assert not made.images


SIDE = FilterSide(
    {
        HarmCategory.HATE: FilterRule(4, FilterAction.BLOCK),
        HarmCategory.VIOLENCE: FilterRule(2, FilterAction.ANNOTATE),
        HarmCategory.SEXUAL: FilterRule(4, FilterAction.OFF),
    },
    ("slang",),
    {Detection.JAILBREAK: FilterAction.BLOCK, Detection.INDIRECT: FilterAction.ANNOTATE},
)


@pytest.mark.parametrize(
    ("verdict", "blocked"),
    [
        (Verdict({HarmCategory.HATE: 3}), False),
        (Verdict({HarmCategory.HATE: 4}), True),
        (Verdict({HarmCategory.VIOLENCE: 7}), False),
        (Verdict({HarmCategory.SEXUAL: 7}), False),
        (Verdict(blocklists=frozenset({"slang"})), True),
        (Verdict(detections=frozenset({Detection.JAILBREAK})), True),
        (Verdict(detections=frozenset({Detection.INDIRECT})), False),
    ],
)
def test_a_verdict_blocks_by_the_rule_of_its_finding(verdict: Verdict, blocked: bool) -> None:
    assert SIDE.judge(verdict).blocked is blocked


def test_results_have_the_shape_of_the_wire() -> None:
    verdict = Verdict(
        {HarmCategory.HATE: 5, HarmCategory.VIOLENCE: 2, HarmCategory.SEXUAL: 6}, frozenset({"slang"})
    )
    assert SIDE.judge(verdict).results == {
        "hate": {"filtered": True, "severity": "medium"},
        "violence": {"filtered": False, "severity": "low"},
        "jailbreak": {"filtered": False, "detected": False},
        "indirect_attack": {"filtered": False, "detected": False},
        "custom_blocklists": {"filtered": True, "details": [{"id": "slang", "filtered": True}]},
    }


def test_a_failure_is_in_the_results_and_does_not_block() -> None:
    decision = SIDE.judge(Verdict(failure=SafetyUnavailable("away")))
    assert not decision.blocked
    assert decision.results["error"] == FAILURE_RESULT["error"]


def test_the_reasons_for_the_log_are_the_findings_alone() -> None:
    verdict = Verdict(
        {HarmCategory.HATE: 5, HarmCategory.SEXUAL: 0}, frozenset({"slang"}), frozenset({Detection.JAILBREAK})
    )
    assert SIDE.judge(verdict).reasons == "hate=5,slang,jailbreak"

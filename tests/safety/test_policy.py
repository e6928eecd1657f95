"""Rules: what the settings say, what a card says over it, and what follows from a verdict."""

from __future__ import annotations

from typing import Any

import pytest

from inference.cards.content_safety import ContentSafety
from inference.contracts import Category
from inference.errors import SafetyUnavailable
from inference.safety.policy import FAILED, Action, Policy, Rule, Side
from inference.safety.verdict import Finding, Verdict, word, worst
from inference.settings import InvalidSetting, Settings

AZURE = "https://name.cognitiveservices.azure.com"


def settings(**changes: str) -> Settings:
    return Settings.from_environment({f"INFERENCE_CONTENT_SAFETY_{k}": v for k, v in changes.items()})


def policy(card: dict[str, Any] | None = None, **changes: str) -> Policy:
    return Policy.of(settings(**changes), ContentSafety.model_validate(card or {}).changes)


def test_the_default_blocks_medium_and_above_both_ways() -> None:
    made = policy()
    for side in (made.incoming, made.outgoing):
        assert side.rules == dict.fromkeys(Category, Rule(4, Action.BLOCK))
        assert not side.checks.findings
    assert not made.asynchronous
    assert made.images


def test_without_anybody_to_judge_it_is_off() -> None:
    assert not settings().content_safety_on
    assert settings(ENDPOINT=AZURE).content_safety_on
    assert settings(CLASSIFIER="toxic").content_safety_on
    assert settings(BLOCKLIST_FILES="phrases.txt").content_safety_on


@pytest.mark.parametrize(
    ("text", "category", "rule"),
    [
        ("low", Category.HATE, Rule(2, Action.BLOCK)),
        ("high, violence=3", Category.VIOLENCE, Rule(3, Action.BLOCK)),
        ("high, violence=3", Category.HATE, Rule(6, Action.BLOCK)),
        ("sexual = low : annotate", Category.SEXUAL, Rule(2, Action.ANNOTATE)),
        ("off", Category.SELF_HARM, Rule(4, Action.OFF)),
        ("self_harm=off", Category.SELF_HARM, Rule(4, Action.OFF)),
    ],
)
def test_what_a_setting_says(text: str, category: Category, rule: Rule) -> None:
    assert policy(INPUT=text).incoming.rules[category] == rule
    assert policy(INPUT=text).outgoing.rules[category] == Rule(4, Action.BLOCK)


@pytest.mark.parametrize("text", ["strict", "hate=8", "greed=low", "low:maybe", "hate==2", "0"])
def test_what_a_setting_cannot_say(text: str) -> None:
    with pytest.raises(InvalidSetting, match="INFERENCE_CONTENT_SAFETY_INPUT"):
        settings(INPUT=text)


def test_a_card_narrows_and_widens() -> None:
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
    assert made.incoming.rules[Category.VIOLENCE] == Rule(6, Action.BLOCK)
    assert made.incoming.rules[Category.HATE] == Rule(1, Action.BLOCK)
    assert made.incoming.rules[Category.SEXUAL] == Rule(4, Action.BLOCK)
    assert made.outgoing.rules[Category.SEXUAL] == Rule(4, Action.ANNOTATE)
    assert made.incoming.findings == {Finding.JAILBREAK: Action.BLOCK, Finding.INDIRECT: Action.BLOCK}
    assert made.outgoing.findings[Finding.PROTECTED_TEXT] is Action.ANNOTATE
    assert made.outgoing.blocklists == ("ours",)
    assert made.asynchronous
    assert not made.images


def test_severities_have_four_words() -> None:
    assert [word(severity) for severity in range(8)] == [
        *("safe", "safe", "low", "low", "medium", "medium", "high", "high")
    ]


SIDE = Side(
    {
        Category.HATE: Rule(4, Action.BLOCK),
        Category.VIOLENCE: Rule(2, Action.ANNOTATE),
        Category.SEXUAL: Rule(4, Action.OFF),
    },
    ("slang",),
    {Finding.JAILBREAK: Action.BLOCK, Finding.INDIRECT: Action.ANNOTATE},
)


@pytest.mark.parametrize(
    ("verdict", "blocked"),
    [
        (Verdict({Category.HATE: 3}), False),
        (Verdict({Category.HATE: 4}), True),
        (Verdict({Category.VIOLENCE: 7}), False),
        (Verdict({Category.SEXUAL: 7}), False),
        (Verdict(blocklists=frozenset({"slang"})), True),
        (Verdict(found=frozenset({Finding.JAILBREAK})), True),
        (Verdict(found=frozenset({Finding.INDIRECT})), False),
    ],
)
def test_what_blocks(verdict: Verdict, blocked: bool) -> None:
    assert SIDE.judge(verdict).blocked is blocked


def test_results_are_in_the_wires_words() -> None:
    verdict = Verdict({Category.HATE: 5, Category.VIOLENCE: 2, Category.SEXUAL: 6}, frozenset({"slang"}))
    assert SIDE.judge(verdict).results == {
        "hate": {"filtered": True, "severity": "medium"},
        "violence": {"filtered": False, "severity": "low"},
        "jailbreak": {"filtered": False, "detected": False},
        "indirect_attack": {"filtered": False, "detected": False},
        "custom_blocklists": {"filtered": True, "details": [{"id": "slang", "filtered": True}]},
    }


def test_a_failure_is_told_and_blocks_nothing_by_itself() -> None:
    judgement = SIDE.judge(Verdict(failure=SafetyUnavailable("away")))
    assert not judgement.blocked
    assert judgement.results["error"] == FAILED["error"]


def test_of_several_verdicts_the_stricter_wins() -> None:
    away = SafetyUnavailable("away")
    parts = [
        Verdict({Category.HATE: 2}),
        Verdict({Category.HATE: 1, Category.SEXUAL: 0}, found=frozenset({Finding.JAILBREAK})),
        Verdict(failure=away),
    ]
    both = worst(parts)
    assert both.severities == {Category.HATE: 2, Category.SEXUAL: 0}
    assert both.found == {Finding.JAILBREAK}
    assert both.failure is away
    assert not both.spotless
    assert Verdict({Category.HATE: 0}).spotless


def test_the_log_says_what_was_found_and_nothing_else() -> None:
    verdict = Verdict(
        {Category.HATE: 5, Category.SEXUAL: 0}, frozenset({"slang"}), frozenset({Finding.JAILBREAK})
    )
    assert SIDE.judge(verdict).reasons == "hate=5,slang,jailbreak"

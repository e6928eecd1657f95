"""Blocklists: the syntax of rules, and the texts that they match."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference.contracts import HarmCategory
from inference.safety.blocklist import Blocklist, BlocklistError, normalize, parse_rule, read_blocklist
from inference.safety.moderator import ALL_CATEGORIES
from inference.safety.verdict import Detection, FilterChecks, Verdict
from inference.settings import PROJECT
from tests.http.filtered import INTRODUCTION

HARM = FilterChecks(ALL_CATEGORIES)


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        ("some words", Verdict(blocklists=frozenset({"file"}))),
        ("note: these words", Verdict(blocklists=frozenset({"file"}))),
        ("list slang: words", Verdict(blocklists=frozenset({"slang"}))),
        ("self_harm 7: words", Verdict({HarmCategory.SELF_HARM: 7})),
        ("jailbreak: words", Verdict(detections=frozenset({Detection.JAILBREAK}))),
    ],
)
def test_a_rule_has_the_verdict_of_its_kind(line: str, verdict: Verdict) -> None:
    assert parse_rule(line, "file").verdict == verdict


@pytest.mark.parametrize(
    "line", ["violence: words", "violence 9: words", "hate x: words", "a" * 129, "\u200b"]
)
def test_an_invalid_rule_is_refused_with_its_reason(line: str) -> None:
    with pytest.raises(ValueError, match=r"severity|at most|empty"):
        parse_rule(line, "file")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Chopping tomatoes!", True),
        ("chopping\n\t TOMATOES", True),
        ("\uff23hopping\u200b tomatoes", True),
        ("chopping tomatoeses", False),
        ("archopping tomatoes", False),
        ("chopping, tomatoes", False),
    ],
)
def test_a_phrase_matches_whole_words_in_any_case(text: str, found: bool) -> None:
    assert parse_rule("Chopping Tomatoes", "file").matches(normalize(text)) is found


def test_an_item_without_a_kind_belongs_to_the_list_of_the_files_name(tmp_path: Path) -> None:
    path = tmp_path / "ours.txt"
    path.write_text("# ours\n\nsome words\nviolence 4: chopping\n", encoding="utf-8")
    assert [rule.verdict.blocklists for rule in read_blocklist(path)] == [{"ours"}, set()]


def test_an_invalid_file_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "ours.txt"
    path.write_text("fine\nviolence 12: chopping\n", encoding="utf-8")
    with pytest.raises(BlocklistError, match=r"ours\.txt, line 2"):
        read_blocklist(path)
    with pytest.raises(BlocklistError, match="cannot be read"):
        read_blocklist(tmp_path / "missing.txt")


async def test_only_the_requested_checks_are_in_the_verdict() -> None:
    blocklist = Blocklist(
        [parse_rule(line, "ours") for line in ("violence 4: chop", "jailbreak: chop", "chop")]
    )
    assert await blocklist.judge("chop", HARM) == Verdict(
        {**dict.fromkeys(ALL_CATEGORIES, 0), HarmCategory.VIOLENCE: 4}, frozenset({"ours"})
    )
    found = await blocklist.judge("chop", FilterChecks(detections=frozenset({Detection.JAILBREAK})))
    assert found == Verdict(detections=frozenset({Detection.JAILBREAK}))


async def test_the_documented_sample_blocks_the_introductions_sentence() -> None:
    blocklist = Blocklist.read([PROJECT / "docs" / "content-safety-sample.txt"])
    verdict = await blocklist.judge(INTRODUCTION, HARM)
    assert verdict.severities[HarmCategory.VIOLENCE] == 4
    assert (await blocklist.judge("Slicing bread is easy.", HARM)).clean

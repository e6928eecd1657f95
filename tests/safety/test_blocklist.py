"""Lists of phrases: how a rule is written, and what finds it."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference.contracts import HarmCategory
from inference.safety.blocklist import Blocklist, BlocklistError, phrase, plain, read_blocklist
from inference.safety.moderator import ALL
from inference.safety.verdict import Detection, FilterChecks, Verdict
from inference.settings import PROJECT
from tests.http.filtered import INTRODUCTION

HARM = FilterChecks(ALL)


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        ("some words", Verdict(blocklists=frozenset({"file"}))),
        ("note: these words", Verdict(blocklists=frozenset({"file"}))),
        ("list slang: words", Verdict(blocklists=frozenset({"slang"}))),
        ("self_harm 7: words", Verdict({HarmCategory.SELF_HARM: 7})),
        ("jailbreak: words", Verdict(found=frozenset({Detection.JAILBREAK}))),
    ],
)
def test_what_a_rule_says(line: str, verdict: Verdict) -> None:
    assert phrase(line, "file").verdict == verdict


@pytest.mark.parametrize(
    "line", ["violence: words", "violence 9: words", "hate x: words", "a" * 129, "\u200b"]
)
def test_what_is_no_rule(line: str) -> None:
    with pytest.raises(ValueError, match=r"severity|at most|empty"):
        phrase(line, "file")


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
def test_a_phrase_is_found_as_whole_words(text: str, found: bool) -> None:
    assert phrase("Chopping Tomatoes", "file").within(plain(text)) is found


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "ours.txt"
    path.write_text("# ours\n\nsome words\nviolence 4: chopping\n", encoding="utf-8")
    assert [rule.verdict.blocklists for rule in read_blocklist(path)] == [{"ours"}, set()]


def test_a_broken_file_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "ours.txt"
    path.write_text("fine\nviolence 12: chopping\n", encoding="utf-8")
    with pytest.raises(BlocklistError, match=r"ours\.txt, line 2"):
        read_blocklist(path)
    with pytest.raises(BlocklistError, match="cannot be read"):
        read_blocklist(tmp_path / "missing.txt")


async def test_only_what_is_asked_for_is_judged() -> None:
    judge = Blocklist([phrase(line, "ours") for line in ("violence 4: chop", "jailbreak: chop", "chop")])
    assert await judge.judge("chop", HARM) == Verdict(
        {**dict.fromkeys(ALL, 0), HarmCategory.VIOLENCE: 4}, frozenset({"ours"})
    )
    found = await judge.judge("chop", FilterChecks(findings=frozenset({Detection.JAILBREAK})))
    assert found == Verdict(found=frozenset({Detection.JAILBREAK}))


async def test_the_documented_sample_blocks_the_introductions_sentence() -> None:
    judge = Blocklist.read([PROJECT / "docs" / "content-safety-sample.txt"])
    verdict = await judge.judge(INTRODUCTION, HARM)
    assert verdict.severities[HarmCategory.VIOLENCE] == 4
    assert (await judge.judge("Slicing bread is easy.", HARM)).spotless

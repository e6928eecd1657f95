"""What comes in: judged together, remembered apart."""

from __future__ import annotations

import numpy as np
import pytest

from inference.contracts import FilteredText, HarmCategory, TextOrigin
from inference.errors import SafetyUnavailable
from inference.safety.input_filter import InputFilter
from inference.safety.moderator import ALL, ModeratorEnsemble
from inference.safety.policy import Decision, FilterAction, FilterSide
from inference.safety.text_splitting import LIMIT
from inference.safety.verdict import Detection, FilterChecks, Verdict, VerdictCache, digest
from tests.safety.judges import BAD, MEDIUM, Judge

AWAY = SafetyUnavailable("away", retry_after=4)
SHIELDED = FilterSide(
    MEDIUM.rules, (), {Detection.JAILBREAK: FilterAction.BLOCK, Detection.INDIRECT: FilterAction.BLOCK}
)
LOW = Verdict({**dict.fromkeys(ALL, 0), HarmCategory.HATE: 2})


class Asking:
    """A gate, and who judges behind it."""

    def __init__(self, *judges: Judge, fail_open: bool = False) -> None:
        self.judge = judges[0]
        self.gate = InputFilter(ModeratorEnsemble(judges), VerdictCache(), fail_open=fail_open)

    async def __call__(self, *texts: str, side: FilterSide = MEDIUM) -> Decision:
        return await self.gate.judge([FilteredText(text) for text in texts], [], side, "tests")


async def test_the_texts_of_a_request_cost_one_check() -> None:
    ask = Asking(Judge())
    judgement = await ask("one", "two", "three")
    assert not judgement.blocked
    assert ask.judge.asked == ["one\n\ntwo\n\nthree"]


async def test_a_chat_that_grows_costs_what_is_new() -> None:
    ask = Asking(Judge())
    await ask("one", "two")
    await ask("one", "two", "three", "four")
    await ask("one", "two", "three", "four")
    assert ask.judge.asked == ["one\n\ntwo", "three\n\nfour"]


async def test_what_was_found_in_company_is_not_held_against_each() -> None:
    ask = Asking(Judge("two", bad=LOW))
    assert not (await ask("one", "two")).blocked
    ask.judge.phrase = "\0"
    assert (await ask("one")).verdict.spotless
    assert ask.judge.asked == ["one\n\ntwo", "one"]


async def test_the_same_request_again_is_remembered_whatever_was_found() -> None:
    ask = Asking(Judge("two"))
    assert (await ask("one", "two")).blocked
    assert (await ask("one", "two")).blocked
    assert len(ask.judge.asked) == 1


async def test_long_texts_are_split_with_an_overlap_and_judged_whole() -> None:
    ask = Asking(Judge("needle"))
    text = "x" * (LIMIT - 3) + "needle" + "y" * LIMIT
    assert (await ask(text)).blocked
    assert all(len(piece) <= LIMIT for piece in ask.judge.asked)


async def test_nothing_but_space_is_not_asked_about() -> None:
    ask = Asking(Judge())
    judgement = await ask("", " \n")
    assert ask.judge.asked == []
    assert judgement.results["hate"] == {"filtered": False, "severity": "safe"}


async def test_shields_look_at_who_wrote_it() -> None:
    judge = Judge()
    gate = InputFilter(ModeratorEnsemble([judge]), VerdictCache(), fail_open=False)
    passages = [FilteredText("u", TextOrigin.USER), FilteredText("t", TextOrigin.TOOL), FilteredText("s")]
    await gate.judge(passages, [], SHIELDED, "tests")
    asked = {
        finding: text
        for text, checks in zip(judge.asked, judge.checks, strict=True)
        for finding in checks.findings
    }
    assert asked == {Detection.JAILBREAK: "u", Detection.INDIRECT: "t"}
    assert "u\n\nt\n\ns" in judge.asked


async def test_pictures_are_looked_at() -> None:
    judge = Judge("4, 4")
    gate = InputFilter(ModeratorEnsemble([judge]), VerdictCache(), fail_open=False)
    judgement = await gate.judge([], [np.zeros((4, 4, 3), np.uint8)], MEDIUM, "tests")
    assert judgement.blocked


async def test_closed_nobody_passes_unjudged() -> None:
    ask = Asking(Judge(failures=[AWAY]))
    with pytest.raises(SafetyUnavailable) as refused:
        await ask("one")
    assert refused.value.headers == {"Retry-After": "4"}
    assert (await ask("one")).verdict.spotless


async def test_open_everybody_passes_marked_and_nothing_is_remembered() -> None:
    ask = Asking(Judge(failures=[AWAY]), fail_open=True)
    judgement = await ask("one")
    assert judgement.results["error"]["code"] == "content_filter_error"
    assert (await ask("one")).verdict.spotless
    assert len(ask.judge.asked) == 2


async def test_of_two_who_judge_the_stricter_wins() -> None:
    assert (await Asking(Judge(), Judge("one"))("one")).blocked
    assert (await Asking(Judge("one"), Judge(failures=[AWAY]))("one")).blocked
    with pytest.raises(SafetyUnavailable):
        await Asking(Judge(), Judge(failures=[AWAY]))("one")


async def test_an_open_gate_still_believes_who_can_judge() -> None:
    assert (await Asking(Judge("one"), Judge(failures=[AWAY]), fail_open=True)("one")).blocked


def test_the_oldest_is_forgotten_and_checks_are_told_apart() -> None:
    memory = VerdictCache(most=2)
    harm, shield = FilterChecks(ALL), FilterChecks(findings=frozenset({Detection.JAILBREAK}))
    memory.keep("one", harm, BAD)
    memory.keep("two", harm, BAD)
    assert memory.recall("one", harm) == BAD
    assert memory.recall("one", shield) is None
    memory.keep("three", harm, BAD)
    assert memory.recall("two", harm) is None
    assert memory.recall("one", harm) == BAD


def test_a_digest_is_not_the_text() -> None:
    assert len(digest("one")) == 12
    assert digest("one") != digest("two")
    assert digest("\ud800")


async def test_the_log_has_no_text(caplog: pytest.LogCaptureFixture) -> None:
    await Asking(Judge("secret"))("a secret text")
    assert "violence=4" in caplog.text
    assert "secret" not in caplog.text

"""The filter of requests: texts are checked together and cached apart."""

from __future__ import annotations

import numpy as np
import pytest

from inference.contracts import FilteredText, HarmCategory, TextOrigin
from inference.errors import SafetyUnavailable
from inference.safety.input_filter import InputFilter
from inference.safety.moderator import ALL_CATEGORIES, ModeratorEnsemble
from inference.safety.policy import Decision, FilterAction, FilterSide
from inference.safety.text_splitting import MAX_CHARACTERS
from inference.safety.verdict import Detection, Verdict, VerdictCache
from tests.safety.judges import MEDIUM, FakeModerator

AWAY = SafetyUnavailable("away", retry_after=4)
SHIELDED = FilterSide(
    MEDIUM.rules, (), {Detection.JAILBREAK: FilterAction.BLOCK, Detection.INDIRECT: FilterAction.BLOCK}
)
LOW = Verdict({**dict.fromkeys(ALL_CATEGORIES, 0), HarmCategory.HATE: 2})


class Filtering:
    """An input filter and its moderators."""

    def __init__(self, *judges: FakeModerator, fail_open: bool = False) -> None:
        self.judge = judges[0]
        self.filter = InputFilter(ModeratorEnsemble(judges), VerdictCache(), fail_open=fail_open)

    async def __call__(self, *texts: str, side: FilterSide = MEDIUM) -> Decision:
        return await self.filter.judge([FilteredText(text) for text in texts], [], side, "tests")


async def test_all_texts_of_a_request_share_one_check() -> None:
    check = Filtering(FakeModerator())
    decision = await check("one", "two", "three")
    assert not decision.blocked
    assert check.judge.texts == ["one\n\ntwo\n\nthree"]


async def test_a_growing_chat_checks_only_its_new_texts() -> None:
    check = Filtering(FakeModerator())
    await check("one", "two")
    await check("one", "two", "three", "four")
    await check("one", "two", "three", "four")
    assert check.judge.texts == ["one\n\ntwo", "three\n\nfour"]


async def test_a_finding_in_joined_texts_is_not_cached_for_each_text() -> None:
    check = Filtering(FakeModerator("two", bad=LOW))
    assert not (await check("one", "two")).blocked
    check.judge.phrase = "\0"
    assert (await check("one")).verdict.clean
    assert check.judge.texts == ["one\n\ntwo", "one"]


async def test_the_same_request_again_is_answered_from_the_cache() -> None:
    check = Filtering(FakeModerator("two"))
    assert (await check("one", "two")).blocked
    assert (await check("one", "two")).blocked
    assert len(check.judge.texts) == 1


async def test_a_phrase_across_the_limit_of_one_check_is_found() -> None:
    check = Filtering(FakeModerator("needle"))
    text = "x" * (MAX_CHARACTERS - 3) + "needle" + "y" * MAX_CHARACTERS
    assert (await check(text)).blocked
    assert all(len(piece) <= MAX_CHARACTERS for piece in check.judge.texts)


async def test_white_space_alone_is_safe_without_a_check() -> None:
    check = Filtering(FakeModerator())
    decision = await check("", " \n")
    assert check.judge.texts == []
    assert decision.results["hate"] == {"filtered": False, "severity": "safe"}


async def test_jailbreaks_are_checked_in_user_texts_and_indirect_attacks_in_tool_texts() -> None:
    judge = FakeModerator()
    input_filter = InputFilter(ModeratorEnsemble([judge]), VerdictCache(), fail_open=False)
    texts = [FilteredText("u", TextOrigin.USER), FilteredText("t", TextOrigin.TOOL), FilteredText("s")]
    await input_filter.judge(texts, [], SHIELDED, "tests")
    checked = {
        detection: text
        for text, checks in zip(judge.texts, judge.checks, strict=True)
        for detection in checks.detections
    }
    assert checked == {Detection.JAILBREAK: "u", Detection.INDIRECT: "t"}
    assert "u\n\nt\n\ns" in judge.texts


async def test_images_are_checked() -> None:
    judge = FakeModerator("4, 4")
    input_filter = InputFilter(ModeratorEnsemble([judge]), VerdictCache(), fail_open=False)
    decision = await input_filter.judge([], [np.zeros((4, 4, 3), np.uint8)], MEDIUM, "tests")
    assert decision.blocked


async def test_failing_closed_an_unchecked_request_is_refused() -> None:
    check = Filtering(FakeModerator(failures=[AWAY]))
    with pytest.raises(SafetyUnavailable) as refused:
        await check("one")
    assert refused.value.headers == {"Retry-After": "4"}
    assert (await check("one")).verdict.clean


async def test_failing_open_an_unchecked_request_passes_annotated_and_uncached() -> None:
    check = Filtering(FakeModerator(failures=[AWAY]), fail_open=True)
    decision = await check("one")
    assert decision.results["error"]["code"] == "content_filter_error"
    assert (await check("one")).verdict.clean
    assert len(check.judge.texts) == 2


async def test_the_strictest_of_two_moderators_wins() -> None:
    assert (await Filtering(FakeModerator(), FakeModerator("one"))("one")).blocked
    assert (await Filtering(FakeModerator("one"), FakeModerator(failures=[AWAY]))("one")).blocked
    with pytest.raises(SafetyUnavailable):
        await Filtering(FakeModerator(), FakeModerator(failures=[AWAY]))("one")


async def test_failing_open_a_finding_of_another_moderator_still_blocks() -> None:
    assert (
        await Filtering(FakeModerator("one"), FakeModerator(failures=[AWAY]), fail_open=True)("one")
    ).blocked


async def test_the_log_has_the_findings_and_no_text(caplog: pytest.LogCaptureFixture) -> None:
    await Filtering(FakeModerator("secret"))("a secret text")
    assert "violence=4" in caplog.text
    assert "secret" not in caplog.text

"""Moderators: an ensemble as one, and the moderator by a classifier."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import numpy as np
import pytest

from inference.contracts import HarmCategory, TextClassifier
from inference.errors import ModelNotReady, SafetyUnavailable
from inference.safety.blocklist import Blocklist, parse_rule
from inference.safety.moderator import ALL_CATEGORIES, ClassifierModerator, ModeratorEnsemble
from inference.safety.text_splitting import MAX_CHARACTERS
from inference.safety.verdict import FilterChecks, Verdict
from tests.safety.judges import BAD, FakeModerator

HARM = FilterChecks(ALL_CATEGORIES)
HATE = frozenset({HarmCategory.HATE})
CLEAN = Verdict(dict.fromkeys(ALL_CATEGORIES, 0))
IMAGE = np.zeros((4, 4, 3), np.uint8)


class Classifier:
    """A `TextClassifier` with fixed severities."""

    def __init__(self, severities: Mapping[HarmCategory, int]) -> None:
        self.severities = severities
        self.categories = frozenset(severities)

    async def classify(self, text: str) -> Mapping[HarmCategory, int]:
        return self.severities

    def close(self) -> None:
        """Do nothing: no session is open."""


def by_classifier(
    severities: Mapping[HarmCategory, int], categories: frozenset[HarmCategory]
) -> ClassifierModerator:
    @asynccontextmanager
    async def lease() -> AsyncIterator[TextClassifier]:
        yield Classifier(severities)

    return ClassifierModerator("toxic", categories, lease)


async def test_an_ensemble_has_the_worst_verdict_of_its_members() -> None:
    ensemble = ModeratorEnsemble([FakeModerator(), FakeModerator("words")])
    assert await ensemble.judge("some words", HARM) == BAD
    assert await ensemble.judge("a text", HARM) == CLEAN


async def test_a_members_failure_is_noted_beside_the_verdicts_of_the_others() -> None:
    away = SafetyUnavailable("away")
    ensemble = ModeratorEnsemble([FakeModerator(failures=[away]), FakeModerator("words")])
    verdict = await ensemble.judge("some words", HARM)
    assert verdict.severities == BAD.severities
    assert verdict.failure is away


async def test_a_long_text_is_checked_in_pieces_by_every_member() -> None:
    judge, other = FakeModerator(), FakeModerator()
    await ModeratorEnsemble([judge, other]).judge("x" * (MAX_CHARACTERS + 1), HARM)
    assert [len(text) for text in judge.texts] == [len(text) for text in other.texts]
    assert len(judge.texts) == 2


async def test_a_text_with_escapes_is_checked_as_it_is_and_as_its_readers_decode_it() -> None:
    judge = FakeModerator("zoo\nplum")
    ensemble = ModeratorEnsemble([judge])
    assert await ensemble.judge(r'{"a": "\u007a\u006F\u006f\nplum"}', HARM) == BAD
    assert await ensemble.judge(r'{"a": "{\"b\": \"\\u007aoo\\nplum\"}"}', HARM) == BAD
    assert judge.texts[0] == '{"a": "\\u007a\\u006F\\u006f\\nplum"}\n\n---\n\n{"a": "zoo\nplum"}'
    assert await ensemble.judge(r"\u007aoo", HARM) == CLEAN


async def test_no_phrase_runs_from_a_text_into_its_decoding() -> None:
    assert (
        await ModeratorEnsemble([Blocklist([parse_rule("plum forbidden", "ours")])]).judge(
            r"forbidden \u0070lum", HARM
        )
        == CLEAN
    )


@pytest.mark.parametrize("before", [MAX_CHARACTERS - 20, 3 * MAX_CHARACTERS])
async def test_a_long_text_with_escapes_is_decoded_before_it_is_cut(before: int) -> None:
    judge = FakeModerator("zoo plum")
    text = "x" * before + r"\u007a\u006f\u006f\u0020\u0070\u006c\u0075\u006d" + "y" * MAX_CHARACTERS
    assert await ModeratorEnsemble([judge]).judge(text, HARM) == BAD
    assert all(len(piece) <= MAX_CHARACTERS for piece in judge.texts)


async def test_images_are_checked_by_the_members_that_can() -> None:
    blind = by_classifier({HarmCategory.HATE: 7}, HATE)
    ensemble = ModeratorEnsemble([blind, FakeModerator("4, 4")])
    assert ensemble.checks_images
    assert await ensemble.judge_image(IMAGE, HARM) == BAD
    assert not ModeratorEnsemble([blind]).checks_images
    assert await blind.judge_image(IMAGE, HARM) == Verdict()


async def test_an_ensemble_is_limited_while_a_member_is() -> None:
    judge = FakeModerator()
    ensemble = ModeratorEnsemble([FakeModerator(), judge])
    assert not ensemble.limited
    judge.limited = True
    assert ensemble.limited


async def test_a_classifier_rates_the_checked_categories_alone() -> None:
    moderator = by_classifier({HarmCategory.HATE: 4, HarmCategory.SEXUAL: 2}, HATE | {HarmCategory.SEXUAL})
    assert await moderator.judge("text", FilterChecks(HATE)) == Verdict({HarmCategory.HATE: 4})
    assert await moderator.judge("text", FilterChecks(frozenset({HarmCategory.VIOLENCE}))) == Verdict()


async def test_a_classifier_without_a_severity_is_a_failure_that_names_it() -> None:
    moderator = by_classifier({}, HATE)
    with pytest.raises(SafetyUnavailable, match="classifier toxic returned no severity of hate"):
        await moderator.judge("text", HARM)


async def test_a_classifier_that_cannot_be_opened_is_a_failure() -> None:
    @asynccontextmanager
    async def lease() -> AsyncIterator[TextClassifier]:
        raise ModelNotReady("toxic is still loading.")
        yield  # type: ignore[unreachable]  # makes it a generator

    with pytest.raises(SafetyUnavailable, match="classifier toxic is not available"):
        await ClassifierModerator("toxic", HATE, lease).judge("text", HARM)

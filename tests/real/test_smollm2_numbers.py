"""Numbers of real weights beside transformers in float32 and llama.cpp on the same file."""

import asyncio
from typing import Any

import pytest

from inference.conformance.quality import TextScores, agreement, text_scores
from inference.contracts import GenerationRequest, Sampling, Token
from inference.prompt.tokenizer import Tokenizer
from tests.golden.make_smollm2 import QUESTIONS, TOKENS, prompt_of
from tests.real.conftest import Served

pytestmark = pytest.mark.real

MAX_PERPLEXITY_CHANGE = 0.005
"""From the float model's; 0.04 % was measured."""
MIN_SAME_BEST = 0.93
MAX_MEAN_DIFFERENCE = 0.08
CLEAR = 0.5
"""Logits between the best token and the next from which the graph must choose as the float model does."""


async def greedy(served: Served, prompts: list[list[int]]) -> list[list[int]]:
    """Return the greedy tokens after each prompt, all decoded in one batch."""
    opened = await served.model()

    async def tokens_after(prompt: list[int]) -> list[int]:
        request = GenerationRequest(
            tuple(prompt), TOKENS, Sampling(temperature=0), stop_tokens=opened.stop_tokens
        )
        return [event.id async for event in opened.generator.generate(request) if isinstance(event, Token)]

    return await asyncio.gather(*map(tokens_after, prompts))


@pytest.fixture(scope="module")
def answers(smollm2: Served, reference: dict[str, Any]) -> list[list[int]]:
    """The engine's greedy tokens after the reference's prompts."""
    found: list[list[int]] = smollm2.run(greedy(smollm2, reference["prompts"]))
    return found


def without_end(tokens: list[int]) -> list[int]:
    return [token for token in tokens if token not in (0, 2)]


def test_prompts_have_the_reference_s_ids(smollm2: Served, reference: dict[str, Any]) -> None:
    tokenizer = Tokenizer.open(smollm2.folder / "tokenizer.json")
    assert reference["questions"] == list(QUESTIONS)
    assert [tokenizer.encode(prompt_of(question), special=False) for question in QUESTIONS] == reference[
        "prompts"
    ]


def first_difference(one: list[int], other: list[int]) -> int | None:
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (left, right) in pairs if left != right), None)


def unclear(found: list[int], expected: list[int], answer: dict[str, Any]) -> bool:
    """True if the two part where the float model's own best tokens are close, or after such a place."""
    at = first_difference(found, expected)
    before = first_difference(expected, answer["tokens"])
    if at is None or (before is not None and before < at):
        return True
    margin: float = answer["margins"][at]
    return margin < CLEAR


def test_greedy_tokens_are_the_float_model_s_where_that_is_clear(
    answers: list[list[int]], reference: dict[str, Any]
) -> None:
    for found, expected in zip(answers, reference["transformers"]["answers"], strict=True):
        assert unclear(found, without_end(expected["tokens"]), expected)


def test_greedy_tokens_are_llama_cpp_s_where_that_is_clear(
    answers: list[list[int]], reference: dict[str, Any]
) -> None:
    rows = zip(answers, reference["llama_cpp"], reference["transformers"]["answers"], strict=True)
    for found, theirs, margins in rows:
        assert unclear(found, without_end(theirs), margins)


def test_a_row_alone_says_what_it_says_in_a_batch(
    smollm2: Served, answers: list[list[int]], reference: dict[str, Any]
) -> None:
    assert smollm2.run(greedy(smollm2, reference["prompts"][:1])) == answers[:1]


def test_the_text_has_the_float_model_s_perplexity(smollm2: Served, reference: dict[str, Any]) -> None:
    scores = smollm2.run(text_scores("smollm2", smollm2.settings))
    theirs = reference["transformers"]
    windows = tuple(tuple(window) for window in theirs["windows"])
    found = agreement(scores, TextScores(windows, tuple(theirs["logprobs"]), tuple(theirs["best"])))
    assert found is not None, "the text has other tokens"
    assert abs(found.perplexity_change) <= MAX_PERPLEXITY_CHANGE
    assert found.same_best >= MIN_SAME_BEST
    assert found.mean_difference <= MAX_MEAN_DIFFERENCE

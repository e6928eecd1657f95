"""Numbers of real weights beside transformers in float32 and llama.cpp on the same file."""

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


async def greedy(served: Served, prompt: list[int]) -> list[int]:
    opened = await served.model()
    request = GenerationRequest(
        tuple(prompt), TOKENS, Sampling(temperature=0), stop_tokens=opened.stop_tokens
    )
    return [event.id async for event in opened.generator.generate(request) if isinstance(event, Token)]


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
    smollm2: Served, reference: dict[str, Any]
) -> None:
    for prompt, answer in zip(reference["prompts"], reference["transformers"]["answers"], strict=True):
        assert unclear(smollm2.run(greedy(smollm2, prompt)), without_end(answer["tokens"]), answer)


def test_greedy_tokens_are_llama_cpp_s_where_that_is_clear(
    smollm2: Served, reference: dict[str, Any]
) -> None:
    answers = reference["transformers"]["answers"]
    rows = zip(reference["prompts"], reference["llama_cpp"], answers, strict=True)
    for prompt, expected, answer in rows:
        assert unclear(smollm2.run(greedy(smollm2, prompt)), without_end(expected), answer)


def test_the_text_has_the_float_model_s_perplexity(smollm2: Served, reference: dict[str, Any]) -> None:
    scores = smollm2.run(text_scores("smollm2", smollm2.settings))
    theirs = reference["transformers"]
    windows = tuple(tuple(window) for window in theirs["windows"])
    found = agreement(scores, TextScores(windows, tuple(theirs["logprobs"]), tuple(theirs["best"])))
    assert found is not None, "the text has other tokens"
    assert abs(found.perplexity_change) <= MAX_PERPLEXITY_CHANGE
    assert found.same_best >= MIN_SAME_BEST
    assert found.mean_difference <= MAX_MEAN_DIFFERENCE

"""Log probabilities against float64, and the ranking of the alternatives."""

from __future__ import annotations

import numpy as np
import pytest

from inference.engine.interfaces import Logits
from inference.engine.sampling import MIN_LOGPROB, Distribution, prompt_logprobs


def expected(logits: Logits) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    shifted = logits.astype(np.float64) - logits.max()
    return np.asarray(shifted - np.log(np.exp(shifted).sum()))


def some_logits(vocabulary: int, spread: float, seed: int = 0) -> Logits:
    return np.random.default_rng(seed).standard_normal(vocabulary, np.float32) * np.float32(spread)


@pytest.mark.parametrize("spread", [0.0, 0.01, 1.0, 5.0, 60.0])
@pytest.mark.parametrize("top", [0, 1, 5, 20])
def test_alternatives_are_the_most_likely_tokens_ranked(spread: float, top: int) -> None:
    logits = some_logits(5000, spread)
    before, logprobs = logits.copy(), expected(logits)
    distribution = Distribution(5000, top)
    distribution.read(logits)
    np.testing.assert_array_equal(logits, before)
    found = distribution.of(17)
    assert found.chosen == pytest.approx(max(logprobs[17], MIN_LOGPROB), abs=2e-5, rel=1e-6)
    ranked = np.lexsort((np.arange(5000), -logits))[:top]
    assert [token for token, _ in found.top] == ranked.tolist()
    np.testing.assert_allclose([value for _, value in found.top], logprobs[ranked], atol=2e-5)


def test_more_alternatives_than_tokens_are_all_tokens() -> None:
    distribution = Distribution(3, 20)
    distribution.read(np.array([1, 3, 2], np.float32))
    assert [token for token, _ in distribution.of(0).top] == [1, 2, 0]


def test_impossible_token_has_a_logprob_that_json_can_write() -> None:
    distribution = Distribution(3, 3)
    distribution.read(np.array([0, -np.inf, 0], np.float32))
    assert distribution.of(1).chosen == MIN_LOGPROB
    assert [value for _, value in distribution.of(0).top] == pytest.approx([-np.log(2)] * 2 + [MIN_LOGPROB])


def test_prompt_logprobs_start_at_its_second_token() -> None:
    rows = np.stack([some_logits(50, 2.0, seed) for seed in range(4)])
    found = list(prompt_logprobs(rows, (7, 8, 9), 2))
    assert len(found) == 3
    for row, token, one in zip(rows, (7, 8, 9), found, strict=False):
        assert one.chosen == pytest.approx(expected(row)[token], abs=2e-5)

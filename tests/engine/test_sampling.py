"""Every rule of `Sampling` against exact distributions, by draws at evenly spaced uniform numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.contracts import Sampling
from inference.engine.sampling import (
    NotFinite,
    Penalties,
    Sampler,
    invert,
    invert_blockwise,
    leading,
    relative_weights,
)

Array = NDArray[Any]

PROBABILITIES = np.array([0.05, 0.4, 0.1, 0.2, 0.25], np.float32)
LOGITS = np.log(PROBABILITIES) + np.float32(3)
DRAWS = 4000


class EvenNumbers:
    """The middles of `DRAWS` equal parts of [0, 1), in place of random numbers."""

    def __init__(self) -> None:
        self._drawn = 0

    def random(self) -> float:
        self._drawn += 1
        return (self._drawn - 0.5) / DRAWS


def distribution(
    monkeypatch: pytest.MonkeyPatch, sampling: Sampling, logits: Array = LOGITS, prompt: tuple[int, ...] = ()
) -> Array:
    """Return the share of each token, exact to 1 / DRAWS."""
    monkeypatch.setattr("inference.engine.sampling.random_numbers", lambda seed: EvenNumbers())
    sampler = Sampler(sampling, prompt, len(logits))
    drawn = [sampler.draw(logits.copy()) for _ in range(DRAWS)]
    return np.bincount(drawn, minlength=len(logits)) / DRAWS


def softmax(logits: Array) -> Array:
    weights = np.exp(logits.astype(np.float64) - logits.max())
    return np.asarray(weights / weights.sum())


def only(kept: list[int]) -> Array:
    """Return the probabilities of these tokens, scaled to one."""
    chosen = np.zeros(5)
    chosen[kept] = PROBABILITIES[kept]
    return np.asarray(chosen / chosen.sum())


def draws(sampling: Sampling, count: int, logits: Array = LOGITS) -> list[int]:
    sampler = Sampler(sampling, (), len(logits))
    return [sampler.draw(logits.copy()) for _ in range(count)]


@pytest.mark.parametrize("temperature", [0.3, 0.7, 1.0, 2.0])
def test_temperature_divides_the_logits(monkeypatch: pytest.MonkeyPatch, temperature: float) -> None:
    shares = distribution(monkeypatch, Sampling(temperature))
    np.testing.assert_allclose(shares, softmax(LOGITS / temperature), atol=2 / DRAWS)


@pytest.mark.parametrize("temperature", [0.0, 1e-45, 1e-30])
def test_zero_temperature_takes_the_most_likely_token(temperature: float) -> None:
    assert set(draws(Sampling(temperature, seed=1), 50)) == {1}


@pytest.mark.parametrize("sampling", [Sampling(0.0), Sampling(top_p=0.0), Sampling(top_k=1)])
def test_greedy_sampling_takes_the_first_of_equal_logits(sampling: Sampling) -> None:
    assert draws(sampling, 3, np.array([0, 7, 7, 1], np.float32)) == [1, 1, 1]


@pytest.mark.parametrize(
    ("top_k", "kept"), [(2, [1, 4]), (3, [1, 3, 4]), (5, [0, 1, 2, 3, 4]), (900, [0, 1, 2, 3, 4])]
)
def test_top_k_keeps_the_most_likely(monkeypatch: pytest.MonkeyPatch, top_k: int, kept: list[int]) -> None:
    shares = distribution(monkeypatch, Sampling(top_k=top_k))
    np.testing.assert_allclose(shares, only(kept), atol=2 / DRAWS)


@pytest.mark.parametrize(
    ("top_p", "kept"), [(0.3, [1]), (0.41, [1, 4]), (0.64, [1, 4]), (0.66, [1, 3, 4]), (0.9, [1, 2, 3, 4])]
)
def test_top_p_keeps_the_fewest_that_reach_it(
    monkeypatch: pytest.MonkeyPatch, top_p: float, kept: list[int]
) -> None:
    shares = distribution(monkeypatch, Sampling(top_p=top_p))
    np.testing.assert_allclose(shares, only(kept), atol=2 / DRAWS)


@pytest.mark.parametrize(
    ("min_p", "kept"), [(0.1, [0, 1, 2, 3, 4]), (0.2, [1, 2, 3, 4]), (0.45, [1, 3, 4]), (1.0, [1])]
)
def test_min_p_is_relative_to_the_highest_probability(
    monkeypatch: pytest.MonkeyPatch, min_p: float, kept: list[int]
) -> None:
    shares = distribution(monkeypatch, Sampling(min_p=min_p))
    np.testing.assert_allclose(shares, only(kept), atol=2 / DRAWS)


def test_min_p_narrows_what_top_p_left(monkeypatch: pytest.MonkeyPatch) -> None:
    shares = distribution(monkeypatch, Sampling(top_p=0.9, min_p=0.45))
    np.testing.assert_allclose(shares, only([1, 3, 4]), atol=2 / DRAWS)


def test_top_p_applies_to_the_tokens_that_top_k_left(monkeypatch: pytest.MonkeyPatch) -> None:
    # Of the whole, 0.6 needs two tokens; of the best two, whose first has 0.4 of 0.65, one suffices.
    shares = distribution(monkeypatch, Sampling(top_k=2, top_p=0.6))
    np.testing.assert_allclose(shares, only([1]), atol=2 / DRAWS)


def test_temperature_comes_before_top_p(monkeypatch: pytest.MonkeyPatch) -> None:
    # At temperature 0.5 the probabilities are squared: the best has 0.58 and reaches 0.5 alone.
    shares = distribution(monkeypatch, Sampling(0.5, top_p=0.5))
    np.testing.assert_allclose(shares, only([1]), atol=2 / DRAWS)


@pytest.mark.parametrize(("bias", "token"), [({0: 100.0}, 0), ({1: -100.0}, 4), ({1: -100.0, 4: -100.0}, 3)])
def test_logit_bias_is_added_to_the_logits(bias: dict[int, float], token: int) -> None:
    assert draws(Sampling(0.0, logit_bias=bias), 1) == [token]


def test_logit_bias_changes_the_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    shares = distribution(monkeypatch, Sampling(logit_bias={0: 1.5, 3: -0.5}))
    np.testing.assert_allclose(shares, softmax(LOGITS + np.array([1.5, 0, 0, -0.5, 0])), atol=2 / DRAWS)


def test_logit_bias_of_ids_that_are_no_tokens_changes_nothing() -> None:
    assert draws(Sampling(0.0, logit_bias={-1: 100.0, 5: 100.0}), 1) == [1]


def penalized(sampling: Sampling, answer: list[int], prompt: tuple[int, ...] = ()) -> list[float]:
    """Return the logits [2, -2, 1, 0, -1] after the penalties of an answer."""
    logits = np.array([2, -2, 1, 0, -1], np.float32)
    penalties = Penalties(sampling, prompt, 5)
    for token in answer:
        penalties.count(token)
    penalties.apply(logits)
    return list(logits.tolist())


def test_frequency_penalty_counts_every_occurrence_in_the_answer() -> None:
    assert penalized(Sampling(frequency_penalty=0.5), [0, 0, 4], (2,)) == [1, -2, 1, 0, -1.5]


def test_presence_penalty_counts_a_token_once() -> None:
    assert penalized(Sampling(presence_penalty=0.5), [0, 0, 4], (2,)) == [1.5, -2, 1, 0, -1.5]


def test_negative_penalties_raise_logits() -> None:
    assert penalized(Sampling(frequency_penalty=-1, presence_penalty=-2), [3, 3]) == [2, -2, 1, 4, -1]


def test_repetition_penalty_shrinks_tokens_of_prompt_and_answer() -> None:
    assert penalized(Sampling(repetition_penalty=2), [0, 0], (1, 3, 1, 9)) == [1, -4, 1, 0, -1]


def test_bias_is_applied_before_repetition_and_repetition_before_frequency() -> None:
    sampling = Sampling(
        logit_bias={0: 2.0}, repetition_penalty=2, frequency_penalty=0.5, presence_penalty=0.25
    )
    assert penalized(sampling, [0, 0])[0] == (2 + 2) / 2 - 2 * 0.5 - 0.25


def test_penalties_follow_the_draws() -> None:
    logits = np.array([0, 3, 2, 0], np.float32)
    assert draws(Sampling(0.0, presence_penalty=2.0), 4, logits) == [1, 2, 1, 1]
    assert draws(Sampling(0.0, frequency_penalty=2.0), 4, logits) == [1, 2, 1, 0]


@pytest.mark.parametrize("seed", [0, 7, -1, -(2**63), 2**63 - 1])
def test_seed_repeats_its_draws(seed: int) -> None:
    assert draws(Sampling(seed=seed), 40) == draws(Sampling(seed=seed), 40)


def test_seeds_differ_and_no_seed_is_fresh() -> None:
    flat = np.zeros(1000, np.float32)
    rows = [draws(Sampling(seed=seed), 20, flat) for seed in (1, -1, 2, None, None)]
    assert len({tuple(row) for row in rows}) == len(rows)


def test_draws_of_a_seed_never_change() -> None:
    assert draws(Sampling(seed=42), 12) == [4, 1, 4, 3, 1, 4, 4, 4, 1, 2, 1, 4]
    assert draws(Sampling(0.8, top_p=0.9, seed=-5), 12) == [3, 3, 1, 4, 4, 1, 1, 1, 1, 1, 4, 3]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("sampling", [Sampling(0.0), Sampling(seed=1)])
def test_logits_that_are_not_finite_are_refused(sampling: Sampling, bad: float) -> None:
    logits = np.array([1, bad, 2], np.float32)
    with pytest.raises(NotFinite):
        draws(sampling, 1, logits)
    with pytest.raises(NotFinite):
        draws(sampling, 1, np.full(3, -np.inf, np.float32))


def test_tokens_that_the_model_rules_out_are_never_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = np.array([-np.inf, 0, -3e38, 0, -np.inf], np.float32)
    shares = distribution(monkeypatch, Sampling(0.25), logits)
    np.testing.assert_allclose(shares, [0, 0.5, 0, 0.5, 0], atol=2 / DRAWS)
    shares = distribution(monkeypatch, Sampling(top_k=4, top_p=0.99), logits)
    np.testing.assert_allclose(shares, [0, 0.5, 0, 0.5, 0], atol=2 / DRAWS)


def naive_leading(weights: Array, top_k: int, top_p: float) -> list[int]:
    """Return the leading tokens by a full sort."""
    ranked = np.argsort(-weights, kind="stable")[:top_k]
    if top_p < 1:
        reached = np.cumsum(weights[ranked].astype(np.float64)) / weights[ranked].sum(dtype=np.float64)
        ranked = ranked[: int((reached < top_p).sum()) + 1]
    return sorted(ranked.tolist())


@pytest.mark.parametrize("spread", [0.1, 1.0, 4.0, 12.0])
@pytest.mark.parametrize(("top_k", "top_p"), [(5000, 0.9), (5000, 0.999), (40, 1.0), (40, 0.8), (4999, 0.5)])
def test_the_leading_tokens_are_those_of_a_full_sort(spread: float, top_k: int, top_p: float) -> None:
    logits = np.random.default_rng(0).standard_normal(5000, np.float32) * np.float32(spread)
    weights = relative_weights(logits, int(logits.argmax()), 1.0)
    assert leading(weights, top_k, top_p).tolist() == naive_leading(weights, top_k, top_p)


def test_smaller_ids_lead_among_equal_weights() -> None:
    weights = np.array([0.5, 1, 0.5, 0.25, 0.5], np.float32)
    assert leading(weights, 3, 1.0).tolist() == [0, 1, 2]
    assert leading(weights, 5, 0.7).tolist() == [0, 1, 2]


def test_large_vocabulary_is_drawn_from_like_a_small_one() -> None:
    weights = np.random.default_rng(3).random(5001, np.float32) ** 8
    weights[:300] = 0
    weights[-300:] = 0
    cumulative = np.cumsum(weights, dtype=np.float64)
    for uniform in [0.0, *np.random.default_rng(4).random(2000), 1 - 2**-53]:
        index = invert_blockwise(weights, uniform)
        assert weights[index] > 0
        plain = invert(cumulative, uniform)
        # Sums of blocks are rounded to float32, so at an edge the neighbour may be hit.
        assert plain == index or abs(cumulative[min(plain, index)] / cumulative[-1] - uniform) < 1e-6

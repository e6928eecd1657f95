"""Steps of the batch, one at a time and without threads: rows, chunks, cancellation, failures."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from inference.contracts import Finish, FinishReason, GenerationRequest, Prefilled, Sampling, Token, Usage
from inference.engine.batch import (
    BUSY_CHUNK,
    IDLE_CHUNK,
    STEPS,
    Batch,
    Outcome,
    chunk_length,
    count_together,
)
from inference.engine.interfaces import Matcher
from inference.engine.kv_cache import BLOCK, PrefixCache
from inference.engine.sequence import Sequence
from inference.errors import GenerationFailed
from tests.engine.history import LAYOUT, HistoryDecoder, continuation, history_logits, small_cache
from tests.engine.scripts import ScriptedMatcher

GREEDY = Sampling(temperature=0)
LONG = tuple(token % 31 for token in range(300))


class Bench:
    """A batch over the history decoder, and its outcomes so far."""

    def __init__(self, rows: int = 4, length: int = 1024, *, prefixes: bool = False) -> None:
        self.decoder = HistoryDecoder(small_cache(rows, length))
        cache = PrefixCache(LAYOUT, 100 * BLOCK * LAYOUT.bytes_per_token) if prefixes else None
        self.batch = Batch(self.decoder, self.decoder.cache, cache)
        self.outcomes: list[Outcome] = []

    def sequence(self, prompt: Iterable[int], max_tokens: int, stop: Iterable[int] = ()) -> Sequence:
        return self.of_request(GenerationRequest(tuple(prompt), max_tokens, GREEDY, frozenset(stop)))

    def constrained(self, prompt: tuple[int, ...], max_tokens: int, *answers: list[int]) -> Sequence:
        return self.of_request(GenerationRequest(prompt, max_tokens, GREEDY), ScriptedMatcher(*answers))

    def of_request(self, request: GenerationRequest, matcher: Matcher | None = None) -> Sequence:
        context, vocabulary = self.decoder.cache.length, self.decoder.vocabulary
        return Sequence(request, context=context, vocabulary=vocabulary, matcher=matcher)

    def enter(self, prompt: Iterable[int], max_tokens: int, stop: Iterable[int] = ()) -> Sequence:
        sequence = self.sequence(prompt, max_tokens, stop)
        self.batch.enter(sequence)
        return sequence

    def step(self) -> None:
        self.batch.drop_cancelled()
        self.outcomes += self.batch.jump_forward()
        self.outcomes += self.batch.prefill()
        self.outcomes += self.batch.decode()

    def drain(self) -> None:
        while not self.batch.idle:
            self.step()

    def tokens(self, sequence: Sequence) -> list[int]:
        return [event.id for one, event in self.outcomes if one is sequence and isinstance(event, Token)]

    def last(self, sequence: Sequence) -> object:
        return [event for one, event in self.outcomes if one is sequence][-1]


@pytest.mark.parametrize("limit", [3, BUSY_CHUNK, IDLE_CHUNK])
def test_chunks_add_up_and_leave_no_single_token(limit: int) -> None:
    assert chunk_length(1, limit) == 1
    for prompt in range(2, 3 * limit + 3):
        remaining = prompt
        while remaining:
            count = chunk_length(remaining, limit)
            assert 2 <= count <= limit
            remaining -= count


def test_one_sequence_gets_the_tokens_of_its_history() -> None:
    bench = Bench()
    sequence = bench.enter((3, 1, 4), 5)
    bench.drain()
    assert bench.tokens(sequence) == continuation((3, 1, 4), 5)
    assert bench.last(sequence) == Finish(FinishReason.LENGTH, Usage(3, 5))


def test_long_prompt_runs_in_large_chunks_while_no_row_decodes() -> None:
    bench = Bench()
    sequence = bench.enter(LONG, 1)
    bench.drain()
    assert bench.decoder.prefills == [256, 44]
    assert bench.tokens(sequence) == continuation(LONG, 1)


def test_chunks_are_small_and_alternate_with_steps_while_others_decode() -> None:
    bench = Bench()
    first = bench.enter((1,), 9)
    bench.step()
    second = bench.enter(LONG[:193], 4)
    bench.drain()
    assert bench.decoder.prefills == [1, 64, 64, 63, 2]
    assert bench.decoder.calls[:8] == ["prefill", "decode"] * 4
    assert bench.tokens(first) == continuation((1,), 9)
    assert bench.tokens(second) == continuation(LONG[:193], 4)


def test_rows_join_and_leave_while_others_decode() -> None:
    bench = Bench(rows=3)
    lengths = {5: 2, 1: 7, 9: 3, 2: 12, 30: 1, 7: 6, 12: 4}
    waiting = [bench.sequence(LONG[:prompt], count) for prompt, count in lengths.items()]
    entered: list[Sequence] = []
    while waiting or not bench.batch.idle:
        if waiting and bench.batch.free_rows:
            entered.append(waiting.pop(0))
            bench.batch.enter(entered[-1])
        bench.step()
    for sequence, (prompt, count) in zip(entered, lengths.items(), strict=True):
        assert bench.tokens(sequence) == continuation(LONG[:prompt], count)
    assert max(bench.decoder.decodes) == 3


def test_sequence_that_enters_above_rows_that_leave_moves_down() -> None:
    bench = Bench()
    first = bench.enter((1,), 3)
    bench.step()
    second = bench.enter(LONG[:130], 5)
    bench.step()
    assert first.finished
    assert bench.decoder.prefills == [1, 64]
    bench.drain()
    assert bench.tokens(second) == continuation(LONG[:130], 5)


def test_full_batch_has_no_free_row_until_one_leaves() -> None:
    bench = Bench(rows=1)
    sequence = bench.enter((1, 2), 3)
    assert not bench.batch.free_rows
    bench.step()
    assert not bench.batch.free_rows
    bench.drain()
    assert sequence.finished
    assert bench.batch.free_rows


def test_cancelled_sequences_leave_before_the_next_step() -> None:
    bench = Bench()
    first = bench.enter((1,), 50)
    bench.step()
    second = bench.enter((2,), 8)
    bench.step()
    third = bench.enter(LONG, 50)
    bench.step()
    first.cancelled = third.cancelled = True
    steps = len(bench.decoder.decodes)
    bench.drain()
    assert set(bench.decoder.decodes[steps:]) == {1}
    assert bench.tokens(second) == continuation((2,), 8)
    assert len(bench.decoder.prefills) == 3


def test_stop_token_is_counted_and_not_shown() -> None:
    answer = continuation((8, 8), 9)
    stop = answer[-1]
    shown = answer[: answer.index(stop)]
    bench = Bench()
    sequence = bench.enter((8, 8), 50, stop=[stop])
    bench.drain()
    assert bench.tokens(sequence) == shown
    assert bench.last(sequence) == Finish(FinishReason.STOP, Usage(2, len(shown) + 1))


def test_context_ends_an_answer() -> None:
    bench = Bench(length=16)
    sequence = bench.enter(LONG[:10], 1000)
    bench.drain()
    assert bench.tokens(sequence) == continuation(LONG[:10], 6)
    assert bench.last(sequence) == Finish(FinishReason.LENGTH, Usage(10, 6))


def test_logits_that_are_nan_fail_their_row_alone() -> None:
    bench = Bench()
    healthy = bench.enter((1, 2), 20)
    bench.step()
    answer = continuation((5,), 5)
    bench.decoder.poison = answer[2]
    assert answer[2] not in continuation((1, 2), 20)
    failing = bench.enter((5,), 20)
    bench.drain()
    assert isinstance(bench.last(failing), GenerationFailed)
    assert bench.tokens(failing) == answer[:3]
    assert bench.tokens(healthy) == continuation((1, 2), 20)
    bench.decoder.poison = -1
    again = bench.enter((1, 2), 3)
    bench.drain()
    assert bench.tokens(again) == continuation((1, 2), 3)


def test_prompt_of_nan_fails_and_leaves_its_row_clean() -> None:
    bench = Bench(rows=1)
    bench.decoder.poison = 5
    failing = bench.enter((1, 5, 2), 20)
    bench.drain()
    assert isinstance(bench.last(failing), GenerationFailed)
    healthy = bench.enter((1,), 2)
    bench.drain()
    assert bench.tokens(healthy) == continuation((1,), 2)


def test_run_that_raises_fails_its_prompt() -> None:
    bench = Bench()
    bench.decoder.bombs = frozenset({511})
    healthy = bench.enter((1, 2), 5)
    bench.step()
    failing = bench.enter((511, 511), 5)
    bench.drain()
    assert [type(event) for one, event in bench.outcomes if one is failing] == [GenerationFailed]
    assert bench.tokens(healthy) == continuation((1, 2), 5)


def test_step_that_raises_fails_only_the_rows_at_fault() -> None:
    bench = Bench()
    healthy = bench.enter((1, 2), 12)
    bench.step()
    answer = continuation((5,), 4)
    failing = bench.enter((5,), 12)
    bomb = answer[0]
    assert bomb not in continuation((1, 2), 12)
    bench.decoder.bombs = frozenset({bomb})
    bench.drain()
    assert bench.tokens(failing) == answer[:1]
    assert isinstance(bench.last(failing), GenerationFailed)
    assert bench.tokens(healthy) == continuation((1, 2), 12)


def test_rows_run_alone_where_only_their_batch_fails() -> None:
    bench = Bench()
    first = bench.enter((1, 2), 6)
    bench.step()
    second = bench.enter((3,), 6)
    bench.decoder.batch_fails = True
    bench.batch.prefill()
    bench.outcomes += bench.batch.decode()
    bench.decoder.batch_fails = False
    bench.drain()
    assert bench.tokens(first) == continuation((1, 2), 6)
    assert bench.tokens(second) == continuation((3,), 6)[1:]


def test_short_waiting_prompts_enter_together() -> None:
    bench = Bench(rows=8)
    prompts = [(1, 2, 3), (4, 5), (6, 7, 8, 9), (3, 3)]
    sequences = [bench.sequence(prompt, 6 - index) for index, prompt in enumerate(prompts)]
    assert count_together(sequences, bench.batch.free_rows, bench.decoder) == 4
    bench.batch.enter(*sequences)
    bench.drain()
    assert bench.decoder.together == [4]
    assert bench.decoder.prefills == []
    for sequence, prompt in zip(sequences, prompts, strict=True):
        assert bench.tokens(sequence) == continuation(prompt, sequence.limit)


def test_prompts_enter_together_up_to_one_chunk() -> None:
    bench = Bench(rows=8)

    def count(*lengths: int, free_rows: int = 8) -> int:
        sequences = [bench.sequence(LONG[:length], 1) for length in lengths]
        return count_together(sequences, free_rows, bench.decoder)

    assert count(16, 16, 16, 16, 16) == 4
    assert count(16, 16, 16, free_rows=2) == 2
    assert count(2, 2, 40) == 2
    assert count(1, 5) == 1  # one token alone runs as a step
    assert count(5, 1, 5) == 1
    assert count(300, 2) == 1
    bench.decoder.scores = False
    assert count(16, 16) == 1
    bench.decoder.scores, bench.decoder.prefill_alignment = True, 64
    assert count(16, 16) == 1


def test_prompts_that_fail_together_run_alone() -> None:
    bench = Bench(rows=4)
    bench.decoder.bombs = frozenset({77})
    prompts = [(1, 2, 3), (4, 77), (6, 7)]
    sequences = [bench.sequence(prompt, 4) for prompt in prompts]
    bench.batch.enter(*sequences)
    bench.drain()
    assert isinstance(bench.last(sequences[1]), GenerationFailed)
    for index in (0, 2):
        assert bench.tokens(sequences[index]) == continuation(prompts[index], 4)


def test_runs_start_at_multiples_of_the_alignment() -> None:
    for others in (0, 1):
        bench = Bench()
        bench.decoder.prefill_alignment = 32
        if others:
            bench.enter((1,), 40)
            bench.step()
        bench.decoder.prefills.clear()
        bench.enter(LONG[:97], 1)
        bench.drain()
        assert bench.decoder.prefills == [32, 32, 32, 1]


def choices(forced: list[int]) -> list[list[int]]:
    """Return answers of a choice, forced tokens, and another choice."""
    return [[first, *forced, last] for first in (1, 2) for last in (400, 401)]


def test_forced_tokens_run_together() -> None:
    forced = [9, 8, 7, 6, 5, 4, 3, 2]
    bench = Bench()
    sequence = bench.constrained((3, 1), 20, *choices(forced))
    bench.batch.enter(sequence)
    bench.drain()
    tokens = bench.tokens(sequence)
    assert tokens[1:9] == forced
    logits = history_logits((3, 1, *tokens[:9]))
    assert tokens[9:] == [400 if logits[400] > logits[401] else 401]
    assert bench.decoder.prefills == [2, 9]
    assert bench.decoder.decodes == []
    assert bench.last(sequence) == Finish(FinishReason.STOP, Usage(2, 10))


def test_forced_prefix_of_an_answer_runs_with_the_prompt() -> None:
    bench = Bench()
    sequence = bench.constrained((3, 1), 20, [9, 8, 7, 1], [9, 8, 7, 2])
    bench.batch.enter(sequence)
    bench.drain()
    assert bench.decoder.prefills == [5]
    assert bench.tokens(sequence)[:3] == [9, 8, 7]
    logits = history_logits((3, 1, 9, 8, 7))
    assert bench.tokens(sequence)[3] == (1 if logits[1] > logits[2] else 2)


def test_few_forced_tokens_run_as_steps() -> None:
    bench = Bench()
    sequence = bench.constrained((3, 1), 20, *choices([5, 6, 7]))
    bench.batch.enter(sequence)
    bench.drain()
    assert bench.decoder.prefills == [2]
    assert len(bench.decoder.decodes) == 4


@pytest.mark.parametrize("limit", [0, 1, 2, 5, 9, 10, 11])
def test_forced_tokens_end_at_the_length_limit(limit: int) -> None:
    forced = [9, 8, 7, 6, 5, 4, 3, 2]
    bench = Bench()
    sequence = bench.constrained((3, 1), limit, *choices(forced))
    if limit:
        bench.batch.enter(sequence)
        bench.drain()
        assert len(bench.tokens(sequence)) == min(limit, 10)
        reason = FinishReason.STOP if limit > 9 else FinishReason.LENGTH
        assert bench.last(sequence) == Finish(reason, Usage(2, min(limit, 10)))


def test_many_forced_tokens_are_cut_into_chunks_like_prompts() -> None:
    forced = [token % 200 for token in range(130)]
    bench = Bench()
    sequence = bench.constrained((3, 1), 500, *choices(forced))
    bench.batch.enter(sequence)
    bench.drain()
    assert bench.decoder.prefills == [2, BUSY_CHUNK, BUSY_CHUNK, 3]
    assert bench.tokens(sequence)[1:131] == forced


def test_rows_that_jump_forward_share_a_chunk_and_leave_the_others_their_step() -> None:
    forced = list(range(100, 140))
    answers = [[*answer, *forced, last] for answer in choices(forced) for last in (5, 6)]
    alone = Bench()
    only = alone.constrained((3, 1), 500, *answers)
    alone.batch.enter(only)
    alone.drain()
    bench = Bench(rows=4)
    free = bench.enter((1,), 30)
    bench.step()
    rows = []
    for _ in range(3):
        rows.append(bench.constrained((3, 1), 500, *answers))
        bench.batch.enter(rows[-1])
        bench.step()
    bench.drain()
    assert bench.tokens(free) == continuation((1,), 30)
    for sequence in rows:
        assert bench.tokens(sequence) == alone.tokens(only)
        assert bench.last(sequence) == alone.last(only)


def test_logprobs_are_those_of_the_model_whatever_token_is_drawn() -> None:
    bench = Bench()
    request = GenerationRequest((3, 1), 3, Sampling(0.9, seed=3, logit_bias={5: 100.0}), logprobs=2)
    sequence = bench.of_request(request)
    bench.batch.enter(sequence)
    bench.drain()
    events = [event for one, event in bench.outcomes if one is sequence]
    assert events[0] == Prefilled(0)
    for index, event in enumerate(events[1:-1]):
        assert isinstance(event, Token)
        assert event.id == 5
        assert event.logprobs is not None
        logits = history_logits((3, 1, *[5] * index)).astype(float)
        expected = logits - np.log(np.exp(logits).sum())
        assert event.logprobs.chosen == pytest.approx(expected[5], abs=1e-5)
        assert [token for token, _ in event.logprobs.top] == np.argsort(-expected)[:2].tolist()


@pytest.mark.parametrize("max_tokens", [0, 2])
def test_prompt_logprobs_are_computed_chunk_by_chunk(max_tokens: int) -> None:
    bench = Bench()
    request = GenerationRequest(LONG, max_tokens, GREEDY, logprobs=1, prompt_logprobs=True)
    sequence = bench.of_request(request)
    bench.batch.enter(sequence)
    bench.drain()
    prefilled = next(event for _, event in bench.outcomes if isinstance(event, Prefilled))
    assert len(prefilled.logprobs) == len(LONG) - 1
    for index in (0, 1, 254, 255, 256, 298):
        logits = history_logits(LONG[: index + 1]).astype(float)
        expected = logits - np.log(np.exp(logits).sum())
        assert prefilled.logprobs[index].chosen == pytest.approx(expected[LONG[index + 1]], abs=1e-5)
    assert len(bench.tokens(sequence)) == max_tokens


def test_a_prompt_that_is_scored_token_by_token_keeps_no_decode_step_waiting() -> None:
    bench = Bench()
    bench.decoder.scores = False
    sequence = bench.of_request(GenerationRequest(LONG[:20], 1, GREEDY, logprobs=0, prompt_logprobs=True))
    bench.batch.enter(sequence)
    bench.batch.prefill()
    assert sequence.prefilled == STEPS
    bench.drain()
    prefilled = next(event for _, event in bench.outcomes if isinstance(event, Prefilled))
    assert len(prefilled.logprobs) == 19


def test_cached_prefix_is_not_run_again() -> None:
    bench = Bench(prefixes=True)
    first = bench.enter(LONG[:200], 3)
    bench.drain()
    assert bench.decoder.prefills == [200]
    second = bench.enter((*LONG[:150], 5, 6, 7), 3)
    bench.drain()
    assert bench.decoder.prefills == [200, 153 - 128]
    assert bench.tokens(first) == continuation(LONG[:200], 3)
    assert bench.tokens(second) == continuation((*LONG[:150], 5, 6, 7), 3)
    assert bench.last(first) == Finish(FinishReason.LENGTH, Usage(200, 3))
    assert bench.last(second) == Finish(FinishReason.LENGTH, Usage(153, 3, 128))


def test_failed_prompt_is_not_cached() -> None:
    bench = Bench(prefixes=True)
    bench.decoder.poison = 7
    bench.enter((*LONG[:100], 7), 3)
    bench.drain()
    bench.decoder.poison = -1
    sequence = bench.enter((*LONG[:100], 7), 3)
    bench.drain()
    assert bench.tokens(sequence) == continuation((*LONG[:100], 7), 3)
    assert bench.last(sequence) == Finish(FinishReason.LENGTH, Usage(101, 3))


def test_cached_tokens_after_a_prompt_do_not_count_as_cached_prompt_tokens() -> None:
    """A forced prefix of the answer runs with the prompt, and is cached with it."""
    bench, prompt = Bench(prefixes=True), LONG[:40]
    answers = [[*LONG[40:140], last] for last in (400, 401)]
    for cached in (0, 40):
        sequence = bench.constrained(prompt, 200, *answers)
        bench.batch.enter(sequence)
        bench.drain()
        assert bench.last(sequence) == Finish(FinishReason.STOP, Usage(40, 101, cached))

"""Steps of the batch, one at a time and without threads: rows, chunks, leaving, failing."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from inference.contracts import Finish, FinishReason, GenerationRequest, Sampling, Token, Usage
from inference.engine.batch import BUSY_CHUNK, IDLE_CHUNK, Batch, Outcome, chunk_length
from inference.engine.sequence import Sequence
from inference.errors import GenerationFailed
from tests.engine.history import HistoryDecoder, continuation, small_cache

GREEDY = Sampling(temperature=0)
LONG = tuple(token % 31 for token in range(300))


class Bench:
    """A batch over the history decoder, and what came out of it so far."""

    def __init__(self, rows: int = 4, length: int = 1024) -> None:
        self.decoder = HistoryDecoder(small_cache(rows, length))
        self.batch = Batch(self.decoder, self.decoder.cache)
        self.outcomes: list[Outcome] = []

    def sequence(self, prompt: Iterable[int], max_tokens: int, stop: Iterable[int] = ()) -> Sequence:
        request = GenerationRequest(tuple(prompt), max_tokens, GREEDY, frozenset(stop))
        return Sequence(request, context=self.decoder.cache.length, vocabulary=self.decoder.vocabulary)

    def enter(self, prompt: Iterable[int], max_tokens: int, stop: Iterable[int] = ()) -> Sequence:
        sequence = self.sequence(prompt, max_tokens, stop)
        self.batch.enter(sequence)
        return sequence

    def step(self) -> None:
        self.batch.drop_cancelled()
        self.outcomes += self.batch.prefill()
        self.outcomes += self.batch.decode()

    def drain(self) -> None:
        while not self.batch.idle:
            self.step()

    def tokens(self, sequence: Sequence) -> list[int]:
        return [event.id for who, event in self.outcomes if who is sequence and isinstance(event, Token)]

    def last(self, sequence: Sequence) -> object:
        return [event for who, event in self.outcomes if who is sequence][-1]


@pytest.mark.parametrize("limit", [3, BUSY_CHUNK, IDLE_CHUNK])
def test_chunks_add_up_and_leave_no_single_token(limit: int) -> None:
    assert chunk_length(1, limit) == 1
    for prompt in range(2, 3 * limit + 3):
        remaining = prompt
        while remaining:
            count = chunk_length(remaining, limit)
            assert 2 <= count <= limit
            remaining -= count


def test_one_sequence_answers_what_its_history_says() -> None:
    bench = Bench()
    sequence = bench.enter((3, 1, 4), 5)
    bench.drain()
    assert bench.tokens(sequence) == continuation((3, 1, 4), 5)
    assert bench.last(sequence) == Finish(FinishReason.LENGTH, Usage(3, 5))


def test_a_long_prompt_runs_in_large_chunks_while_nobody_decodes() -> None:
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
    assert bench.decoder.order[:8] == ["prefill", "decode"] * 4
    assert bench.tokens(first) == continuation((1,), 9)
    assert bench.tokens(second) == continuation(LONG[:193], 4)


def test_rows_join_and_leave_while_others_go_on() -> None:
    bench = Bench(rows=3)
    lengths = {5: 2, 1: 7, 9: 3, 2: 12, 30: 1, 7: 6, 12: 4}
    waiting = [bench.sequence(LONG[:prompt], count) for prompt, count in lengths.items()]
    entered: list[Sequence] = []
    while waiting or not bench.batch.idle:
        if waiting and bench.batch.has_room:
            entered.append(waiting.pop(0))
            bench.batch.enter(entered[-1])
        bench.step()
    for sequence, (prompt, count) in zip(entered, lengths.items(), strict=True):
        assert bench.tokens(sequence) == continuation(LONG[:prompt], count)
    assert max(bench.decoder.decodes) == 3


def test_a_sequence_that_enters_above_rows_that_leave_moves_down() -> None:
    bench = Bench()
    first = bench.enter((1,), 3)
    bench.step()
    second = bench.enter(LONG[:130], 5)
    bench.step()
    assert first.finished
    assert bench.decoder.prefills == [1, 64]
    bench.drain()
    assert bench.tokens(second) == continuation(LONG[:130], 5)


def test_a_full_batch_has_no_room_until_a_row_leaves() -> None:
    bench = Bench(rows=1)
    sequence = bench.enter((1, 2), 3)
    assert not bench.batch.has_room
    bench.step()
    assert not bench.batch.has_room
    bench.drain()
    assert sequence.finished
    assert bench.batch.has_room


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


def test_a_stop_token_is_counted_and_not_shown() -> None:
    answer = continuation((8, 8), 9)
    stop = answer[-1]
    shown = answer[: answer.index(stop)]
    bench = Bench()
    sequence = bench.enter((8, 8), 50, stop=[stop])
    bench.drain()
    assert bench.tokens(sequence) == shown
    assert bench.last(sequence) == Finish(FinishReason.STOP, Usage(2, len(shown) + 1))


def test_the_context_ends_an_answer() -> None:
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
    ill = bench.enter((5,), 20)
    bench.drain()
    assert isinstance(bench.last(ill), GenerationFailed)
    assert bench.tokens(ill) == answer[:3]
    assert bench.tokens(healthy) == continuation((1, 2), 20)
    bench.decoder.poison = -1
    again = bench.enter((1, 2), 3)
    bench.drain()
    assert bench.tokens(again) == continuation((1, 2), 3)


def test_a_prompt_of_nan_fails_and_leaves_its_row_clean() -> None:
    bench = Bench(rows=1)
    bench.decoder.poison = 5
    ill = bench.enter((1, 5, 2), 20)
    bench.drain()
    assert isinstance(bench.last(ill), GenerationFailed)
    healthy = bench.enter((1,), 2)
    bench.drain()
    assert bench.tokens(healthy) == continuation((1,), 2)


def test_a_run_that_raises_fails_the_prompt_that_was_run() -> None:
    bench = Bench()
    bench.decoder.bombs = frozenset({511})
    healthy = bench.enter((1, 2), 5)
    bench.step()
    ill = bench.enter((511, 511), 5)
    bench.drain()
    assert [type(event) for who, event in bench.outcomes if who is ill] == [GenerationFailed]
    assert bench.tokens(healthy) == continuation((1, 2), 5)


def test_a_step_that_raises_fails_only_the_rows_at_fault() -> None:
    bench = Bench()
    healthy = bench.enter((1, 2), 12)
    bench.step()
    answer = continuation((5,), 4)
    ill = bench.enter((5,), 12)
    bomb = answer[0]
    assert bomb not in continuation((1, 2), 12)
    bench.decoder.bombs = frozenset({bomb})
    bench.drain()
    assert bench.tokens(ill) == answer[:1]
    assert isinstance(bench.last(ill), GenerationFailed)
    assert bench.tokens(healthy) == continuation((1, 2), 12)


def test_rows_go_on_alone_where_only_their_batch_fails() -> None:
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

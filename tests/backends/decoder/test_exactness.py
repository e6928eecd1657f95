"""Every shortcut of the engine on real graphs: the same bits as without it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.backends.decoder.graph import DecoderGraph
from inference.backends.decoder.in_place import InPlaceDecoder
from inference.backends.decoder.opening import allocate
from inference.backends.session import open_session
from inference.contracts import Finish, GenerationRequest, Sampling, TokenIds
from inference.engine.kv_cache import KVCache
from inference.settings import Settings
from tests.backends.decoder.running import GREEDY, SETTINGS, answer, opened, random_prompt
from tests.support.decoders import SHAPE, VOCABULARY, write_decoder

Array = NDArray[Any]

UNCACHED = replace(SETTINGS, prefix_cache_mb=0)


@pytest.fixture(scope="module", params=[32, 8])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_decoder(tmp_path_factory.mktemp("models"), bits=request.param)


@contextmanager
def bare_decoder(folder: Path, rows: int = 8) -> Iterator[tuple[InPlaceDecoder, KVCache]]:
    session = open_session(folder / "model.onnx", SETTINGS)
    graph = DecoderGraph.of(session)
    cache = allocate(graph, SHAPE.context, replace(SETTINGS, slots=rows))
    decoder = InPlaceDecoder(session, graph, cache, width=SHAPE.vocab, vocabulary=VOCABULARY)
    yield decoder, cache
    decoder.close()


def in_cache(cache: KVCache, row: int, count: int) -> list[Array]:
    return [array[row, :, :count].copy() for array in cache.arrays]


@pytest.mark.parametrize("lengths", [[2, 2], [2, 3, 31], [9, 8, 8, 3, 2, 8, 7, 5], [21, 13, 17]])
def test_prompts_run_together_compute_the_exact_logits_of_each_alone(
    folder: Path, lengths: list[int]
) -> None:
    prompts = [random_prompt(length, seed=index) for index, length in enumerate(lengths)]
    with bare_decoder(folder) as (decoder, cache):
        together = decoder.prefill_together(0, prompts).copy()
        cached = [in_cache(cache, row, length) for row, length in enumerate(lengths)]
        for row, prompt in enumerate(prompts):
            np.testing.assert_array_equal(decoder.prefill(row, prompt, 0), together[row])
            for before, after in zip(cached[row], in_cache(cache, row, len(prompt)), strict=True):
                np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("cuts", [[70], [2, 68], [40, 30]])
def test_scores_are_the_exact_logits_of_prompts_that_end_there(folder: Path, cuts: list[int]) -> None:
    prompt = random_prompt(70)
    with bare_decoder(folder) as (decoder, _):
        rows: list[Array] = []
        for count in cuts:
            rows += list(decoder.score(0, prompt[len(rows) : len(rows) + count], len(rows)).copy())
        for end in (2, 3, 17, 69, 70):
            np.testing.assert_array_equal(decoder.prefill(1, prompt[:end], 0), rows[end - 1])


def turns(count: int) -> list[GenerationRequest]:
    """Return conversations that grow: each starts as the one before it, and all share a prefix."""
    system = random_prompt(150)
    requests = []
    for number in range(count):
        tokens: TokenIds = system
        for turn in range(3):
            tokens = (*tokens, *random_prompt(40 + number, seed=100 * number + turn))
            sampling = GREEDY if number % 2 else Sampling(0.8, seed=number)
            requests.append(GenerationRequest(tuple(tokens), 6 + number, sampling, logprobs=3))
    return requests


async def events(
    folder: Path, requests: list[GenerationRequest], settings: Settings = SETTINGS
) -> list[tuple[list[int], Finish]]:
    with opened(folder, settings) as model:
        return list(await asyncio.gather(*(answer(model, each) for each in requests)))


async def test_cached_prefix_changes_no_token(folder: Path) -> None:
    requests = turns(4)
    plain = [await events(folder, [each], UNCACHED) for each in requests]
    with opened(folder, SETTINGS) as model:
        again = [[await answer(model, each)] for each in requests]
    assert [tokens for [(tokens, _)] in again] == [tokens for [(tokens, _)] in plain]
    cached = [finish.usage.cached_tokens for [(_, finish)] in again]
    assert cached[:3] == [0, 128, 192]
    assert min(cached[1:]) >= 128


@pytest.mark.parametrize("seed", [1, 2])
async def test_concurrent_requests_with_cached_prefixes_get_the_tokens_of_each_alone(
    folder: Path, seed: int
) -> None:
    requests = [*turns(4), *(GenerationRequest(random_prompt(n, seed=n), 9, GREEDY) for n in range(1, 14))]
    alone = [(await events(folder, [each], UNCACHED))[0][0] for each in requests]
    permutation = np.random.default_rng(seed).permutation(len(requests)).tolist()
    together = await events(folder, [requests[index] for index in permutation], replace(SETTINGS, slots=5))
    assert [tokens for tokens, _ in together] == [alone[index] for index in permutation]
    assert all(isinstance(finish, Finish) for _, finish in together)

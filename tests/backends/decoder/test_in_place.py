"""Tokens of real graphs: against plain numpy, alone and concurrently, for every supported set of inputs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from inference.backends.decoder import opening
from inference.backends.decoder.graph import DecoderGraph
from inference.backends.decoder.in_place import InPlaceDecoder
from inference.backends.session import open_session
from inference.contracts import Finish, FinishReason, GenerationRequest, Sampling, TokenIds, Usage
from inference.engine.batch import BUSY_CHUNK
from inference.engine.kv_cache import KVCache
from inference.errors import GenerationFailed
from inference.importer.lm_head import add_indices
from tests.backends.decoder.reference import reference_answer, reference_logits
from tests.backends.decoder.running import GREEDY, SETTINGS, WEIGHTS, answer, opened, random_prompt
from tests.support import models
from tests.support.decoders import SHAPE, VOCABULARY, write_decoder, write_deployment
from tools.graphs.decoder_graph import decoder_graph

Array = NDArray[Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_decoder(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def folder_8(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_decoder(tmp_path_factory.mktemp("models"), bits=8)


@pytest.mark.parametrize("length", [1, 2, 17, 70])
async def test_greedy_tokens_are_those_of_plain_numpy(folder: Path, length: int) -> None:
    prompt = random_prompt(length)
    with opened(folder) as model:
        tokens, finish = await answer(model, GenerationRequest(prompt, 24, GREEDY))
    assert tokens == reference_answer(SHAPE, WEIGHTS, prompt, 24)
    assert finish == Finish(FinishReason.LENGTH, Usage(length, 24))


@pytest.mark.parametrize("bits", ["folder", "folder_8"])
async def test_concurrent_requests_get_the_tokens_of_each_alone(
    bits: str, request: pytest.FixtureRequest
) -> None:
    lengths = [1, 2, 3, 30, 63, 64, 65, 66, 129, 200, 255, 256, 257, 258, 300, 400]
    samplings = [GREEDY, Sampling(0.9, top_p=0.9, seed=5)] * 8
    requests = [
        GenerationRequest(random_prompt(length), 5 + length % 17, sampling)
        for length, sampling in zip(lengths, samplings, strict=True)
    ]
    with opened(request.getfixturevalue(bits)) as model:
        alone = [await answer(model, each) for each in requests]
        for seed in (1, 2):
            permutation = np.random.default_rng(seed).permutation(len(requests)).tolist()
            together = await asyncio.gather(*(answer(model, requests[index]) for index in permutation))
            assert [tokens for tokens, _ in together] == [alone[index][0] for index in permutation]
            assert [finish.reason for _, finish in together] == [
                alone[index][1].reason for index in permutation
            ]


@contextmanager
def bare_decoder(folder: Path, rows: int = 4) -> Iterator[tuple[InPlaceDecoder, KVCache]]:
    session = open_session(folder / "model.onnx", SETTINGS)
    graph = DecoderGraph.of(session)
    cache = KVCache.allocate(graph.layout, rows, SHAPE.context)
    decoder = InPlaceDecoder(session, graph, cache, width=SHAPE.vocab, vocabulary=VOCABULARY)
    yield decoder, cache
    decoder.close()


def run_in_chunks(decoder: InPlaceDecoder, row: int, tokens: TokenIds, sizes: list[int]) -> Array:
    logits, past = np.zeros(0, np.float32), 0
    for size in sizes:
        logits = decoder.prefill(row, tokens[past : past + size], past)
        past += size
    assert past == len(tokens)
    return logits.copy()


@pytest.mark.parametrize("bits", ["folder", "folder_8"])
def test_chunks_compute_the_exact_logits_of_one_run(bits: str, request: pytest.FixtureRequest) -> None:
    prompt = random_prompt(300)
    with bare_decoder(request.getfixturevalue(bits)) as (decoder, cache):
        whole = run_in_chunks(decoder, 0, prompt, [300])
        for sizes in ([256, 44], [64, 64, 64, 64, 44], [BUSY_CHUNK - 1, 2, 235], [3, 7, 250, 40], [2] * 150):
            np.testing.assert_array_equal(run_in_chunks(decoder, 1, prompt, sizes), whole)
        for array in cache.arrays:
            np.testing.assert_array_equal(array[0, :, :300], array[1, :, :300])


@pytest.mark.parametrize("bits", ["folder", "folder_8"])
def test_row_has_the_exact_same_logits_alone_and_among_others(
    bits: str, request: pytest.FixtureRequest
) -> None:
    lengths = np.array([20, 3, 250, 64])
    with bare_decoder(request.getfixturevalue(bits)) as (decoder, _):
        for row, length in enumerate(lengths):
            decoder.prefill(row, random_prompt(int(length)), 0)
        together = decoder.decode(lengths, lengths + 1).copy()
        alone = decoder.decode(lengths[:1], lengths[:1] + 1).copy()
        np.testing.assert_array_equal(alone[0], together[0])
        for row, length in enumerate(lengths.tolist()):
            np.testing.assert_array_equal(decoder.prefill(row, [length], length), together[row])


def test_runs_write_into_the_cache_itself_and_nowhere_else(folder: Path) -> None:
    with bare_decoder(folder) as (decoder, cache):
        decoder.prefill(2, random_prompt(10), 0)
        for array in cache.arrays:
            assert array[2, :, :10].all()
            assert not array[2, :, 10:].any()
            assert not array[[0, 1, 3]].any()
        decoder.prefill(0, random_prompt(5), 0)
        decoder.prefill(1, random_prompt(7), 0)
        decoder.decode(np.array([1, 2]), np.array([6, 8]))
        for array in cache.arrays:
            assert array[0, :, :6].all()
            assert array[1, :, :8].all()
            assert not array[0, :, 6:].any()
            assert not array[2, :, 10:].any()


def test_decode_step_computes_the_logits_of_numpy_at_every_mask_width(folder: Path) -> None:
    prompt = random_prompt(70)
    with bare_decoder(folder) as (decoder, _):
        decoder.prefill(0, prompt[:61], 0)
        for length in range(62, 70):
            logits = decoder.decode(np.array([prompt[length - 1]]), np.array([length]))
            expected = reference_logits(SHAPE, WEIGHTS, prompt[:length])[:VOCABULARY]
            np.testing.assert_allclose(logits[0], expected, atol=1e-4)


async def test_logits_beyond_the_tokenizer_are_never_drawn(tmp_path: Path) -> None:
    weights = dict(WEIGHTS)
    weights["lm_head.weight"] = WEIGHTS["lm_head.weight"].copy()
    weights["lm_head.weight"][VOCABULARY:] *= 50
    folder = write_deployment(tmp_path, decoder_graph(SHAPE, weights))
    with opened(folder) as model:
        tokens, _ = await answer(model, GenerationRequest(random_prompt(20), 20, GREEDY))
        drawn, _ = await answer(model, GenerationRequest(random_prompt(20), 50, Sampling(2.0, seed=1)))
    assert tokens == reference_answer(SHAPE, WEIGHTS, random_prompt(20), 20)
    assert max(drawn) < VOCABULARY


async def test_context_ends_the_answer(tmp_path: Path) -> None:
    folder = write_decoder(tmp_path, card={"context": 40})
    with opened(folder) as model:
        assert models.generator(model).context == 40
        tokens, finish = await answer(model, GenerationRequest(random_prompt(30), 1000, GREEDY))
    assert tokens == reference_answer(SHAPE, WEIGHTS, random_prompt(30), 10)
    assert finish == Finish(FinishReason.LENGTH, Usage(30, 10))


def with_positions(model: onnx.ModelProto) -> onnx.ModelProto:
    """Take rotary positions from an input instead of the mask."""
    positions = helper.make_tensor_value_info("position_ids", TensorProto.INT64, ["batch", "sequence"])
    model.graph.input.append(positions)
    for node in model.graph.node:
        if node.op_type == "GroupQueryAttention":
            node.input.append("position_ids")
    return model


def with_cache_position(model: onnx.ModelProto) -> onnx.ModelProto:
    """Take one position for all rows of a run, so that they cannot differ in length."""
    model = with_positions(model)
    model.graph.input.pop()
    model.graph.input.append(helper.make_tensor_value_info("cache_position", TensorProto.INT64, ["sequence"]))
    model.graph.initializer.append(numpy_helper.from_array(np.array([0], np.int64), "first"))
    model.graph.node.insert(0, helper.make_node("Unsqueeze", ["cache_position", "first"], ["position_ids"]))
    return model


def with_indices(model: onnx.ModelProto) -> onnx.ModelProto:
    assert add_indices(model)
    return model


def with_keep(model: onnx.ModelProto) -> onnx.ModelProto:
    """Compute logits of the last `num_logits_to_keep` positions only."""
    model.graph.input.append(helper.make_tensor_value_info("num_logits_to_keep", TensorProto.INT64, []))
    model.graph.node[-1].output[0] = "all_logits"
    constants = {"axis": np.array([1], np.int64), "end": np.array([2**62], np.int64)}
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in constants.items())
    flat = numpy_helper.from_array(np.array([1], np.int64), "flat")
    model.graph.initializer.append(flat)
    model.graph.node.extend(
        [
            helper.make_node("Neg", ["num_logits_to_keep"], ["minus"]),
            helper.make_node("Reshape", ["minus", "flat"], ["start"]),
            helper.make_node("Slice", ["all_logits", "start", "end", "axis"], ["logits"]),
        ]
    )
    return model


def with_last_only(model: onnx.ModelProto) -> onnx.ModelProto:
    """Compute logits of the last position only."""
    model = with_keep(model)
    model.graph.input.pop()
    keep = numpy_helper.from_array(np.array(1, np.int64), "num_logits_to_keep")
    model.graph.initializer.append(keep)
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 1
    return model


def with_unnamed_width(model: onnx.ModelProto) -> onnx.ModelProto:
    model.graph.output[0].type.tensor_type.shape.dim[2].dim_param = "vocabulary"
    return model


GraphEdit = Callable[[onnx.ModelProto], onnx.ModelProto]


@pytest.mark.parametrize(
    "change",
    [
        with_positions,
        with_cache_position,
        with_indices,
        with_keep,
        with_last_only,
        with_unnamed_width,
        lambda m: with_keep(with_positions(m)),
        lambda m: with_indices(with_positions(m)),
    ],
)
async def test_graphs_of_other_exporters_generate_the_same_tokens(tmp_path: Path, change: GraphEdit) -> None:
    folder = write_deployment(tmp_path, change(decoder_graph(SHAPE, WEIGHTS)))
    prompts = [random_prompt(length) for length in (3, 70, 260)]
    with opened(folder) as model:
        requests = [GenerationRequest(prompt, 8, GREEDY) for prompt in prompts]
        found = await asyncio.gather(*(answer(model, request) for request in requests))
    expected = [reference_answer(SHAPE, WEIGHTS, prompt, 8) for prompt in prompts]
    assert [tokens for tokens, _ in found] == expected


def test_a_graph_of_the_last_logits_scores_a_prompt_token_by_token(tmp_path: Path) -> None:
    prompt = random_prompt(20)
    folder = write_deployment(tmp_path, with_last_only(decoder_graph(SHAPE, WEIGHTS)))
    with bare_decoder(folder) as (decoder, _):
        assert not decoder.scores
        found = np.concatenate([decoder.score(0, prompt[:12], 0), decoder.score(0, prompt[12:], 12)])
    for end in (1, 2, 12, 13, 20):
        expected = reference_logits(SHAPE, WEIGHTS, prompt[:end])[:VOCABULARY]
        np.testing.assert_allclose(found[end - 1], expected, atol=1e-3)


def in_half_precision(model: onnx.ModelProto) -> onnx.ModelProto:
    """Convert every float32 tensor of the graph to float16."""
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            tensor.CopyFrom(
                numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name)
            )
    for value in (*model.graph.input, *model.graph.output):
        if value.type.tensor_type.elem_type == TensorProto.FLOAT:
            value.type.tensor_type.elem_type = TensorProto.FLOAT16
    return model


async def test_graph_in_half_precision_has_a_cache_in_half_precision(tmp_path: Path) -> None:
    folder = write_deployment(tmp_path, in_half_precision(decoder_graph(SHAPE, WEIGHTS)))
    with bare_decoder(folder) as (decoder, cache):
        assert {array.dtype for array in cache.arrays} == {np.dtype(np.float16)}
        logits = decoder.prefill(0, random_prompt(20), 0)
        assert logits.dtype == np.float32
        expected = reference_logits(SHAPE, WEIGHTS, random_prompt(20))[:VOCABULARY]
        np.testing.assert_allclose(logits, expected, atol=0.05)
    with opened(folder) as model:
        requests = [GenerationRequest(random_prompt(length), 8, GREEDY) for length in (5, 50)]
        alone = [await answer(model, request) for request in requests]
        assert await asyncio.gather(*(answer(model, request) for request in requests)) == alone


async def test_token_that_makes_nan_fails_its_own_stream(tmp_path: Path) -> None:
    weights = dict(WEIGHTS)
    weights["model.embed_tokens.weight"] = WEIGHTS["model.embed_tokens.weight"].copy()
    weights["model.embed_tokens.weight"][251] = np.nan
    healthy = GenerationRequest(random_prompt(9), 30, GREEDY)
    with opened(write_deployment(tmp_path, decoder_graph(SHAPE, weights))) as model:
        alone = await answer(model, healthy)
        together = await asyncio.gather(
            answer(model, healthy),
            answer(model, GenerationRequest((*random_prompt(300), 251, 7), 5)),
            *(answer(model, healthy) for _ in range(10)),
            return_exceptions=True,
        )
    failed = together.pop(1)
    assert isinstance(failed, GenerationFailed)
    assert "not finite" in failed.message
    assert together == [alone] * 11


@pytest.mark.usefixtures("capfd")
async def test_run_that_onnxruntime_refuses_fails_its_own_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The table is too short, as in a graph that does not show its size.
    monkeypatch.setattr(opening, "embedding_rows", lambda _: None)
    embedding = "model.embed_tokens.weight"
    graph = decoder_graph(SHAPE, {**WEIGHTS, embedding: WEIGHTS[embedding][:250]})
    shown = Sampling(temperature=0, logit_bias=dict.fromkeys(range(250, VOCABULARY), -100.0))
    healthy = GenerationRequest(random_prompt(9), 30, shown)
    with opened(write_deployment(tmp_path, graph)) as model:
        alone = await answer(model, healthy)
        fine, failed = await asyncio.gather(
            answer(model, healthy),
            answer(model, GenerationRequest((250,), 5)),
            return_exceptions=True,
        )
    assert fine == alone
    assert isinstance(failed, GenerationFailed)
    assert "failed while" in failed.message

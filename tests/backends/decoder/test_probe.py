"""Traits of graphs, found by running them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnxruntime.quantization import QuantType, quantize_dynamic

from inference.backends.decoder.concatenated import ConcatenatedDecoder
from inference.backends.decoder.in_place import InPlaceDecoder
from inference.backends.decoder.row_decoder import GraphTraits
from inference.contracts import GenerationRequest
from tests.backends.decoder.running import GREEDY, WEIGHTS, answer, bare, opened, random_prompt
from tests.backends.decoder.test_golden import GOLDEN
from tests.support.decoders import SHAPE, write_decoder, write_deployment
from tools.graphs.decoder_graph import decoder_graph

IN_PLACE = GraphTraits(batches=True, ragged=True)
LONGER = GraphTraits(batches=True, ragged=False)


@pytest.mark.parametrize(
    ("name", "context", "kind", "traits"),
    [
        ("genai-llama", 256, InPlaceDecoder, IN_PLACE),
        ("genai-llama-cuda-float16", 256, InPlaceDecoder, IN_PLACE),
        ("genai-gemma2", 256, InPlaceDecoder, GraphTraits(ragged=False)),
        ("genai-phi3-long", 128, InPlaceDecoder, IN_PLACE),
        ("genai-phi3-long", 256, InPlaceDecoder, GraphTraits(ragged=False, whole_mask=True)),
        (
            "genai-llama-float16",
            256,
            ConcatenatedDecoder,
            GraphTraits(ragged=False, pads=True, prefill_alignment=256),
        ),
        ("optimum-llama", 256, ConcatenatedDecoder, GraphTraits(ragged=False, pads=True)),
        ("optimum-llama-merged", 256, ConcatenatedDecoder, GraphTraits(ragged=False, pads=True)),
        ("optimum-mistral", 256, ConcatenatedDecoder, GraphTraits(ragged=False, pads=True)),
        ("optimum-gpt2", 256, ConcatenatedDecoder, GraphTraits(ragged=False, pads=True)),
        ("optimum-gpt2-old", 256, ConcatenatedDecoder, LONGER),
        ("optimum-gemma3", 256, ConcatenatedDecoder, LONGER),
    ],
)
def test_traits_of_recorded_graphs_are_found(
    name: str, context: int, kind: type, traits: GraphTraits
) -> None:
    with bare(GOLDEN / name / "model.onnx", context=context) as (decoder, cache):
        assert type(decoder) is kind
        assert decoder.traits == traits
        assert not any(array.any() for array in cache.arrays)


def with_float_activations(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with blockwise weights as most files on hubs have them: without accuracy_level."""
    for node in model.graph.node:
        kept = [attribute for attribute in node.attribute if attribute.name != "accuracy_level"]
        del node.attribute[:]
        node.attribute.extend(kept)
    return model


@pytest.fixture(scope="module")
def float_activations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = with_float_activations(decoder_graph(SHAPE, WEIGHTS, bits=8))
    return write_deployment(tmp_path_factory.mktemp("models"), model)


def test_lone_row_runs_with_a_companion_where_one_row_takes_another_kernel(float_activations: Path) -> None:
    with bare(float_activations / "model.onnx") as (decoder, cache):
        assert decoder.traits == GraphTraits(needs_companion=True)
        for row, length in enumerate((20, 3, 70, 9)):
            decoder.prefill(row, random_prompt(length), 0)
        before = [array.copy() for array in cache.arrays]
        lengths = np.array([21, 4, 71, 10])
        alone = decoder.decode(lengths[:1], lengths[:1]).copy()
        for array, had in zip(cache.arrays, before, strict=True):
            np.testing.assert_array_equal(array[1:], had[1:])
        for count in (2, 3, 4):
            together = decoder.decode(lengths[:count], lengths[:count])
            np.testing.assert_array_equal(together[:1], alone)


async def test_concurrent_requests_get_the_tokens_of_each_alone_where_rows_need_a_companion(
    float_activations: Path,
) -> None:
    requests = [GenerationRequest(random_prompt(length), 20, GREEDY) for length in (2, 30, 65, 100, 300)]
    with opened(float_activations) as model:
        alone = [(await answer(model, request))[0] for request in requests]
        together = await asyncio.gather(*(answer(model, request) for request in requests))
    assert [tokens for tokens, _ in together] == alone


def test_tokens_after_a_past_run_one_by_one_where_a_prompt_must_run_whole() -> None:
    prompt = tuple(token % 128 for token in random_prompt(40))
    with bare(GOLDEN / "genai-llama-float16" / "model.onnx", context=256) as (decoder, _):
        whole = decoder.prefill(0, prompt, 0).copy()
        every = decoder.score(0, prompt, 0).copy()
        decoder.prefill(1, prompt[:30], 0)
        rest = decoder.score(1, prompt[30:], 30).copy()
        decoder.prefill(2, prompt[:30], 0)
        np.testing.assert_array_equal(decoder.prefill(2, prompt[30:], 30), rest[-1])
    np.testing.assert_array_equal(every[-1], whole)
    np.testing.assert_allclose(rest, every[30:], atol=0.02)


@pytest.mark.filterwarnings("ignore")
async def test_rows_of_a_graph_with_one_scale_for_all_run_alone(tmp_path: Path) -> None:
    folder = write_decoder(tmp_path)
    plain = folder.joinpath("model.onnx").rename(folder / "plain.onnx")
    options = {"DefaultTensorType": onnx.TensorProto.FLOAT}
    quantize_dynamic(plain, folder / "model.onnx", weight_type=QuantType.QInt8, extra_options=options)
    with bare(folder / "model.onnx") as (decoder, _):
        assert not decoder.traits.batches
        assert not decoder.traits.ragged
        assert decoder.prefill_alignment > 1
    requests = [GenerationRequest(random_prompt(length), 20, GREEDY) for length in (2, 9, 30, 50)]
    with opened(folder) as model:
        alone = [(await answer(model, request))[0] for request in requests]
        together = await asyncio.gather(*(answer(model, request) for request in requests))
    assert [tokens for tokens, _ in together] == alone

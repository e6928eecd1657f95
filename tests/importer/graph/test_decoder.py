"""Decoders of every architecture that the importer writes, against the logits of transformers.

`tests/golden/make_graphs.py` made the cases.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import pytest

from inference.backends.decoder import probe
from inference.backends.decoder.graph import DecoderGraph
from inference.backends.decoder.row_decoder import RowDecoder
from inference.backends.session import open_session
from inference.engine.interfaces import Logits
from inference.engine.kv_cache import KVCache
from inference.importer.findings import ImporterError
from inference.importer.graph.decoder import write_decoder
from inference.settings import Settings
from tests.importer.graph.sources import NAMES, Blocks, Tensors, golden, golden_weights

CONTEXT = 64
PROMPT = 24
"""Tokens of a prompt, past the windows of the cases; those after it come one at a time."""
TOLERANCE = 2e-4
"""Of logits of unit scale; their fixtures have five digits."""


def silent(_: str) -> None:
    return None


def written(case: Mapping[str, Any], folder: Path, weights: Any = None) -> Path:
    path = folder / "model.onnx"
    write_decoder(case["config"], weights or golden_weights(case), path, progress=silent)
    return path


@contextmanager
def decoder_of(path: Path, context: int) -> Iterator[RowDecoder]:
    session = open_session(path, Settings(threads=1))
    graph = DecoderGraph.of(session)
    form = probe.form_of(session, graph, context)
    cache = KVCache.allocate(graph.layout, 4, context)
    decoder = form.decoder(session, graph, cache, width=form.width, vocabulary=form.width)
    probe.probe_traits(decoder, cache, graph.logits)
    try:
        yield decoder
    finally:
        decoder.close()


def expected(case: Mapping[str, Any], length: int) -> dict[int, Logits]:
    return {int(key): np.array(row, np.float32) for key, row in case["logits"][str(length)].items()}


@pytest.fixture(scope="module", params=NAMES)
def case(request: pytest.FixtureRequest) -> dict[str, Any]:
    return golden(request.param)


@pytest.fixture(scope="module")
def path(case: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(case, tmp_path_factory.mktemp("graph"))


@pytest.fixture(scope="module")
def decoder(path: Path) -> Iterator[RowDecoder]:
    with decoder_of(path, CONTEXT) as opened:
        yield opened


def test_logits_are_those_of_transformers_in_a_prompt_and_step_by_step(
    case: dict[str, Any], decoder: RowDecoder
) -> None:
    compare_steps(decoder, case, len(case["tokens"]))


def compare_steps(decoder: RowDecoder, case: Mapping[str, Any], length: int) -> None:
    found = {PROMPT - 1: decoder.prefill(0, tuple(case["tokens"][:PROMPT]), 0).copy()}
    for position in range(PROMPT, length):
        found[position] = decoder.decode(
            np.array([case["tokens"][position]]), np.array([position + 1])
        ).copy()
    wanted = {
        position: logits for position, logits in expected(case, length).items() if position >= PROMPT - 1
    }
    assert len(wanted) > 2
    for position, logits in wanted.items():
        np.testing.assert_allclose(found[position].reshape(-1), logits, atol=TOLERANCE)


def test_rows_of_different_lengths_share_a_run(case: dict[str, Any], decoder: RowDecoder) -> None:
    lengths = (7, 23, 51)
    wanted = expected(case, len(case["tokens"]))
    assert decoder.traits.batches
    for row, length in enumerate(lengths):
        decoder.prefill(row, tuple(case["tokens"][:length]), 0)
    tokens = np.array([case["tokens"][length] for length in lengths])
    found = decoder.decode(tokens, np.array(lengths) + 1)
    for row, length in enumerate(lengths):
        np.testing.assert_allclose(found[row], wanted[length], atol=TOLERANCE)


def test_angles_of_a_short_context_are_those_of_the_pretraining(tmp_path: Path) -> None:
    case = golden("phi3-long")
    with decoder_of(written(case, tmp_path), 32) as decoder:
        compare_steps(decoder, case, 32)


BITS: Sequence[tuple[Literal[4, 8], bool]] = ((4, False), (4, True), (8, False), (8, True))


@pytest.mark.parametrize(("bits", "offsets"), BITS)
@pytest.mark.parametrize("name", ["llama-3", "llama-biases"], ids=["tied", "untied"])
def test_blocks_differ_from_their_floats_by_the_rounding_of_inputs(
    tmp_path: Path, name: str, bits: Literal[4, 8], offsets: bool
) -> None:
    case = golden(name)
    blocks = Blocks(golden_weights(case), bits, offsets)
    report = write_decoder(case["config"], blocks, tmp_path / "blocks.onnx", progress=silent)
    write_decoder(case["config"], blocks.unpacked, tmp_path / "floats.onnx", progress=silent)
    prompt = tuple(case["tokens"][:PROMPT])
    found = []
    for file in ("blocks.onnx", "floats.onnx"):
        with decoder_of(tmp_path / file, CONTEXT) as decoder:
            found.append(decoder.prefill(0, prompt, 0).copy())
            if file == "blocks.onnx":
                traits = decoder.traits
                assert (traits.batches, traits.ragged, traits.prefill_alignment) == (True, True, 1)
    assert (found[0] - found[1]).std() < 0.05 * found[1].std()
    assert report.bits == {bits: 9}
    assert report.offsets == (9 if offsets else 0)


def test_the_embedding_and_a_tied_head_share_their_bytes(tmp_path: Path) -> None:
    case = golden("llama-3")
    write_decoder(case["config"], Blocks(golden_weights(case), 8), tmp_path / "model.onnx", progress=silent)
    graph = onnx.load(tmp_path / "model.onnx", load_external_data=False).graph
    nodes = {node.op_type: node for node in graph.node}
    table, head = nodes["GatherBlockQuantized"].input, nodes["MatMulNBits"].input
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    places = [
        {entry.key: entry.value for entry in tensors[name].external_data} for name in (table[0], head[1])
    ]
    assert places[0] == places[1]
    assert table[2] == head[2]
    assert list(tensors[table[0]].dims) == [64, 32]
    assert list(tensors[head[1]].dims) == [64, 1, 32]


def test_queries_keys_and_values_are_one_product_and_so_are_gate_and_up(tmp_path: Path) -> None:
    case = golden("llama-3")
    write_decoder(case["config"], Blocks(golden_weights(case), 4), tmp_path / "model.onnx", progress=silent)
    nodes = onnx.load(tmp_path / "model.onnx", load_external_data=False).graph.node
    products = [node.name for node in nodes if node.op_type == "MatMulNBits" and "layers.0" in node.name]
    assert [name.split("/")[-2] for name in products] == ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"]


def test_the_requested_positions_alone_have_logits(tmp_path: Path) -> None:
    case = golden("llama")
    session = open_session(written(case, tmp_path), Settings(threads=1))
    sizes = {node.name: node.shape for node in session.get_inputs()}
    feeds: dict[str, Any] = {
        name: np.zeros((1, shape[1], 0, shape[3]), np.float32)
        for name, shape in sizes.items()
        if name.startswith("past")
    }
    feeds["input_ids"] = np.array([case["tokens"]])
    feeds["attention_mask"] = np.ones((1, len(case["tokens"])), np.int64)
    wanted = expected(case, len(case["tokens"]))
    (logits,) = session.run(["logits"], {**feeds, "logits_indices": np.array([*wanted])})
    assert logits.shape == (1, len(wanted), 64)
    np.testing.assert_allclose(logits[0], list(wanted.values()), atol=TOLERANCE)


def without(case: dict[str, Any], name: str) -> Tensors:
    arrays = dict(golden_weights(case).arrays)
    del arrays[name]
    return Tensors(arrays)


def test_a_missing_tensor_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    case = golden("qwen2")
    for name in ("model.layers.1.mlp.up_proj.weight", "model.layers.0.self_attn.k_proj.bias"):
        with pytest.raises(ImporterError, match=f"no tensor {name}, which Qwen2ForCausalLM needs"):
            written(case, tmp_path, without(case, name))
    assert list(tmp_path.iterdir()) == []


def test_a_tensor_of_another_shape_is_named_with_both_shapes(tmp_path: Path) -> None:
    case = golden("llama")
    name = "model.layers.0.mlp.down_proj.weight"
    arrays = {**golden_weights(case).arrays, name: np.ones((32, 96), np.float32)}
    with pytest.raises(ImporterError, match=rf"{name} has the shape \[32, 96\].*states \[32, 64\]"):
        written(case, tmp_path, Tensors(arrays))


def test_tensors_of_another_architecture_are_refused(tmp_path: Path) -> None:
    case = golden("qwen3")
    config = {**case["config"], "architectures": ["LlamaForCausalLM"]}
    with pytest.raises(
        ImporterError, match=r"4 tensors that LlamaForCausalLM does not know, such as .*k_norm"
    ):
        written({**case, "config": config}, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_tensors_of_a_text_tower_are_found_under_its_prefix(tmp_path: Path) -> None:
    case = golden("gemma3")
    arrays = golden_weights(case).arrays
    towers = {
        "": arrays,
        "language_model.": {f"language_model.{name}": values for name, values in arrays.items()},
        "model.language_model.": {
            f"model.language_model.{name.removeprefix('model.')}": values for name, values in arrays.items()
        },
    }
    image = {"model.vision_tower.patch.weight": np.ones((2, 2), np.float32)}
    config = {"architectures": ["Gemma3ForConditionalGeneration"], "text_config": case["config"]}
    files = set()
    for prefix, tensors in towers.items():
        extra = image if prefix else {}
        written(
            {**case, "config": config if prefix else case["config"]}, tmp_path, Tensors({**tensors, **extra})
        )
        files.add((tmp_path / "model.onnx.data").read_bytes())
    assert len(files) == 1


def test_progress_is_reported_a_few_times(tmp_path: Path) -> None:
    case, sentences = golden("gemma3"), list[str]()
    write_decoder(case["config"], golden_weights(case), tmp_path / "model.onnx", progress=sentences.append)
    assert sentences[0] == "Layer 1 of 7 is written."
    assert len(sentences) == 5

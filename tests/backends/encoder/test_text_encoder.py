import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

from inference.backends import BACKENDS
from inference.backends.encoder.text_encoder import TextEncoder, require_finite
from inference.backends.loaded_models import LoadedModel
from inference.cards.card import CardError, load
from inference.errors import GenerationFailed
from inference.settings import Settings
from tests.backends.decoder.reference import reference_logits
from tests.support import models
from tests.support.decoders import SHAPE, write_json
from tests.support.encoders import (
    CLS,
    CONTEXT,
    DIMENSIONS,
    INPUTS,
    SEP,
    VOCABULARY,
    text_graph,
    write_text_encoder,
)
from tools.graphs.decoder_graph import decoder_graph, random_weights
from tools.starter_embeddings.build import FOLDER, make

Floats = NDArray[np.float32]

TOLERANCE = 1e-5
TEXTS = ("a", "lighthouse", "A ship passes the lighthouse before dawn.", "", "low tide")
GOLDEN = Path(__file__).parents[2] / "golden" / "minilm.json"


@contextmanager
def opened(folder: Path) -> Iterator[LoadedModel]:
    deployment = load(folder)
    model = BACKENDS[deployment.card.backend].open(deployment, Settings(threads=1))
    try:
        yield model
    finally:
        model.close()


def refusal(folder: Path) -> str:
    with pytest.raises(CardError) as error, opened(folder):
        pass
    return str(error.value)


def encoder_of(model: LoadedModel) -> TextEncoder:
    encoder = models.text_embedder(model)
    assert isinstance(encoder, TextEncoder)
    return encoder


def tokens_of(*texts: str) -> list[list[int]]:
    return [[CLS, *text.encode(), SEP] for text in texts]


async def one_by_one(encoder: TextEncoder, inputs: Sequence[Sequence[int]]) -> Floats:
    return np.concatenate([await encoder.embed([tokens]) for tokens in inputs])


def expected(folder: Path, tokens: Sequence[int], pooling: str = "mean") -> Floats:
    """Return a vector computed without the code under test: one input, no padding, float64 pooling."""
    session = ort.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    feeds = {name: np.zeros((1, len(tokens)), np.int64) for name in INPUTS}
    feeds |= {"input_ids": np.array([tokens]), "attention_mask": np.ones((1, len(tokens)), np.int64)}
    (hidden,) = session.run(None, feeds)
    vector = {"mean": hidden[0].mean(0), "cls": hidden[0, 0], "last": hidden[0, -1]}[pooling]
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_text_encoder(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Iterator[TextEncoder]:
    with opened(folder) as model:
        yield encoder_of(model)


async def test_everything_is_discovered_from_the_files(folder: Path, encoder: TextEncoder) -> None:
    assert (encoder.dimensions, encoder.context, encoder.vocabulary) == (DIMENSIONS, CONTEXT, VOCABULARY)
    vectors = await encoder.embed(tokens_of(*TEXTS))
    assert vectors.dtype == np.float32
    for vector, tokens in zip(vectors, tokens_of(*TEXTS), strict=True):
        np.testing.assert_allclose(vector, expected(folder, tokens), atol=TOLERANCE)


def test_the_tokenizer_is_opened_with_the_encoder(folder: Path) -> None:
    with opened(folder) as model:
        assert models.text_tokenizer(model).encode_batch(TEXTS, special=True) == tokens_of(*TEXTS)


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
async def test_the_card_s_pooling_wins(tmp_path: Path, pooling: str) -> None:
    folder = write_text_encoder(tmp_path, card={"embedding": {"pooling": pooling}})
    with opened(folder) as model:
        vectors = await encoder_of(model).embed(tokens_of(*TEXTS))
    for vector, tokens in zip(vectors, tokens_of(*TEXTS), strict=True):
        np.testing.assert_allclose(vector, expected(folder, tokens, pooling), atol=TOLERANCE)


async def test_the_card_s_normalize_wins(tmp_path: Path, encoder: TextEncoder) -> None:
    with opened(write_text_encoder(tmp_path, card={"embedding": {"normalize": False}})) as model:
        vectors = await encoder_of(model).embed(tokens_of(*TEXTS))
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    assert np.abs(lengths - 1).max() > 0.1
    np.testing.assert_allclose(vectors / lengths, await encoder.embed(tokens_of(*TEXTS)), atol=TOLERANCE)


@pytest.mark.parametrize(
    "extra", [(), ("attention_mask",), ("token_type_ids",), ("attention_mask", "position_ids")]
)
@pytest.mark.parametrize("output", ["last_hidden_state", "sentence_embedding"])
async def test_any_known_inputs_and_either_output_embed(
    tmp_path: Path, extra: tuple[str, ...], output: Any
) -> None:
    """A graph without a mask cannot tell padding from tokens, so its inputs must not be padded."""
    with opened(write_text_encoder(tmp_path, inputs=("input_ids", *extra), output=output)) as model:
        encoder = encoder_of(model)
        together = await encoder.embed(tokens_of(*TEXTS))
        np.testing.assert_allclose(together, await one_by_one(encoder, tokens_of(*TEXTS)), atol=TOLERANCE)
        np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=TOLERANCE)


@pytest.mark.parametrize("number", [TensorProto.INT32, TensorProto.INT64])
async def test_ids_of_32_and_64_bits_embed_the_same(
    tmp_path: Path, encoder: TextEncoder, number: int
) -> None:
    folder = write_text_encoder(tmp_path)
    onnx.save(text_graph(0, number=number), folder / "model.onnx")
    with opened(folder) as model:
        vectors = await encoder_of(model).embed(tokens_of(*TEXTS))
    np.testing.assert_allclose(vectors, await encoder.embed(tokens_of(*TEXTS)), atol=TOLERANCE)


async def test_inputs_are_padded_to_a_graph_s_fixed_length(tmp_path: Path, encoder: TextEncoder) -> None:
    folder = write_text_encoder(tmp_path)
    onnx.save(text_graph(0, shape=("batch", 48)), folder / "model.onnx")
    with opened(folder) as model:
        fixed = encoder_of(model)
        assert fixed.context == 48
        vectors = await fixed.embed(tokens_of(*TEXTS))
    np.testing.assert_allclose(vectors, await encoder.embed(tokens_of(*TEXTS)), atol=TOLERANCE)


inputs = st.lists(
    st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=CONTEXT), min_size=1, max_size=30
)


@settings(deadline=None)
@given(inputs)
def test_a_batch_gives_the_vectors_of_single_inputs_in_order(
    encoder: TextEncoder, inputs: list[list[int]]
) -> None:
    together = asyncio.run(encoder.embed(inputs))
    np.testing.assert_allclose(together, asyncio.run(one_by_one(encoder, inputs)), atol=TOLERANCE)


async def test_concurrent_requests_get_their_own_vectors(encoder: TextEncoder) -> None:
    requests = [tokens_of(*(f"{'x' * (n % 7)} {number}" for n in range(9))) for number in range(20)]
    alone = [await encoder.embed(request) for request in requests]
    together = await asyncio.gather(*(encoder.embed(request) for request in requests))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(one, other, atol=TOLERANCE)


async def test_no_inputs_give_no_rows(encoder: TextEncoder) -> None:
    assert (await encoder.embed([])).shape == (0, DIMENSIONS)


@pytest.mark.parametrize("bad", [[VOCABULARY], [-1], [2**40], [1, VOCABULARY + 1, 2]])
async def test_an_unknown_id_fails_its_own_request(encoder: TextEncoder, bad: list[int]) -> None:
    good, failed = await asyncio.gather(
        encoder.embed(tokens_of("good")), encoder.embed([bad]), return_exceptions=True
    )
    assert isinstance(good, np.ndarray)
    assert isinstance(failed, ValueError)
    assert f"vocabulary of {VOCABULARY}" in str(failed)


@pytest.mark.parametrize("length", [0, CONTEXT + 1])
async def test_empty_and_overlong_inputs_are_refused(encoder: TextEncoder, length: int) -> None:
    with pytest.raises(ValueError, match=f"has {length} tokens, the model takes 1 to {CONTEXT}"):
        await encoder.embed([[1] * length])


async def test_a_failing_run_raises_generation_failed(tmp_path: Path) -> None:
    """The card claims more positions than the graph has rows for."""
    folder = write_text_encoder(tmp_path, inputs=(*INPUTS, "position_ids"), card={"context": 4 * CONTEXT})
    with opened(folder) as model, pytest.raises(GenerationFailed, match="The model failed"):
        await encoder_of(model).embed([[1] * 3 * CONTEXT])


def test_nan_raises_generation_failed() -> None:
    with pytest.raises(GenerationFailed, match="not finite"):
        require_finite(np.array([[0, np.nan]], np.float32))


ROBERTA = {"model_type": "roberta", "max_position_embeddings": 2 * CONTEXT + 2, "pad_token_id": 1}
"""The first token of a text has position 2."""


@pytest.mark.parametrize(
    ("files", "context"),
    [
        ({}, CONTEXT),
        ({"sentence_bert_config.json": None}, 2 * CONTEXT),
        ({"sentence_bert_config.json": {"max_seq_length": None}}, 2 * CONTEXT),
        ({"sentence_bert_config.json": {"max_seq_length": 8 * CONTEXT}}, 2 * CONTEXT),
        ({"sentence_bert_config.json": None, "sentence_roberta_config.json": {"max_seq_length": 9}}, 9),
        ({"config.json": ROBERTA, "sentence_bert_config.json": None}, 2 * CONTEXT),
        ({"sentence_bert_config.json": None, "tokenizer_config.json": {"model_max_length": 96}}, 96),
        (
            {"sentence_bert_config.json": None, "tokenizer_config.json": {"model_max_length": 1e30}},
            2 * CONTEXT,
        ),
    ],
)
def test_the_context_is_the_smallest_limit_of_the_files(
    tmp_path: Path, files: dict[str, Any], context: int
) -> None:
    folder = write_text_encoder(tmp_path)
    replace(folder, files)
    with opened(folder) as model:
        assert encoder_of(model).context == context


def test_the_card_s_context_wins(tmp_path: Path) -> None:
    with opened(write_text_encoder(tmp_path, card={"context": 7})) as model:
        assert encoder_of(model).context == 7


def replace(folder: Path, files: dict[str, Any]) -> None:
    """Write files, or delete those of the value None."""
    for name, value in files.items():
        if value is None:
            (folder / name).unlink()
        else:
            write_json(folder / name, value)


def module(kind: str, path: str = "") -> dict[str, str]:
    return {"type": f"sentence_transformers.models.{kind}", "path": path}


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"modules.json": None}, "embedding.pooling is missing; it must be one of mean, cls, last, max"),
        ({"modules.json": [module("Transformer")]}, "embedding.pooling is missing"),
        (
            {"modules.json": [module("Pooling", "1_Pooling"), module("Dense", "2_Dense")]},
            "2_Dense/model.safetensors is missing",
        ),
        (
            {"modules.json": [module("WordEmbeddings"), module("LSTM"), module("Pooling", "1_Pooling")]},
            "modules.json: WordEmbeddings, LSTM cannot be run; known types are Transformer, Pooling",
        ),
        (
            {"modules.json": [module("Transformer"), module("Normalize"), module("Pooling", "1_Pooling")]},
            "Pooling must come before Normalize",
        ),
        ({"modules.json": {"type": "x"}}, "modules.json is not a list of steps"),
        ({"modules.json": [module("Pooling", "missing")]}, "missing/config.json: no pooling is turned on"),
        (
            {"1_Pooling/config.json": {"pooling_mode_best_tokens": True}},
            "the pooling pooling_mode_best_tokens is not known",
        ),
        ({"1_Pooling/config.json": {"pooling_mode": ["mean", "best"]}}, "the pooling best is not known"),
        (
            {"config_sentence_transformers.json": {"prompts": {"query": 1}}},
            "prompts is not an object of texts",
        ),
        ({"config_sentence_transformers.json": {"default_prompt_name": "q"}}, "default_prompt_name is 'q'"),
        ({"1_Pooling/config.json": []}, "config.json is not a JSON object"),
        ({"config.json": None, "sentence_bert_config.json": None}, "context is missing"),
        ({"model.json": {"pooling": "none"}}, r"embedding.pooling is none"),
    ],
)
def test_files_that_cannot_be_used_are_named(tmp_path: Path, files: dict[str, Any], sentence: str) -> None:
    embedding = files.pop("model.json", {})
    folder = write_text_encoder(tmp_path, card={"embedding": embedding})
    replace(folder, files)
    assert sentence in refusal(folder)


def test_a_missing_normalize_is_named(tmp_path: Path) -> None:
    folder = write_text_encoder(tmp_path, card={"embedding": {"pooling": "mean"}})
    replace(folder, {"modules.json": None})
    assert "embedding.normalize is missing" in refusal(folder)


def test_a_prompt_cannot_be_excluded_from_pooled_output(tmp_path: Path) -> None:
    folder = write_text_encoder(tmp_path, output="sentence_embedding")
    write_json(folder / "1_Pooling" / "config.json", {"pooling_mode": "mean", "include_prompt": False})
    assert "include_prompt is false" in refusal(folder)


async def test_modules_of_other_sizes_are_refused(tmp_path: Path) -> None:
    folder = write_text_encoder(tmp_path)
    modules = [module("Transformer"), module("Pooling", "1_Pooling"), module("Dense", "2_Dense")]
    write_json(folder / "modules.json", modules)
    (folder / "2_Dense").mkdir()
    save_file({"linear.weight": np.ones((4, 99), np.float32)}, folder / "2_Dense" / "model.safetensors")
    assert "modules.json: a module does not take vectors of 16 numbers" in refusal(folder)


def test_pooled_output_is_not_pooled_again(tmp_path: Path) -> None:
    folder = write_text_encoder(tmp_path, output="sentence_embedding", card={"embedding": {"pooling": "cls"}})
    assert "embedding.pooling is cls, the graph's output is [inputs, dimensions]" in refusal(folder)


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (("attention_mask",), "no input input_ids"),
        (
            ("input_ids", "past_key_values.0.key"),
            "past_key_values.0.key is ['b', 's'], not the keys or values",
        ),
        (("input_ids", "past_conv.0"), "past_conv.0 is ['b', 's'], not the keys or values"),
        (("input_ids", "bbox"), "the graph has the inputs bbox, which are not known"),
    ],
)
def test_unknown_and_missing_inputs_are_refused(
    tmp_path: Path, names: tuple[str, ...], sentence: str
) -> None:
    folder = write_text_encoder(tmp_path)
    graph = text_graph(0)
    extra = [name for name in names if name not in INPUTS]
    graph.graph.input.extend(
        helper.make_tensor_value_info(name, TensorProto.INT64, ["b", "s"]) for name in extra
    )
    if "input_ids" not in names:
        for node in (*graph.graph.input, *graph.graph.node):
            rename(node, "input_ids", "ids")
    onnx.save(graph, folder / "model.onnx")
    assert sentence in refusal(folder)


def rename(part: Any, old: str, new: str) -> None:
    if part.name == old:
        part.name = new
    if isinstance(part, onnx.NodeProto):
        part.input[:] = [new if name == old else name for name in part.input]


def test_unknown_outputs_are_refused(tmp_path: Path) -> None:
    folder = write_text_encoder(tmp_path)
    graph = text_graph(0, output="logits")
    graph.graph.output.append(helper.make_tensor_value_info("pooler_output", TensorProto.FLOAT, None))
    graph.graph.node.append(helper.make_node("Identity", ["logits"], ["pooler_output"]))
    onnx.save(graph, folder / "model.onnx")
    assert "the graph has the outputs logits, pooler_output; one must be" in refusal(folder)


def fixed_to_one(*, declared: bool) -> onnx.ModelProto:
    """Return a graph for one input, that declares it or that fails on two."""
    graph = text_graph(0, shape=(1 if declared else "batch", "sequence"))
    if not declared:
        ids = numpy_helper.from_array(np.array([1, -1]), "one_row")
        graph.graph.initializer.append(ids)
        graph.graph.node.insert(0, helper.make_node("Reshape", ["input_ids", "one_row"], ["row"]))
        for node in graph.graph.node[1:]:
            node.input[:] = ["row" if name == "input_ids" else name for name in node.input]
    return graph


@pytest.mark.parametrize("declared", [True, False])
async def test_a_graph_for_one_input_gets_one_at_a_time(
    tmp_path: Path, encoder: TextEncoder, declared: bool
) -> None:
    folder = write_text_encoder(tmp_path)
    onnx.save(fixed_to_one(declared=declared), folder / "model.onnx")
    with opened(folder) as model:
        vectors = await encoder_of(model).embed(tokens_of(*TEXTS, *TEXTS))
    np.testing.assert_allclose(vectors, await encoder.embed(tokens_of(*TEXTS, *TEXTS)), atol=TOLERANCE)


def test_a_graph_for_exactly_four_inputs_is_refused(tmp_path: Path) -> None:
    folder = write_text_encoder(tmp_path)
    onnx.save(text_graph(0, shape=(4, "sequence")), folder / "model.onnx")
    assert "files.model: the graph takes exactly 4 inputs a run" in refusal(folder)


def test_a_graph_that_cannot_run_is_refused(tmp_path: Path) -> None:
    folder = write_text_encoder(tmp_path)
    graph = text_graph(0)
    table = next(one for one in graph.graph.initializer if one.dims[0] == VOCABULARY)
    table.CopyFrom(numpy_helper.from_array(np.zeros((0, DIMENSIONS), np.float32), table.name))
    onnx.save(graph, folder / "model.onnx")
    assert "files.model: an input cannot be run" in refusal(folder)


async def test_a_decoder_with_grouped_queries_embeds(tmp_path: Path) -> None:
    """Newer exports of decoders: positions come from the mask, the past is a shared buffer."""
    weights = random_weights(SHAPE, 3)
    folder = write_text_encoder(tmp_path, card={"embedding": {"pooling": "last", "normalize": False}})
    graph = decoder_graph(SHAPE, weights, bits=32)
    head = next(node for node in graph.graph.node if "logits" in node.output)
    logits = next(output for output in graph.graph.output if output.name == "logits")
    logits.name = "token_embeddings"
    logits.type.tensor_type.shape.dim[2].dim_value = SHAPE.hidden
    graph.graph.node.remove(head)
    graph.graph.node.append(helper.make_node("Identity", [head.input[0]], ["token_embeddings"]))
    onnx.save(graph, folder / "model.onnx")
    with opened(folder) as model:
        vectors = await encoder_of(model).embed(tokens_of(*TEXTS))
    # The reference goes on to the logits, and so does the test.
    logit_rows = vectors @ weights["lm_head.weight"].T
    for row, tokens in zip(logit_rows, tokens_of(*TEXTS), strict=True):
        np.testing.assert_allclose(row, reference_logits(SHAPE, weights, tokens), atol=1e-3)


async def test_a_decoder_with_a_cache_branch_embeds(tmp_path: Path, encoder: TextEncoder) -> None:
    folder = write_text_encoder(tmp_path)
    graph = text_graph(0)
    inputs = [
        helper.make_tensor_value_info("use_cache_branch", TensorProto.BOOL, [1]),
        helper.make_tensor_value_info("past_key_values.0.key", TensorProto.FLOAT16, ["b", 2, "past", 8]),
    ]
    graph.graph.input.extend(inputs)
    onnx.save(graph, folder / "model.onnx")
    with opened(folder) as model:
        vectors = await encoder_of(model).embed(tokens_of(*TEXTS))
    np.testing.assert_allclose(vectors, await encoder.embed(tokens_of(*TEXTS)), atol=TOLERANCE)


@pytest.fixture(scope="module")
def starter() -> Path:
    make()
    return FOLDER


async def test_the_starter_gives_the_vectors_of_sentence_transformers(starter: Path) -> None:
    cases: list[dict[str, Any]] = json.loads(GOLDEN.read_text(encoding="utf-8"))
    with opened(starter) as model:
        encoder = encoder_of(model)
        ids = models.text_tokenizer(model).encode_batch([case["text"] for case in cases], special=True)
        # The reference cuts long texts and keeps the last token, [SEP].
        cut = [one if len(one) <= 256 else [*one[:255], one[-1]] for one in ids]
        vectors = await encoder.embed(cut)
    assert (encoder.dimensions, encoder.context) == (384, 256)
    np.testing.assert_allclose(vectors, [case["embedding"] for case in cases], atol=TOLERANCE)

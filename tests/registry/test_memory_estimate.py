"""The estimate of a deployment's memory: weights, tokenizer, and the very cache that is allocated."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest

from inference.backends.decoder.graph import DecoderGraph
from inference.backends.decoder.opening import allocate
from inference.backends.decoder.probe import form_of
from inference.backends.model_files import head_size
from inference.backends.session import open_session
from inference.cards import card
from inference.cards.card import Card, Deployment
from inference.registry.memory_estimate import (
    BASE,
    DECODER_FACTOR,
    ENCODER_FACTOR,
    MIB,
    TOKENIZER_FACTOR,
    estimate_bytes,
    kv_cache_bytes,
    resident,
)
from inference.settings import Settings
from tests.backends.decoder.test_golden import GOLDEN, NAMES
from tests.backends.decoder.test_graph import INPUTS, OUTPUTS, hollow_graph
from tests.importer.models import write_external
from tests.support.decoders import CARD, write_decoder, write_deployment, write_json
from tests.support.encoders import text_graph, write_text_encoder

CONTEXT = 256
SETTINGS = Settings(threads=1, slots=3, kv_memory_mb=64, prefix_cache_mb=5)
BYTES_PER_TOKEN = {
    "genai-gemma": 512,
    "genai-gemma2": 512,
    "genai-llama": 512,
    "genai-llama-cuda-float16": 256,
    "genai-llama-float16": 256,
    "genai-mistral": 512,
    "genai-phi3-long": 256,
    "genai-qwen2": 256,
    "genai-qwen3": 512,
    "genai-smollm": 256,
    "genai-smollm-pruned": 256,
    "optimum-bloom": 512,
    "optimum-gemma3": 512,
    "optimum-gpt2": 512,
    "optimum-gpt2-old": 512,
    "optimum-gpt2-old-merged": 512,
    "optimum-granite": 256,
    "optimum-llama": 256,
    "optimum-llama-merged": 256,
    "optimum-mistral": 512,
    "optimum-phi2": 512,
    "optimum-phi3": 256,
    "optimum-qwen3": 512,
}
"""2 layers of keys and values: heads x head size x 4 bytes, or 2 where the cache is float16."""


def recorded(name: str) -> Deployment:
    fields = {**CARD, "name": name, "context": CONTEXT}
    return Deployment(Card.model_validate(fields), GOLDEN / name)


def size(folder: Path, *names: str) -> int:
    return sum((folder / name).stat().st_size for name in names)


@pytest.mark.parametrize("name", NAMES)
def test_cache_of_every_recorded_graph_is_estimated_as_it_is_allocated(name: str) -> None:
    config = json.loads((GOLDEN / name / "config.json").read_text())
    session = open_session(GOLDEN / name / "model.onnx", SETTINGS)
    graph = DecoderGraph.of(session, head_size(config, {}))
    copies = form_of(session, graph, CONTEXT).copies
    cache = allocate(graph, CONTEXT, SETTINGS, copies=copies)
    assert sum(array.nbytes for array in cache.arrays) == 3 * CONTEXT * BYTES_PER_TOKEN[name]
    assert graph.layout.bytes_per_token == BYTES_PER_TOKEN[name]
    assert kv_cache_bytes(recorded(name), SETTINGS) == copies * 3 * CONTEXT * BYTES_PER_TOKEN[name]


def test_rows_are_those_that_the_memory_of_the_cache_allows(tmp_path: Path) -> None:
    deployment = card.load(write_decoder(tmp_path))
    # 512 bytes a token, 256 KiB a row of 512 tokens.
    assert kv_cache_bytes(deployment, replace(SETTINGS, slots=9, kv_memory_mb=1)) == 4 * 512 * 512
    assert kv_cache_bytes(deployment, replace(SETTINGS, slots=2)) == 2 * 512 * 512


def test_context_is_the_cards_or_else_that_of_config_json(tmp_path: Path) -> None:
    folder = write_decoder(tmp_path, card={"context": None})
    assert kv_cache_bytes(card.load(folder), SETTINGS) == 3 * 512 * 512
    write_json(folder / "config.json", {"n_positions": 100})
    assert kv_cache_bytes(card.load(folder), SETTINGS) == 3 * 100 * 512
    fields = json.loads((folder / "model.json").read_text())
    write_json(folder / "model.json", {**fields, "context": 50})
    assert kv_cache_bytes(card.load(folder), SETTINGS) == 3 * 50 * 512


@pytest.mark.parametrize(
    ("past", "expected"),
    [
        ({"key": ["b", 2, "p", 16], "value": ["b", 2, "p", 16]}, 4 * (2 * 16 + 2 * 16)),
        ({"key": ["b", 2, "p", 24], "value": ["b", 2, "p", 16]}, 4 * (2 * 24 + 2 * 16)),
        ({"key": ["b", 8, "p", "d"], "value": ["b", 2, "p", "d"]}, 4 * (8 * 12 + 2 * 12)),
    ],
)
def test_keys_and_values_may_differ_in_heads_and_size(
    tmp_path: Path, past: Mapping[str, list[Any]], expected: int
) -> None:
    shapes = {f"past_key_values.0.{name}": (onnx.TensorProto.FLOAT, dims) for name, dims in past.items()}
    folder = write_deployment(tmp_path, hollow_graph({**INPUTS, **shapes}, OUTPUTS), context=10)
    write_json(folder / "config.json", {"head_dim": 12})
    # Concatenated: three copies of three rows.
    assert kv_cache_bytes(card.load(folder), SETTINGS) == 3 * 3 * 10 * expected


def test_layers_may_differ_in_heads(tmp_path: Path) -> None:
    more = {
        f"past_key_values.1.{name}": (onnx.TensorProto.FLOAT, ["b", 1, "p", 64]) for name in ("key", "value")
    }
    folder = write_deployment(tmp_path, hollow_graph({**INPUTS, **more}, OUTPUTS), context=10)
    assert kv_cache_bytes(card.load(folder), SETTINGS) == 3 * 3 * 10 * 4 * (2 * 2 * 16 + 2 * 64)


def quantized(folder: Path) -> None:
    int8 = {
        f"past_key_values.0.{name}": (onnx.TensorProto.INT8, ["b", 2, "p", 16]) for name in ("key", "value")
    }
    onnx.save(hollow_graph({**INPUTS, **int8}, OUTPUTS), folder / "model.onnx")


def without_context(folder: Path) -> None:
    fields = json.loads((folder / "model.json").read_text())
    write_json(folder / "model.json", {**fields, "context": None})
    write_json(folder / "config.json", {})


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: (folder / "model.onnx").write_bytes(b"no model"),
        lambda folder: (folder / "model.onnx").write_bytes(b""),
        lambda folder: (folder / "model.onnx").unlink(),
        lambda folder: (folder / "config.json").write_bytes(b"{"),
        quantized,
        without_context,
    ],
    ids=["no model", "empty", "missing", "no config", "quantized", "no context"],
)
def test_cache_that_nothing_states_is_none_and_counts_as_all_the_settings_allow(
    tmp_path: Path, spoil: Any
) -> None:
    folder = write_decoder(tmp_path)
    spoil(folder)
    deployment = card.load(folder)
    assert kv_cache_bytes(deployment, SETTINGS) is None
    graph = size(folder, "model.onnx") if (folder / "model.onnx").is_file() else 0
    tokenizer = size(folder, "tokenizer.json")
    fixed = int(BASE + graph * DECODER_FACTOR + tokenizer * TOKENIZER_FACTOR)
    assert estimate_bytes(deployment, SETTINGS) == fixed + (64 + 5) * MIB


def test_decoder_takes_its_weights_packed_its_tokenizer_and_its_caches(tmp_path: Path) -> None:
    folder = write_decoder(tmp_path)
    write_external(onnx.load(folder / "model.onnx"), folder / "model.onnx", "5f2c")
    (folder / "unused.onnx.data").write_bytes(b"w" * 9000)
    weights = size(folder, "model.onnx") + size(folder, "5f2c")
    assert size(folder, "5f2c") > size(folder, "model.onnx")
    fixed = 8 * MIB + 1.75 * weights + 8 * size(folder, "tokenizer.json")
    caches = 3 * 512 * 512 + 5 * MIB
    assert estimate_bytes(card.load(folder), SETTINGS) == int(fixed) + caches


def test_encoder_takes_its_weights_and_tokenizer_and_no_cache(tmp_path: Path) -> None:
    folder = write_text_encoder(tmp_path)
    fixed = (
        BASE + ENCODER_FACTOR * size(folder, "model.onnx") + TOKENIZER_FACTOR * size(folder, "tokenizer.json")
    )
    assert ENCODER_FACTOR == 1.4
    assert estimate_bytes(card.load(folder), SETTINGS) == int(fixed)


def test_every_graph_of_a_card_counts_once(tmp_path: Path) -> None:
    files = {
        "model": "vision/model.onnx",
        "text_model": "text.onnx",
        "again": "text.onnx",
        "tokenizer": "t.json",
    }
    (tmp_path / "vision").mkdir()
    write_external(text_graph(0), tmp_path / "vision" / "model.onnx", "weights")
    onnx.save(text_graph(1), tmp_path / "text.onnx")
    (tmp_path / "t.json").write_bytes(b"w" * 5)
    weights = sum(size(tmp_path, name) for name in ("vision/model.onnx", "vision/weights", "text.onnx"))
    fields = {"name": "x", "provider": "x", "type": "image-embeddings", "backend": "onnx-image-encoder"}
    deployment = Deployment(Card.model_validate({**fields, "files": files}), tmp_path)
    assert estimate_bytes(deployment, SETTINGS) == int(BASE + 1.4 * weights + 8 * 5)


def test_remote_endpoint_takes_no_memory(tmp_path: Path) -> None:
    remote = {"url": "http://127.0.0.1:9/v1", "dialect": "openai", "model": "theirs"}
    fields = {
        "name": "far",
        "provider": "x",
        "type": "chat-completions",
        "backend": "remote",
        "remote": remote,
    }
    assert estimate_bytes(Deployment(Card.model_validate(fields), tmp_path), SETTINGS) == 0


def test_memory_of_this_process_is_known_here() -> None:
    assert resident() > 16 * MIB

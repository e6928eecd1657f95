"""The context of a decoder, limited by its training and by the memory of the KV cache."""

from __future__ import annotations

from typing import Any

import pytest

from inference.importer.decoder_card import decoder_context
from inference.importer.findings import ImporterError
from inference.importer.graph_facts import GraphFacts, GraphTensor
from inference.settings import Settings
from tests.importer.models import described

CACHE = {f"past_key_values.0.{part}": GraphTensor(1, ("batch", 2, "past", 64)) for part in ("key", "value")}
GRAPH = GraphFacts(CACHE, {}, {"GroupQueryAttention": 1}, frozenset(), "float32")
CONCATENATED = GraphFacts(CACHE, {}, {"Concat": 2}, frozenset(), "float32")
FREE_HEAD_SIZE = {name: GraphTensor(1, ("batch", 2, "past", "kv_cache_dim")) for name in CACHE}


@pytest.mark.parametrize(
    ("files", "context"),
    [
        ({"config": {"max_position_embeddings": 4096}}, 4096),
        ({"config": {"n_positions": 1024}}, 1024),
        ({"config": {"text_config": {"max_position_embeddings": 2048}}}, 2048),
        ({"genai_config": {"model": {"context_length": 512}}}, 512),
        (
            {
                "config": {
                    "max_position_embeddings": 131072,
                    "original_max_position_embeddings": 4096,
                    "rope_scaling": {"type": "longrope"},
                }
            },
            4096,
        ),
        ({"config": {"max_position_embeddings": 8192, "rope_scaling": {"rope_type": "llama3"}}}, 8192),
        # 1 MiB of a cache of 2 x 2 x 64 float32 a token
        ({"config": {"max_position_embeddings": 1_000_000}}, 64 * 1024 * 1024 // 1024),
    ],
)
def test_context_is_the_trained_one_within_the_cache_memory(files: dict[str, Any], context: int) -> None:
    assert decoder_context(described(**files), GRAPH, Settings(kv_memory_mb=64)).value == context


def test_a_concatenated_cache_counts_three_times() -> None:
    files = described(config={"max_position_embeddings": 1_000_000})
    found = decoder_context(files, CONCATENATED, Settings(kv_memory_mb=64))
    assert found.value == 64 * 1024 * 1024 // 1024 // 3 // 64 * 64
    assert "3 copies" in found.sentence


def test_a_free_head_size_is_taken_from_genai_config() -> None:
    files = described(genai_config={"model": {"context_length": 1_000_000, "decoder": {"head_size": 64}}})
    graph = GraphFacts(FREE_HEAD_SIZE, {}, {"GroupQueryAttention": 1}, frozenset(), "float32")
    assert decoder_context(files, graph, Settings(kv_memory_mb=64)).value == 64 * 1024 * 1024 // 1024


def test_an_unknown_context_is_refused_with_the_missing_key() -> None:
    with pytest.raises(ImporterError, match="max_position_embeddings"):
        decoder_context(described(), GRAPH, Settings())


def test_the_context_of_the_command_line_is_taken_within_the_trained_one() -> None:
    assert decoder_context(described(), GRAPH, Settings(kv_memory_mb=64), 300).value == 300
    trained = described(config={"max_position_embeddings": 512})
    assert decoder_context(trained, GRAPH, Settings(kv_memory_mb=64), 100).value == 100
    with pytest.raises(ImporterError, match="--context 513 is more than the 512 tokens"):
        decoder_context(trained, GRAPH, Settings(kv_memory_mb=64), 513)
    with pytest.raises(ImporterError, match="Set it with --context N"):
        decoder_context(described(), GRAPH, Settings())

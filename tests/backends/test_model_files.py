"""The facts that a model's own JSON files state, each read by one function."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inference.backends.model_files import (
    head_size,
    input_limits,
    limit_files,
    sentence_steps,
    stated_context,
    text_part,
    usable_positions,
)
from inference.cards.card import CardError
from inference.cards.json_files import read_object
from tests.support.decoders import write_json


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"max_position_embeddings": 4096, "n_ctx": 9}, ("max_position_embeddings", 4096)),
        ({"n_positions": 1024}, ("n_positions", 1024)),
        ({"n_ctx": 512}, ("n_ctx", 512)),
        ({"max_seq_len": 2048}, ("max_seq_len", 2048)),
        ({"seq_length": 8192}, ("seq_length", 8192)),
        ({"max_position_embeddings": None, "n_positions": 7}, ("n_positions", 7)),
        ({"max_position_embeddings": "many"}, ("max_position_embeddings", "many")),
        ({"context": 5}, None),
    ],
)
def test_context_is_found_under_every_familys_key(config: dict[str, Any], expected: object) -> None:
    assert stated_context(config) == expected


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"max_position_embeddings": 512, "model_type": "bert"}, 512),
        ({"max_position_embeddings": 514, "model_type": "roberta"}, 512),
        ({"max_position_embeddings": 514, "model_type": "mpnet", "pad_token_id": 3}, 510),
        ({"max_position_embeddings": "many"}, None),
        ({"max_position_embeddings": True}, None),
    ],
)
def test_positions_after_the_padding_id_cannot_be_used(config: dict[str, Any], expected: int | None) -> None:
    found = usable_positions(config)
    assert (found and found[1]) == expected


@pytest.mark.parametrize(
    ("config", "genai", "expected"),
    [
        ({"head_dim": 16, "hidden_size": 32, "num_attention_heads": 4}, {}, 16),
        ({"hidden_size": 32, "num_attention_heads": 4}, {}, 8),
        ({"head_dim": 16}, {"model": {"decoder": {"head_size": 64}}}, 64),
        ({"head_dim": 16, "text_config": {"head_dim": 32}}, {}, 32),
        ({"hidden_size": 32}, {}, None),
        ({"hidden_size": 32, "num_attention_heads": 0}, {}, None),
        ({"head_dim": True}, {}, None),
    ],
)
def test_head_size_is_stated_or_follows_from_the_hidden_size(
    config: dict[str, Any], genai: dict[str, Any], expected: int | None
) -> None:
    assert head_size(config, genai) == expected


def test_limits_of_an_input_come_with_their_source(tmp_path: Path) -> None:
    write_json(tmp_path / "sentence_roberta_config.json", {"max_seq_length": 128})
    write_json(tmp_path / "tokenizer_config.json", {"model_max_length": 1e30})
    write_json(tmp_path / "config.json", {"text_config": {"max_position_embeddings": 77}})
    files = {name: read_object(tmp_path / name) for name in limit_files(tmp_path)}
    assert input_limits(files) == {
        "sentence_roberta_config.json's max_seq_length": 128,
        "config.json's max_position_embeddings": 77,
    }


def test_folder_without_modules_has_no_steps(tmp_path: Path) -> None:
    assert sentence_steps(tmp_path) == []


def test_text_part_overrides_the_keys_of_the_whole_model() -> None:
    config = {"model_type": "clip", "projection_dim": 8, "text_config": {"model_type": "clip_text_model"}}
    assert text_part(config)["model_type"] == "clip_text_model"
    assert text_part(config)["projection_dim"] == 8
    assert text_part({"model_type": "bert"}) == {"model_type": "bert"}


def test_steps_are_named_by_the_last_word_of_their_type(tmp_path: Path) -> None:
    steps = [{"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"}]
    write_json(tmp_path / "modules.json", steps)
    assert sentence_steps(tmp_path) == [("Pooling", "1_Pooling")]
    write_json(tmp_path / "modules.json", {"type": "x"})
    with pytest.raises(CardError, match=r"modules\.json is not a list of steps with type and path"):
        sentence_steps(tmp_path)

"""Single decisions: where an answer ends, how long a context is, which dialect a template writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inference.intake.context import decoder_context
from inference.intake.dialects import MARKS, dialect
from inference.intake.encoder_card import text_context
from inference.intake.graph import Graph, Tensor
from inference.intake.looking import Look
from inference.intake.refusal import IntakeError
from inference.intake.stopping import stop_tokens
from inference.prompt.tokenizer import Tokenizer
from inference.settings import Settings
from tests.decoders import END, END_OF_TEXT, byte_tokenizer

CACHE = {f"past_key_values.0.{part}": Tensor(1, ("batch", 2, "past", 64)) for part in ("key", "value")}
GRAPH = Graph(CACHE, {}, {}, frozenset(), "float32")


def look(**files: Any) -> Look:
    return Look(Path(), {}, {}, {f"{name}.json": value for name, value in files.items()})


def blank(**files: Any) -> Look:
    names = ("config", "generation_config", "genai_config", "tokenizer_config", "sentence_bert_config")
    return look(**{**{name: {} for name in names}, **files})


@pytest.fixture
def tokenizer(tmp_path: Path) -> Tokenizer:
    byte_tokenizer().save(str(tmp_path / "tokenizer.json"))
    return Tokenizer.open(tmp_path / "tokenizer.json")


def test_stop_tokens_are_those_of_all_files_together(tokenizer: Tokenizer) -> None:
    seen = blank(
        config={"eos_token_id": 7},
        generation_config={"eos_token_id": [8, 9]},
        tokenizer_config={"eos_token": {"content": "<|endoftext|>"}},
    )
    found = stop_tokens(seen, tokenizer, "{{ '<|im_end|>' }} <|eot_id|>")
    assert found.value == [7, 8, 9, END_OF_TEXT, END]
    assert "<|im_end|> of the chat template" in found.sentence
    assert stop_tokens(blank(), tokenizer, "").value == []


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
def test_a_decoders_context(files: dict[str, Any], context: int) -> None:
    assert decoder_context(blank(**files), GRAPH, Settings(kv_memory_mb=64)).value == context


def test_a_context_that_nobody_says_is_asked_for() -> None:
    with pytest.raises(IntakeError, match="max_position_embeddings"):
        decoder_context(blank(), GRAPH, Settings())


@pytest.mark.parametrize(
    ("files", "context"),
    [
        ({"config": {"max_position_embeddings": 512}, "sentence_bert_config": {"max_seq_length": 256}}, 256),
        ({"config": {"max_position_embeddings": 514, "model_type": "xlm-roberta"}}, 512),
        ({"config": {"max_position_embeddings": 512}, "tokenizer_config": {"model_max_length": 1e30}}, 512),
    ],
)
def test_an_encoders_context(files: dict[str, Any], context: int) -> None:
    assert text_context(blank(**files)).value == context


@pytest.mark.parametrize(
    ("template", "known", "expected"),
    [
        ("<tool_call>{json}</tool_call>", ("hermes",), "hermes"),
        ("<tool_call>\n<function=x>", ("hermes",), None),
        ("<tool_call>\n<function=x>", ("hermes", "qwen3-coder"), "qwen3-coder"),
        ("[TOOL_CALLS] [", ("hermes", "mistral"), "mistral"),
        ("[TOOL_CALLS] [", ("hermes",), None),
        ("something else", tuple(MARKS), None),
    ],
)
def test_a_dialect_is_declared_where_it_is_known_and_can_be_read(
    template: str, known: tuple[str, ...], expected: str | None
) -> None:
    assert dialect(template, takes_tools=True, known=known).value == expected
    assert dialect(template, takes_tools=False, known=known).value is None

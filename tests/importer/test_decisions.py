"""Single decisions: where an answer ends, how long a context is, which dialect a template writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from inference.importer.chat_template import chat_template, dialect, efforts, reasoning, template_text
from inference.importer.decoder_card import stop_tokens
from inference.importer.decoder_context import decoder_context
from inference.importer.encoder_card import text_context
from inference.importer.findings import ImporterError
from inference.importer.graph_facts import GraphFacts, GraphTensor
from inference.importer.model_folder import ModelFolder
from inference.prompt.chat_template import ChatTemplate
from inference.prompt.tokenizer import Tokenizer
from inference.settings import Settings
from inference.tool_formats import TOOL_FORMATS
from tests.prompt.families import TEMPLATES
from tests.support.decoders import END, END_OF_TEXT, byte_tokenizer

CACHE = {f"past_key_values.0.{part}": GraphTensor(1, ("batch", 2, "past", 64)) for part in ("key", "value")}
GRAPH = GraphFacts(CACHE, {}, {"GroupQueryAttention": 1}, frozenset(), "float32")
CONCATENATED = GraphFacts(CACHE, {}, {"Concat": 2}, frozenset(), "float32")
OPEN = {name: GraphTensor(1, ("batch", 2, "past", "kv_cache_dim")) for name in CACHE}


def look(**files: Any) -> ModelFolder:
    return ModelFolder(Path(), {}, {}, {f"{name}.json": value for name, value in files.items()})


def blank(**files: Any) -> ModelFolder:
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


def test_a_cache_that_is_copied_counts_three_times() -> None:
    files = blank(config={"max_position_embeddings": 1_000_000})
    found = decoder_context(files, CONCATENATED, Settings(kv_memory_mb=64))
    assert found.value == 64 * 1024 * 1024 // 1024 // 3 // 64 * 64
    assert "3 copies" in found.sentence


def test_a_head_size_that_the_graph_leaves_open_is_read_where_the_backend_reads_it() -> None:
    files = blank(genai_config={"model": {"context_length": 1_000_000, "decoder": {"head_size": 64}}})
    graph = GraphFacts(OPEN, {}, {"GroupQueryAttention": 1}, frozenset(), "float32")
    assert decoder_context(files, graph, Settings(kv_memory_mb=64)).value == 64 * 1024 * 1024 // 1024


def test_a_context_that_nobody_says_is_asked_for() -> None:
    with pytest.raises(ImporterError, match="max_position_embeddings"):
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
        ("something else", tuple(TOOL_FORMATS), None),
    ],
)
def test_a_dialect_is_declared_where_it_is_known_and_can_be_read(
    template: str, known: tuple[str, ...], expected: str | None
) -> None:
    assert dialect(template, takes_tools=True, known=known).value == expected
    assert dialect(template, takes_tools=False, known=known).value is None


@pytest.mark.parametrize("family", TEMPLATES)
def test_the_template_of_each_family_shows_its_dialect(tmp_path: Path, family: str) -> None:
    """By its text; and the prompt it renders has the tools in it, wherever it looks for them."""
    (tmp_path / "chat_template.jinja").write_text(TEMPLATES[family])
    seen = ModelFolder(tmp_path, {}, {}, {"tokenizer_config.json": {}})
    template = chat_template(seen).value
    assert template is not None
    found = dialect(template_text(seen), takes_tools=template.takes_tools)
    assert found.value == family
    tool = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}
    shown = template.render([{"role": "user", "content": "Hi"}], tools=[tool])
    assert shown != template.render([{"role": "user", "content": "Hi"}])


class Named:
    """A tokenizer that has some tokens."""

    def __init__(self, *tokens: str) -> None:
        self._tokens = tokens

    def token_id(self, text: str) -> int | None:
        return self._tokens.index(text) if text in self._tokens else None


@pytest.mark.parametrize(
    ("template", "tokens", "expected"),
    [
        ("{{ content.split('</think>')[-1] }}<think>", (), "<think>"),
        ("{{ content.split('</think>')[-1] }}", (), None),
        ("{{ content }}", ("<think>", "</think>"), "<think>"),
        ("{{ content }}", ("<think>",), None),
        ("[THINK]{{ content }}[/THINK]", (), "[THINK]"),
    ],
)
def test_thoughts_are_declared_where_both_tags_are_known(
    template: str, tokens: tuple[str, ...], expected: str | None
) -> None:
    found = reasoning(template, cast("Tokenizer", Named(*tokens))).value
    assert (found and found["open"]) == expected


@pytest.mark.parametrize(
    ("template", "values"),
    [
        ("{% if enable_thinking is not defined or enable_thinking %}<think>{% endif %}", ["none", "high"]),
        ("{% if thinking %}<think>{% endif %}", ["none", "high"]),
        ("Reasoning: {{ reasoning_effort | default('medium') }}", ["low", "medium", "high"]),
        ("{% set enable_thinking = true %}{{ messages[0].content }}", None),
        ("{{ messages[0].content }}", None),
    ],
)
def test_efforts_are_what_the_template_writes_differently(template: str, values: list[str] | None) -> None:
    found = efforts(ChatTemplate({"default": template}, {})).value
    assert (found and found["values"]) == values

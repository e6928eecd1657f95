from pathlib import Path
from typing import Any

import pytest

from inference.cards.json_files import Json
from inference.importer.findings import ImporterError
from inference.importer.gguf.config_json import ARCHITECTURES, config_json, pooling_of
from inference.importer.gguf.vocabulary import read_vocabulary
from tests.importer.gguf.gguf_files import Tensor
from tests.importer.gguf.vocabularies import byte_level, embedding, header_of

SIZES = {
    "block_count": 7,
    "embedding_length": 64,
    "feed_forward_length": 96,
    "context_length": 512,
    "attention.head_count": 4,
    "attention.head_count_kv": 2,
    "attention.layer_norm_rms_epsilon": 1e-5,
    "attention.layer_norm_epsilon": 1e-12,
}


def metadata_of(architecture: str, **keys: Any) -> dict[str, Any]:
    stated = {
        f"{architecture}.{name}": value for name, value in {**SIZES, **keys}.items() if value is not None
    }
    return {**byte_level([], architecture=architecture), **stated}


def config_of(folder: Path, architecture: str, *tensors: Tensor, **keys: Any) -> Json:
    header = header_of(folder, metadata_of(architecture, **keys), [embedding(300), *tensors])
    return config_json(header, read_vocabulary(header))


def test_llama_has_every_key_of_its_class(tmp_path: Path) -> None:
    assert config_of(tmp_path, "llama", **{"rope.freq_base": 500000.0}) == {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": 300,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 7,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 512,
        "rms_norm_eps": 1e-5,
        "hidden_act": "silu",
        "tie_word_embeddings": True,
        "attention_bias": False,
        "rope_theta": 500000.0,
        "mlp_bias": False,
        "bos_token_id": 11,
        "eos_token_id": 11,
    }


def test_a_head_of_its_own_unties_the_embedding(tmp_path: Path) -> None:
    assert not config_of(tmp_path, "llama", Tensor.of("output.weight", [[0.0]]))["tie_word_embeddings"]


def test_a_llama_with_a_window_is_a_mistral(tmp_path: Path) -> None:
    config = config_of(tmp_path, "llama", **{"attention.sliding_window": 128})
    assert config["architectures"] == ["MistralForCausalLM"]
    assert config["sliding_window"] == 128


EXPECTED: list[tuple[str, dict[str, Any], Json]] = [
    ("qwen2", {}, {"architectures": ["Qwen2ForCausalLM"], "use_sliding_window": False}),
    (
        "qwen3",
        {"attention.key_length": 32, "attention.value_length": 32},
        {"architectures": ["Qwen3ForCausalLM"], "head_dim": 32},
    ),
    ("qwen3", {"pooling_type": 3}, {"architectures": ["Qwen3Model"], "model_type": "qwen3"}),
    (
        "gemma2",
        {"attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0, "attention.sliding_window": 64},
        {
            "hidden_activation": "gelu_pytorch_tanh",
            "query_pre_attn_scalar": 16,
            "attn_logit_softcapping": 50.0,
            "final_logit_softcapping": 30.0,
            "sliding_window": 64,
            "layer_types": ["sliding_attention", "full_attention"] * 3 + ["sliding_attention"],
        },
    ),
    (
        "gemma2",
        {"block_count": 46, "attention.key_length": 32, "attention.value_length": 32},
        {"query_pre_attn_scalar": 16, "sliding_window": 4096},
    ),
    (
        "gemma3",
        {"attention.sliding_window": 64, "rope.scaling.type": "linear", "rope.scaling.factor": 8.0},
        {
            "model_type": "gemma3_text",
            "rope_theta": 1000000.0,
            "rope_local_base_freq": 10000.0,
            "rope_scaling": {"rope_type": "linear", "factor": 8.0},
            "layer_types": ["sliding_attention"] * 5 + ["full_attention", "sliding_attention"],
            "attn_logit_softcapping": None,
        },
    ),
    ("gemma3", {}, {"sliding_window": None, "layer_types": ["full_attention"] * 7}),
    (
        "phi3",
        {"rope.dimension_count": 12, "attention.sliding_window": 0},
        {"partial_rotary_factor": 0.75, "sliding_window": None},
    ),
    (
        "granite",
        {"attention.scale": 0.5, "embedding_scale": 12.0, "residual_scale": 0.25, "logit_scale": 8.0},
        {
            "attention_multiplier": 0.5,
            "embedding_multiplier": 12.0,
            "residual_multiplier": 0.25,
            "logits_scaling": 8.0,
        },
    ),
    ("granite", {}, {"attention_multiplier": 0.25, "embedding_multiplier": 1.0, "logits_scaling": 1.0}),
    ("olmo2", {}, {"architectures": ["Olmo2ForCausalLM"]}),
    ("smollm3", {}, {"no_rope_layers": [1, 1, 1, 0, 1, 1, 1], "rope_theta": 2000000.0}),
    (
        "bert",
        {},
        {"architectures": ["BertModel"], "layer_norm_eps": 1e-12, "hidden_act": "gelu", "type_vocab_size": 1},
    ),
    (
        "nomic-bert",
        {"rope.freq_base": 1000.0},
        {"model_type": "nomic_bert", "rope_parameters": {"rope_type": "default", "rope_theta": 1000.0}},
    ),
]


@pytest.mark.parametrize(("architecture", "keys", "expected"), EXPECTED)
def test_each_architecture_has_its_own_keys(
    tmp_path: Path, architecture: str, keys: dict[str, Any], expected: Json
) -> None:
    config = config_of(tmp_path, architecture, **keys)
    assert {name: config.get(name, "missing") for name in expected} == expected


def test_every_architecture_of_the_table_has_a_case() -> None:
    assert {"llama", *(architecture for architecture, *_ in EXPECTED)} == set(ARCHITECTURES)


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("mamba", {}, "has the architecture 'mamba'. Supported are llama, qwen2, qwen3, gemma2"),
    ("llama", {"expert_count": 8}, "is a mixture of experts"),
    ("llama", {"block_count": None}, "llama.block_count is missing, and a number above 0 is needed"),
    ("llama", {"attention.head_count": 0}, "llama.attention.head_count is 0, and a number above 0"),
    (
        "llama",
        {"embedding_length": 32},
        "llama.embedding_length is 32, and the embeddings have 64 dimensions",
    ),
    ("llama", {"attention.value_length": 8}, "keys of size 16 and values of size 8"),
    ("llama", {"attention.layer_norm_rms_epsilon": None}, "layer_norm_rms_epsilon is missing"),
    ("olmo2", {"attention.sliding_window": 64}, "is an OLMo 3"),
    (
        "llama",
        {"context_length": 1 << 22},
        "a context of 4,194,304 positions, whose rotary angles would take 268",
    ),
    ("nomic-bert", {"context_length": 1 << 22}, "would take 268"),
    ("llama", {"context_length": "long"}, "another value in llama.context_length than a whole number"),
]


@pytest.mark.parametrize(("architecture", "keys", "reason"), REFUSED)
def test_what_is_not_supported_is_refused_in_a_sentence(
    tmp_path: Path, architecture: str, keys: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ImporterError) as refusal:
        config_of(tmp_path, architecture, **keys)
    assert reason in str(refusal.value)


def test_a_file_without_embeddings_is_refused(tmp_path: Path) -> None:
    header = header_of(tmp_path, metadata_of("llama"))
    with pytest.raises(ImporterError, match=r"has no embeddings \(token_embd.weight is missing\)"):
        config_json(header, read_vocabulary(header))


@pytest.mark.parametrize(
    ("number", "reason"), [(4, "is a reranker"), (9, r"pools in a way that is not known \(9\)")]
)
def test_a_pooling_that_is_not_supported_is_refused(tmp_path: Path, number: int, reason: str) -> None:
    with pytest.raises(ImporterError, match=f"{reason}. Supported poolings are mean, cls, lasttoken"):
        pooling_of(header_of(tmp_path, metadata_of("bert", pooling_type=number)))

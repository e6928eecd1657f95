"""config.json in the forms of transformers 4 and 5, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from inference.importer.findings import ImporterError
from inference.importer.graph.decoder_config import DecoderConfig, decoder_config
from inference.importer.graph.rope import Rope

SIZES: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 100,
    "max_position_embeddings": 4096,
}
LLAMA3 = {
    "factor": 32.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
    "rope_type": "llama3",
}


def config_of(architecture: str, **values: Any) -> DecoderConfig:
    return decoder_config({"architectures": [architecture], **SIZES, **values})


def rope(config: DecoderConfig, layer: int = 0) -> Rope:
    found = config.layers[layer].rope
    assert found is not None
    return found


def windows(config: DecoderConfig) -> list[int | None]:
    return [layer.window for layer in config.layers]


def test_rope_is_read_from_both_forms() -> None:
    old = config_of("LlamaForCausalLM", rope_theta=5e5, rope_scaling=LLAMA3)
    new = config_of("LlamaForCausalLM", rope_parameters={**LLAMA3, "rope_theta": 5e5})
    for config in (old, new):
        assert (rope(config).kind, rope(config).theta, rope(config).original) == ("llama3", 5e5, 8192)
    assert rope(config_of("LlamaForCausalLM")).theta == 1e4
    assert rope(config_of("SmolLM3ForCausalLM")).theta == 2e6


def test_gemma_3_has_two_ropes_in_both_forms() -> None:
    old = config_of(
        "Gemma3ForCausalLM",
        rope_theta=1e6,
        rope_local_base_freq=1e4,
        rope_scaling={"rope_type": "linear", "factor": 8.0},
        sliding_window=512,
    )
    new = config_of(
        "Gemma3ForCausalLM",
        rope_parameters={
            "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
            "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
        },
        sliding_window=512,
    )
    for config in (old, new):
        assert windows(config) == [512] * 5 + [None]
        assert (rope(config, 0).kind, rope(config, 0).theta) == ("default", 1e4)
        assert (rope(config, 5).kind, rope(config, 5).theta) == ("linear", 1e6)


def test_windows_are_those_of_each_architecture() -> None:
    assert windows(config_of("MistralForCausalLM")) == [4096] * 6
    assert windows(config_of("MistralForCausalLM", sliding_window=None)) == [None] * 6
    assert windows(config_of("LlamaForCausalLM", sliding_window=8)) == [None] * 6
    assert windows(config_of("Gemma2ForCausalLM", sliding_window=8)) == [8, None] * 3
    unused = config_of("Qwen2ForCausalLM", use_sliding_window=False, sliding_window=8, max_window_layers=2)
    assert windows(unused) == [None] * 6
    used = config_of("Qwen2ForCausalLM", use_sliding_window=True, sliding_window=8, max_window_layers=4)
    assert windows(used) == [None] * 4 + [8] * 2
    kinds = ["full_attention", "sliding_attention"] * 3
    assert windows(config_of("Gemma3ForCausalLM", layer_types=kinds, sliding_window=8)) == [None, 8] * 3


def test_layers_without_positions_are_every_fourth_of_smollm3_or_those_stated() -> None:
    assert [layer.rope is None for layer in config_of("SmolLM3ForCausalLM").layers] == [
        *(False, False, False, True, False, False)
    ]
    stated = config_of("SmolLM3ForCausalLM", no_rope_layers=[0, 1, 1, 1, 1, 1])
    assert [layer.rope is None for layer in stated.layers] == [True, *[False] * 5]


def test_a_text_tower_is_read_over_the_defaults_of_its_class() -> None:
    tower = {"hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34}
    scaling = {"rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024}
    config = decoder_config(
        {"architectures": ["Gemma3ForConditionalGeneration"], "text_config": {**tower, **scaling}}
    )
    assert (config.heads, config.kv_heads, config.head_size, config.vocabulary) == (8, 4, 256, 262_208)
    assert (config.attention_scale, config.tied, config.activation) == (1 / 16, True, "gelu")


def test_factors_are_those_of_the_config() -> None:
    granite = config_of(
        "GraniteForCausalLM",
        embedding_multiplier=12,
        residual_multiplier=0.22,
        logits_scaling=8,
        attention_multiplier=0.0625,
    )
    assert (granite.embedding_factor, granite.residual_factor) == (12, 0.22)
    assert (granite.logits_divisor, granite.attention_scale) == (8, 0.0625)
    gemma = config_of("Gemma2ForCausalLM", final_logit_softcapping=None, query_pre_attn_scalar=64)
    assert (gemma.embedding_factor, gemma.attention_scale) == (8, 0.125)
    assert (gemma.attention_cap, gemma.logits_cap) == (50, 0)


@pytest.mark.parametrize(
    ("architecture", "values", "problem"),
    [
        ("GPT2LMHeadModel", {}, r"architecture GPT2LMHeadModel is not .* LlamaForCausalLM \(Llama 2"),
        ("", {}, "config.json names no architecture"),
        ("LlamaForCausalLM", {"vocab_size": None}, r"no vocab_size above 0 \(None\)"),
        ("LlamaForCausalLM", {"hidden_size": 0}, r"no hidden_size above 0 \(0\)"),
        ("LlamaForCausalLM", {"num_hidden_layers": "2"}, r"no num_hidden_layers above 0 \('2'\)"),
        ("LlamaForCausalLM", {"hidden_act": "relu"}, "activation 'relu'. Supported are silu"),
        ("LlamaForCausalLM", {"num_key_value_heads": 3}, "4 heads, no multiple of its 3 key-value heads"),
        ("LlamaForCausalLM", {"head_dim": 24}, "24 sizes rotate; onnxruntime rotates multiples of 16"),
        ("LlamaForCausalLM", {"rope_scaling": {"type": "dynamic", "factor": 2}}, "positions by 'dynamic'"),
        ("LlamaForCausalLM", {"rope_scaling": {"type": "linear"}}, "'linear' without factor"),
        ("LlamaForCausalLM", {"rope_scaling": {"type": "linear", "factor": 0}}, "factor 0 in its rope"),
        (
            "LlamaForCausalLM",
            {"rope_scaling": {**LLAMA3, "high_freq_factor": 1}},
            "not above low_freq_factor",
        ),
        ("LlamaForCausalLM", {"rope_theta": 0.5}, "base 0.5 for 4096 positions"),
        ("LlamaForCausalLM", {"max_position_embeddings": 1 << 40}, "for 1099511627776 positions"),
        ("LlamaForCausalLM", {"rms_norm_eps": "x"}, "rms_norm_eps 'x', which is no number above 0"),
        ("LlamaForCausalLM", {"head_dim": -16}, "head_dim -16, which is no number"),
        (
            "Phi3ForCausalLM",
            {"rope_scaling": {"type": "su", "short_factor": 1, "long_factor": [1.0]}},
            "short_factor in its rope that is no list",
        ),
        (
            "Phi3ForCausalLM",
            {"rope_scaling": {"type": "su", "short_factor": [1.0], "long_factor": [1.0]}},
            "1 numbers in short_factor, and 8 angles",
        ),
        ("Qwen3ForCausalLM", {"layer_types": ["linear_attention"] * 6}, "layer_types linear_attention for 6"),
        ("Qwen3ForCausalLM", {"layer_types": ["full_attention"]}, "full_attention for 1 of its 6 layers"),
    ],
)
def test_what_the_graph_cannot_express_is_refused(
    architecture: str, values: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ImporterError, match=problem):
        config_of(architecture, **values)

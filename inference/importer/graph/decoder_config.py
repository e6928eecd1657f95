"""A decoder by its config.json, in the forms that transformers 4 and 5 write."""

from __future__ import annotations

import math
from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from inference.cards.json_files import Json
from inference.importer.findings import ImporterError
from inference.importer.graph.architectures import (
    COMMON_DEFAULTS,
    EMBEDDERS,
    Architecture,
    architecture_named,
    architecture_of,
)
from inference.importer.graph.rope import MAX_CONTEXT, Rope, rope_of

SLIDING, FULL = "sliding_attention", "full_attention"
ACTIVATIONS: Mapping[str, Literal["silu", "gelu"]] = {
    "silu": "silu",
    "swish": "silu",
    "gelu_pytorch_tanh": "gelu",
    "gelu_new": "gelu",
    "gelu_tanh": "gelu",
}
"""Activations of a gated MLP; `gelu` is the approximation by tanh."""
HEAD_MULTIPLE = 16
"""GroupQueryAttention rotates sizes of heads that are a multiple of this."""


@dataclass(frozen=True, slots=True)
class LayerConfig:
    """The properties in which the layers of a decoder differ."""

    window: int | None
    """Positions that a token attends to, its own among them; None for all."""
    rope: Rope | None


@dataclass(frozen=True, slots=True)
class DecoderConfig:
    """The sizes and numbers of a decoder's graph."""

    architecture: Architecture
    vocabulary: int
    hidden: int
    heads: int
    kv_heads: int
    head_size: int
    intermediate: int
    layers: tuple[LayerConfig, ...]
    epsilon: float
    activation: Literal["silu", "gelu"]
    tied: bool
    attention_scale: float
    attention_cap: float = 0.0
    """Soft cap of attention scores; 0 for none."""
    logits_cap: float = 0.0
    embedding_factor: float = 1.0
    residual_factor: float = 1.0
    logits_divisor: float = 1.0
    generates: bool = True
    """False for an embedding model, whose graph has hidden states in place of logits, and no cache."""

    @property
    def query_width(self) -> int:
        return self.heads * self.head_size

    @property
    def kv_width(self) -> int:
        return self.kv_heads * self.head_size


def decoder_config(config: Json) -> DecoderConfig:
    """Return the decoder of a config.json.

    Raises `ImporterError` for an architecture or a number that the graph cannot express.
    """
    row = architecture_of(config)
    values = _values(config, row)
    heads, hidden = size_of(values, "num_attention_heads"), size_of(values, "hidden_size")
    head_size = int(number_of(values, "head_dim", hidden // heads))
    decoder = DecoderConfig(
        architecture=row,
        vocabulary=size_of(values, "vocab_size"),
        hidden=hidden,
        heads=heads,
        kv_heads=int(number_of(values, "num_key_value_heads", heads)),
        head_size=head_size,
        intermediate=size_of(values, "intermediate_size"),
        layers=_layers(values, row, head_size),
        epsilon=number_of(values, "rms_norm_eps", 1e-6),
        activation=_activation(values),
        tied=bool(values["tie_word_embeddings"]),
        attention_scale=_attention_scale(values, head_size),
        attention_cap=number_of(values, "attn_logit_softcapping", 0),
        logits_cap=number_of(values, "final_logit_softcapping", 0),
        embedding_factor=hidden**0.5
        if row.scales_embedding
        else number_of(values, "embedding_multiplier", 1),
        residual_factor=number_of(values, "residual_multiplier", 1),
        logits_divisor=number_of(values, "logits_scaling", 1),
        generates=architecture_named(config) not in EMBEDDERS,
    )
    _require_sizes(decoder)
    return decoder


def _values(config: Json, row: Architecture) -> Json:
    """Return the keys of the text tower over the defaults; null counts as left out where there is one."""
    nested = config.get("text_config")
    text = nested if isinstance(nested, Mapping) else {}
    stated = dict(config) | dict(text)
    if "hidden_activation" in stated:
        stated["hidden_act"] = stated["hidden_activation"] or stated.get("hidden_act")
    defaults = {**COMMON_DEFAULTS, **row.defaults}
    # No window and no cap are stated as null, by models whose class has one by default.
    meant = {"sliding_window", "attn_logit_softcapping", "final_logit_softcapping", "head_dim"}
    given = {name: value for name, value in stated.items() if value is not None or name in meant}
    return ChainMap(given, dict(defaults))


def size_of(values: Json, name: str) -> int:
    """Return a whole number above 0. Raises `ImporterError` for anything else."""
    value = values.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise ImporterError(f"config.json has no {name} above 0 ({value!r}), which the graph needs.")
    return value


def number_of(values: Json, name: str, default: float) -> float:
    """Return a number above 0, the default where it is left out or 0. Raises `ImporterError` for others."""
    value = values.get(name) or default
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ImporterError(f"config.json has {name} {value!r}, which is no number above 0.")
    return float(value)


def _activation(values: Json) -> Literal["silu", "gelu"]:
    name = str(values["hidden_act"])
    if name not in ACTIVATIONS:
        raise ImporterError(
            f"config.json has the activation {name!r}. Supported are {', '.join(ACTIVATIONS)}."
        )
    return ACTIVATIONS[name]


def _attention_scale(values: Json, head_size: int) -> float:
    if "attention_multiplier" in values:
        return number_of(values, "attention_multiplier", 1)
    return 1 / math.sqrt(number_of(values, "query_pre_attn_scalar", head_size))


def _require_sizes(decoder: DecoderConfig) -> None:
    if decoder.heads % decoder.kv_heads:
        raise ImporterError(
            f"config.json has {decoder.heads} heads, no multiple of its {decoder.kv_heads} key-value heads."
        )
    sizes = {layer.rope.size for layer in decoder.layers if layer.rope} | {decoder.head_size}
    if odd := [size for size in sorted(sizes) if size % HEAD_MULTIPLE]:
        raise ImporterError(
            f"config.json has heads of which {odd[0]} sizes rotate; onnxruntime rotates multiples of "
            f"{HEAD_MULTIPLE}."
        )


def _layers(values: Json, row: Architecture, head_size: int) -> tuple[LayerConfig, ...]:
    count = size_of(values, "num_hidden_layers")
    kinds = _kinds(values, row, count)
    ropes = {kind: _rope(values, row, kind, head_size) for kind in dict.fromkeys(kinds)}
    rotates = _rotating(values, row, count)
    # Qwen and SmolLM3 state a window that they do not use.
    size = number_of(values, "sliding_window", 0) if values.get("use_sliding_window", True) else 0
    # A window beyond all positions leaves nothing out, and need not fit into the graph's numbers.
    window = min(int(size), MAX_CONTEXT) or None
    return tuple(
        LayerConfig(window if kind == SLIDING else None, ropes[kind] if turns else None)
        for kind, turns in zip(kinds, rotates, strict=True)
    )


def _kinds(values: Json, row: Architecture, count: int) -> Sequence[str]:
    """Return for each layer whether it attends to a window or to everything."""
    stated = values.get("layer_types")
    if isinstance(stated, Sequence) and not isinstance(stated, str):
        if len(stated) != count or not set(stated) <= {SLIDING, FULL}:
            kinds = ", ".join(sorted(set(map(str, stated))))
            raise ImporterError(
                f"config.json has the layer_types {kinds} for {len(stated)} of its {count} layers. "
                f"Supported are {SLIDING} and {FULL}, one for each layer."
            )
        return list(stated)
    return [SLIDING if _slides(values, row, layer) else FULL for layer in range(count)]


def _slides(values: Json, row: Architecture, layer: int) -> bool:
    match row.name:
        case "MistralForCausalLM" | "Phi3ForCausalLM":
            return True
        case "Gemma2ForCausalLM":
            return layer % 2 == 0
        case "Gemma3ForCausalLM":
            return (layer + 1) % int(values.get("sliding_window_pattern") or 6) != 0
        case "Qwen2ForCausalLM" | "Qwen3ForCausalLM":
            return bool(values.get("use_sliding_window")) and layer >= int(
                values.get("max_window_layers", 28)
            )
        case "SmolLM3ForCausalLM":
            return bool(values.get("use_sliding_window")) and not _rotates(values, layer)
    return False


def _rotating(values: Json, row: Architecture, count: int) -> Sequence[bool]:
    return [row.name != "SmolLM3ForCausalLM" or _rotates(values, layer) for layer in range(count)]


def _rotates(values: Json, layer: int) -> bool:
    """Return True for a layer with rotary positions, of a model that has some without."""
    stated = values.get("no_rope_layers")
    if stated:
        return bool(stated[layer])  # 1 for a layer that rotates, whatever the name says
    return (layer + 1) % int(values.get("no_rope_layer_interval") or 4) != 0


def _rope(values: Json, row: Architecture, kind: str, head_size: int) -> Rope:
    numbers, theta = _rope_numbers(values, row, kind)
    fraction = numbers.get("partial_rotary_factor") or values.get("partial_rotary_factor") or 1.0
    if "original_max_position_embeddings" in values:
        numbers = {**numbers, "original_max_position_embeddings": values["original_max_position_embeddings"]}
    context = size_of(values, "max_position_embeddings")
    return rope_of(numbers, theta, int(head_size * float(fraction)), context)


def _rope_numbers(values: Json, row: Architecture, kind: str) -> tuple[Json, float]:
    """Return the rope of a kind of layer and its base, from either form of config.json."""
    stated = values.get("rope_parameters") or {}
    local = row.name == "Gemma3ForCausalLM" and kind == SLIDING
    theta = float(values["rope_local_base_freq" if local else "rope_theta"])
    if kind in stated:
        return stated[kind], theta
    if stated and not {SLIDING, FULL} & stated.keys():
        return ({} if local else stated), theta
    # Of Gemma 3 only the layers that attend to everything are scaled.
    return ({} if local else values.get("rope_scaling") or {}), theta

"""The config.json of a GGUF file's metadata, under the names of transformers: a row for each architecture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from inference.cards.json_files import Json
from inference.importer.findings import ImporterError
from inference.importer.gguf.header import GgufHeader
from inference.importer.gguf.rotary import require_small_table, rotary
from inference.importer.gguf.vocabulary import KEY, GgufVocabulary, refused

EMBEDDING, OUTPUT = "token_embd.weight", "output.weight"
GEMMA2_27B, GEMMA3_27B = 46, 62
"""Layers of the two models whose attention is scaled by hidden size and heads, not by the size of a head."""
POOLING_KEY = "pooling_type"
POOLINGS: Mapping[int, str] = {1: "mean", 2: "cls", 3: "lasttoken"}
"""Poolings of a text's vectors by their number in a file, as sentence-transformers names them."""
RANKING = 4
"""The pooling of a reranker, which has a head of its own."""
SLIDING, FULL = "sliding_attention", "full_attention"


@dataclass(frozen=True, slots=True)
class ArchitectureRow:
    """An architecture under transformers' names, and the keys of config.json that it has of its own."""

    name: str
    model_type: str
    more: Callable[[GgufHeader, dict[str, Any]], Json]
    encoder: bool = False
    theta: float = 10_000.0
    """Base of the rotary embedding where the file states none."""


def config_json(header: GgufHeader, vocabulary: GgufVocabulary) -> Json:
    """Return config.json. Raises `ImporterError` for an architecture or a number that is not supported."""
    row = architecture_of(header)
    config = _encoder(header) if row.encoder else _decoder(header, row)
    special = {f"{name}_token_id": vocabulary.special.get(name) for name in ("bos", "eos", "pad")}
    return {
        "architectures": [row.name],
        "model_type": row.model_type,
        **config,
        **row.more(header, config),
        **{name: token for name, token in special.items() if token is not None},
    }


def architecture_of(header: GgufHeader) -> ArchitectureRow:
    """Return the row of a file's architecture. Raises `ImporterError` where there is none."""
    row = ARCHITECTURES.get(header.architecture)
    if row is None:
        name = header.architecture[:80]
        named = f"the architecture {name!r}" if name else "no architecture"
        raise ImporterError(
            f"{header.path.name} has {named}. Supported are {', '.join(ARCHITECTURES)}. Another "
            "format of the model, ONNX or safetensors, may be supported."
        )
    if header.integer(header.key("expert_count")):
        raise ImporterError(
            f"{header.path.name} is a mixture of experts, which is not supported. Take a dense model."
        )
    return row


def pooling_of(header: GgufHeader) -> str | None:
    """Return the pooling of an embedding model, None for a file that states none.

    Raises `ImporterError` for a pooling that is not supported.
    """
    number = header.integer(header.key(POOLING_KEY))
    if not number:
        return None
    if number not in POOLINGS:
        kind = "is a reranker" if number == RANKING else f"pools in a way that is not known ({number})"
        supported = ", ".join(POOLINGS.values())
        raise ImporterError(f"{header.path.name} {kind}. Supported poolings are {supported}.")
    return POOLINGS[number]


def _decoder(header: GgufHeader, row: ArchitectureRow) -> dict[str, Any]:
    hidden, heads = _size(header, "embedding_length"), _size(header, "attention.head_count")
    head = header.integer(header.key("attention.key_length")) or hidden // heads
    if (value := header.integer(header.key("attention.value_length"))) not in (None, head):
        raise ImporterError(
            f"{header.path.name} has heads with keys of size {head} and values of size {value}; only equal "
            "sizes are supported."
        )
    context = _size(header, "context_length")
    return {
        **_sizes(header, hidden, heads),
        "num_key_value_heads": header.integer(header.key("attention.head_count_kv")) or heads,
        "head_dim": head,
        "max_position_embeddings": context,
        "rms_norm_eps": _epsilon(header, "attention.layer_norm_rms_epsilon"),
        "hidden_act": "silu",
        "tie_word_embeddings": OUTPUT not in header.tensors,
        "attention_bias": "blk.0.attn_q.bias" in header.tensors,
        **rotary(header, theta=row.theta, head=_rotated(header, head), context=context),
    }


def _encoder(header: GgufHeader) -> dict[str, Any]:
    types = header.tensors.get("token_types.weight")
    stated = header.integer(f"{KEY}token_type_count")
    return {
        **_sizes(header, _size(header, "embedding_length"), _size(header, "attention.head_count")),
        "max_position_embeddings": _size(header, "context_length"),
        "layer_norm_eps": _epsilon(header, "attention.layer_norm_epsilon"),
        "type_vocab_size": types.shape[0] if types and len(types.shape) == 2 else stated or 1,
    }


def _sizes(header: GgufHeader, hidden: int, heads: int) -> dict[str, Any]:
    embedding = header.tensors.get(EMBEDDING)
    if embedding is None or len(embedding.shape) != 2:
        raise refused(header, f"has no embeddings ({EMBEDDING} is missing)")
    if embedding.shape[1] != hidden:
        raise refused(
            header,
            f"contradicts itself: {header.key('embedding_length')} is {hidden}, and the embeddings have "
            f"{embedding.shape[1]} dimensions",
        )
    return {
        "vocab_size": embedding.shape[0],
        "hidden_size": hidden,
        "intermediate_size": _size(header, "feed_forward_length"),
        "num_hidden_layers": _size(header, "block_count"),
        "num_attention_heads": heads,
    }


def _size(header: GgufHeader, name: str) -> int:
    value = header.integer(header.key(name))
    if value is None or value <= 0:
        shown = "is missing" if value is None else f"is {value}"
        raise ImporterError(
            f"{header.path.name} cannot be used: {header.key(name)} {shown}, and a number above 0 is needed."
        )
    return value


def _epsilon(header: GgufHeader, name: str) -> float:
    """Return the number that a norm adds, without the digits that its way through float32 appended."""
    value = header.number(header.key(name))
    if value is None or value <= 0:
        raise ImporterError(f"{header.path.name} cannot be used: {header.key(name)} is missing.")
    return float(f"{value:.6g}")


def _rotated(header: GgufHeader, head: int) -> int:
    return header.integer(header.key("rope.dimension_count")) or head


def _llama(header: GgufHeader, _config: dict[str, Any]) -> Json:
    """Return the keys of Llama, or those of Mistral, whose files are Llama's with a window."""
    window = header.integer(header.key("attention.sliding_window"))
    if not window:
        return {"mlp_bias": "blk.0.ffn_up.bias" in header.tensors}
    return {"architectures": ["MistralForCausalLM"], "model_type": "mistral", "sliding_window": window}


def _qwen2(_header: GgufHeader, _config: dict[str, Any]) -> Json:
    return {"use_sliding_window": False}


def _qwen3(header: GgufHeader, _config: dict[str, Any]) -> Json:
    """Return the keys of Qwen 3, or of the embedding models that are made of it."""
    return {
        "use_sliding_window": False,
        **({"architectures": ["Qwen3Model"]} if pooling_of(header) else {}),
    }


def _gemma(header: GgufHeader, config: dict[str, Any], *, largest: int) -> dict[str, Any]:
    by_heads = config["num_hidden_layers"] == largest
    return {
        "hidden_activation": "gelu_pytorch_tanh",
        "query_pre_attn_scalar": (
            config["hidden_size"] // config["num_attention_heads"] if by_heads else config["head_dim"]
        ),
        "final_logit_softcapping": header.number(header.key("final_logit_softcapping")),
        "attn_logit_softcapping": header.number(header.key("attn_logit_softcapping")),
    }


def _gemma2(header: GgufHeader, config: dict[str, Any]) -> Json:
    window = header.integer(header.key("attention.sliding_window")) or 4096
    layers = [FULL if layer % 2 else SLIDING for layer in range(config["num_hidden_layers"])]
    return {
        **_gemma(header, config, largest=GEMMA2_27B),
        "sliding_window": window,
        "layer_types": layers,
    }


def _gemma3(header: GgufHeader, config: dict[str, Any]) -> Json:
    """Return the keys of Gemma 3: five layers with a window, then one without, with two rotary bases."""
    window = header.integer(header.key("attention.sliding_window"))
    pattern = header.metadata.get(header.key("attention.sliding_window_pattern"))
    every = pattern if isinstance(pattern, int) and not isinstance(pattern, bool) and pattern > 0 else 6
    layers = [
        SLIDING if window and (layer + 1) % every else FULL for layer in range(config["num_hidden_layers"])
    ]
    return {
        **_gemma(header, config, largest=GEMMA3_27B),
        "sliding_window": window or None,
        "sliding_window_pattern": every,
        "layer_types": layers,
        "rope_local_base_freq": header.number(header.key("rope.freq_base_swa")) or 10_000.0,
    }


def _phi3(header: GgufHeader, config: dict[str, Any]) -> Json:
    """Return the keys of Phi-3; a longrope's own base lengths stay at both places where they are read."""
    scaling = config.get("rope_scaling") or {}
    original = scaling.get("original_max_position_embeddings")
    return {
        "sliding_window": header.integer(header.key("attention.sliding_window")) or None,
        "partial_rotary_factor": _rotated(header, config["head_dim"]) / config["head_dim"],
        **({"original_max_position_embeddings": original} if original else {}),
    }


def _granite(header: GgufHeader, config: dict[str, Any]) -> Json:
    multipliers = {
        "attention_multiplier": ("attention.scale", config["head_dim"] ** -0.5),
        "embedding_multiplier": ("embedding_scale", 1.0),
        "residual_multiplier": ("residual_scale", 1.0),
        "logits_scaling": ("logit_scale", 1.0),
    }
    stated = {name: header.number(header.key(key)) for name, (key, _) in multipliers.items()}
    return {name: stated[name] or default for name, (_, default) in multipliers.items()}


def _olmo2(header: GgufHeader, _config: dict[str, Any]) -> Json:
    if header.integer(header.key("attention.sliding_window")):
        raise ImporterError(
            f"{header.path.name} is an OLMo 3, whose layers have windows. OLMo 2 is supported."
        )
    return {}


def _smollm3(_header: GgufHeader, config: dict[str, Any]) -> Json:
    """Return the layers that rotate, three of four; no file states them, and llama.cpp counts the same."""
    layers = range(config["num_hidden_layers"])
    return {"no_rope_layers": [int((layer + 1) % 4 != 0) for layer in layers], "use_sliding_window": False}


def _bert(_header: GgufHeader, _config: dict[str, Any]) -> Json:
    return {"hidden_act": "gelu", "position_embedding_type": "absolute"}


def _nomic(header: GgufHeader, config: dict[str, Any]) -> Json:
    head = config["hidden_size"] // config["num_attention_heads"]
    require_small_table(header, head, config["max_position_embeddings"])
    base = header.number(header.key("rope.freq_base")) or 1000.0
    return {"hidden_act": "silu", "rope_parameters": {"rope_type": "default", "rope_theta": base}}


ARCHITECTURES: Mapping[str, ArchitectureRow] = {
    "llama": ArchitectureRow("LlamaForCausalLM", "llama", _llama),
    "qwen2": ArchitectureRow("Qwen2ForCausalLM", "qwen2", _qwen2),
    "qwen3": ArchitectureRow("Qwen3ForCausalLM", "qwen3", _qwen3),
    "gemma2": ArchitectureRow("Gemma2ForCausalLM", "gemma2", _gemma2),
    "gemma3": ArchitectureRow("Gemma3ForCausalLM", "gemma3_text", _gemma3, theta=1_000_000.0),
    "phi3": ArchitectureRow("Phi3ForCausalLM", "phi3", _phi3),
    "granite": ArchitectureRow("GraniteForCausalLM", "granite", _granite),
    "olmo2": ArchitectureRow("Olmo2ForCausalLM", "olmo2", _olmo2),
    "smollm3": ArchitectureRow("SmolLM3ForCausalLM", "smollm3", _smollm3, theta=2_000_000.0),
    "bert": ArchitectureRow("BertModel", "bert", _bert, encoder=True),
    "nomic-bert": ArchitectureRow("NomicBertModel", "nomic_bert", _nomic, encoder=True),
}
"""Architectures by `general.architecture`."""

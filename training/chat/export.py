"""Writes the deployment folder from trained weights: `python -m training.chat.export`. Needs no torch."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from inference.importer.lm_head import add_indices
from tools.graphs.decoder_graph import DecoderShape, decoder_graph
from training.chat.recipe import CHECKPOINTS, DEPLOYMENT, SHAPE, WEIGHTS
from training.chat.template import END_OF_TURN, SOURCE
from training.chat.tokenizer import END_OF_TEXT, load_tokenizer, token_id


def config(shape: DecoderShape, ends: list[int]) -> dict[str, Any]:
    """config.json in Hugging Face's terms."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": shape.vocab,
        "hidden_size": shape.hidden,
        "intermediate_size": shape.ffn,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_dim,
        "hidden_act": "silu",
        "max_position_embeddings": shape.context,
        "rms_norm_eps": shape.norm_eps,
        "rope_theta": shape.rope_theta,
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": shape.tied,
        "bos_token_id": None,
        "eos_token_id": ends,
        "pad_token_id": ends[-1],
    }


def tokenizer_config(context: int) -> dict[str, Any]:
    """tokenizer_config.json; the chat template lies beside it as chat_template.jinja."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": None,
        "eos_token": END_OF_TURN,
        "pad_token": END_OF_TEXT,
        "add_bos_token": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": context,
    }


def write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def export(trained: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with np.load(trained / WEIGHTS) as saved:
        weights = {name: saved[name] for name in saved.files}
    graph = decoder_graph(SHAPE, weights, bits=8)
    add_indices(graph)
    onnx.save(graph, str(folder / "model.onnx"))
    shutil.copyfile(trained / "tokenizer.json", folder / "tokenizer.json")
    shutil.copyfile(SOURCE, folder / "chat_template.jinja")
    tokenizer = load_tokenizer(folder)
    ends = [token_id(tokenizer, mark) for mark in (END_OF_TURN, END_OF_TEXT)]
    write_json(folder / "config.json", config(SHAPE, ends))
    write_json(folder / "generation_config.json", {"eos_token_id": ends, "pad_token_id": ends[-1]})
    write_json(folder / "tokenizer_config.json", tokenizer_config(SHAPE.context))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trained", type=Path, default=CHECKPOINTS)
    parser.add_argument("--folder", type=Path, default=DEPLOYMENT)
    chosen = parser.parse_args()
    export(chosen.trained, chosen.folder)


if __name__ == "__main__":
    main()

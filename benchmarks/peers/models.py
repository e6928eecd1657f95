"""Makes a model of random weights in the forms that its peers run: run by the peers' own Python.

    python models.py SHAPE FOLDER

writes FOLDER/hf (a checkpoint), FOLDER/onnx (onnxruntime-genai's builder, int4) and FOLDER/model.gguf (Q4_0).
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

SHAPES: dict[str, dict[str, Any]] = {
    "smollm2-135m": {
        "kind": "Llama",
        "vocab_size": 49152,
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": True,
    },
    "qwen2.5-0.5b": {
        "kind": "Qwen2",
        "vocab_size": 151936,
        "hidden_size": 896,
        "intermediate_size": 4864,
        "num_hidden_layers": 24,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
        "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-6,
        "tie_word_embeddings": True,
    },
}
BYTES = 256
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def main(shape: str, folder: Path) -> None:
    hf = folder / "hf"
    write_checkpoint(SHAPES[shape], hf)
    builder = [sys.executable, "-m", "onnxruntime_genai.models.builder", "-i", hf, "-o", folder / "onnx"]
    subprocess.run(
        [*builder, "-p", "int4", "-e", "cpu", "-c", folder / "cache"], check=True, stdout=sys.stderr
    )
    write_gguf(SHAPES[shape], hf, folder)


def write_checkpoint(shape: dict[str, Any], folder: Path) -> None:
    import torch
    import transformers

    sizes = {key: value for key, value in shape.items() if key != "kind"}
    config = getattr(transformers, f"{shape['kind']}Config")(**sizes, bos_token_id=0, eos_token_id=0)
    torch.manual_seed(0)
    model = getattr(transformers, f"{shape['kind']}ForCausalLM")(config)
    model.save_pretrained(folder)
    write_tokenizer(shape["vocab_size"], folder)


def write_tokenizer(size: int, folder: Path) -> None:
    """Write bytes, then words of four letters: every id has a text, a text has as many tokens as bytes."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [word_of(number) for number in range(size - BYTES)]
    vocabulary = {text: number for number, text in enumerate([*alphabet, *words])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.save(str(folder / "tokenizer.json"))
    about = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": alphabet[0], "bos_token": alphabet[0]}
    (folder / "tokenizer_config.json").write_text(json.dumps(about))


def word_of(number: int) -> str:
    return "".join(LETTERS[number // 26**place % 26] for place in range(4))


def write_gguf(shape: dict[str, Any], hf: Path, folder: Path) -> None:
    import gguf
    import llama_cpp

    whole = folder / "model-f16.gguf"
    arch = "llama" if shape["kind"] == "Llama" else "qwen2"
    writer = gguf.GGUFWriter(str(whole), arch)
    head = shape["hidden_size"] // shape["num_attention_heads"]
    writer.add_block_count(shape["num_hidden_layers"])
    writer.add_context_length(shape["max_position_embeddings"])
    writer.add_embedding_length(shape["hidden_size"])
    writer.add_feed_forward_length(shape["intermediate_size"])
    writer.add_head_count(shape["num_attention_heads"])
    writer.add_head_count_kv(shape["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(shape["rms_norm_eps"])
    writer.add_rope_dimension_count(head)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(shape["vocab_size"])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([f"token{number}" for number in range(shape["vocab_size"])])
    writer.add_token_merges(["a b"])
    names = gguf.get_tensor_name_map(
        gguf.MODEL_ARCH_NAMES_REVERSE[arch]
        if hasattr(gguf, "MODEL_ARCH_NAMES_REVERSE")
        else next(k for k, v in gguf.MODEL_ARCH_NAMES.items() if v == arch),
        shape["num_hidden_layers"],
    )
    for name, array in tensors(hf):
        written = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if written is not None:
            writer.add_tensor(written, array if array.ndim == 1 else array.astype("float16"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0
    llama_cpp.llama_model_quantize(str(whole).encode(), str(folder / "model.gguf").encode(), parameters)
    whole.unlink()


def tensors(hf: Path) -> Any:
    from safetensors import safe_open

    with safe_open(hf / "model.safetensors", framework="np") as file:
        for name in file.keys():  # noqa: SIM118  the file is no mapping
            yield name, file.get_tensor(name).astype("float32")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))

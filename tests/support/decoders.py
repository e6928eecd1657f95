"""Writes deployments with tiny random decoders, for the tests of everything that generates text.

The tokenizer has one token for every byte, then `<|endoftext|>`, `<|im_start|>` and `<|im_end|>`; the graph's
logits are wider than that, as those of published models are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import onnx
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from tools.graphs.decoder_graph import DecoderShape, decoder_graph, random_weights

SHAPE = DecoderShape(
    vocab=288, hidden=64, layers=2, heads=4, kv_heads=2, head_dim=16, ffn=96, context=512, tied=False
)
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
END_OF_TEXT, START, END = 256, 257, 258
"""The ids of the special tokens."""
VOCABULARY = 259

CHAT_TEMPLATE = """\
{%- if tools %}{{ '<|im_start|>system\\n' + tools | tojson + '<|im_end|>\\n' }}{% endif %}
{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}
{%- if thinking is defined %}{{ '<think>\\n' if thinking else '<think></think>' }}{% endif %}"""

CARD: Mapping[str, Any] = {
    "provider": "tests",
    "type": "chat-completions",
    "backend": "onnx-decoder",
    "parameters": {
        "temperature": {},
        "top_p": {},
        "max_tokens": {},
        "stop": {},
        "seed": {},
        "frequency_penalty": {},
        "presence_penalty": {},
    },
    "extras": {
        "n": {},
        "top_k": {},
        "min_p": {},
        "repetition_penalty": {},
        "logit_bias": {},
        "max_completion_tokens": {},
        "stream_options": {},
        "logprobs": {},
        "top_logprobs": {},
        "best_of": {},
        "echo": {},
    },
}


def write_decoder(
    folder: Path,
    *,
    name: str = "tiny-chat",
    seed: int = 0,
    shape: DecoderShape = SHAPE,
    bits: Literal[8, 32] = 32,
    card: Mapping[str, Any] | None = None,
) -> Path:
    """A deployment in `folder`/`name`, which is returned; `card` overrides keys of its model.json."""
    graph = decoder_graph(shape, random_weights(shape, seed), bits=bits)
    return write_deployment(folder, graph, name=name, context=shape.context, card=card)


def write_deployment(
    folder: Path,
    graph: onnx.ModelProto,
    *,
    name: str = "tiny-chat",
    context: int = SHAPE.context,
    card: Mapping[str, Any] | None = None,
) -> Path:
    """The same around any graph."""
    target = folder / name
    target.mkdir(parents=True)
    onnx.save(graph, target / "model.onnx")
    byte_tokenizer().save(str(target / "tokenizer.json"))
    (target / "chat_template.jinja").write_text(CHAT_TEMPLATE)
    write_json(target / "config.json", {"max_position_embeddings": context, "eos_token_id": END_OF_TEXT})
    write_json(target / "generation_config.json", {"eos_token_id": [END, END_OF_TEXT]})
    write_json(target / "model.json", {"name": name, "context": context, **CARD, **(card or {})})
    return target


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1))


def byte_tokenizer() -> Tokenizer:
    """Byte b is token b; no merges."""
    alphabet = byte_alphabet()
    tokenizer = Tokenizer(models.BPE(vocab={text: byte for byte, text in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(text, special=True) for text in SPECIAL])
    return tokenizer


def byte_alphabet() -> list[str]:
    """The characters that byte-level BPE writes for the bytes 0 to 255."""
    printable = [
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    ]
    spare = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(spare)) for byte in range(256)]

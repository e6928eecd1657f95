"""Tiny vocabularies of each kind in the metadata of GGUF files, and the tokenizers made of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers

from inference.importer.gguf.header import GgufHeader, read_header
from inference.importer.gguf.tokenizer import tokenizer_json
from inference.importer.gguf.vocabulary import read_vocabulary
from tests.importer.gguf.gguf_files import GgufFile, Tensor

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
BYTE_LETTERS = [chr(code) for code in (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))]
BYTE_LETTERS += [chr(256 + number) for number in range(256 - len(BYTE_LETTERS))]


def header_of(folder: Path, metadata: dict[str, Any], tensors: Sequence[Tensor] = ()) -> GgufHeader:
    return read_header(GgufFile(metadata, tensors).write(folder / "model.gguf"))


def tokenizer_of(folder: Path, metadata: dict[str, Any]) -> tokenizers.Tokenizer:
    header = header_of(folder, metadata)
    made = tokenizer_json(header, read_vocabulary(header))
    return tokenizers.Tokenizer.from_str(json.dumps(made))


def byte_level(
    merges: Sequence[str], more: Sequence[tuple[str, int]] = (), pre: str = "gpt-2", **keys: Any
) -> dict[str, Any]:
    """Return metadata of a byte-level BPE: the bytes, what the merges make, then `more` tokens with types."""
    tokens = [*BYTE_LETTERS, *dict.fromkeys(merge.replace(" ", "") for merge in merges)]
    types = [NORMAL] * len(tokens) + [kind for _, kind in more]
    return {
        "general.architecture": keys.pop("architecture", "llama"),
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": [*tokens, *(text for text, _ in more)],
        "tokenizer.ggml.token_type": types,
        "tokenizer.ggml.merges": [*merges],
        **{f"tokenizer.ggml.{name}": value for name, value in keys.items()},
    }


def scored(
    tokens: Sequence[tuple[str, int, float]], model: str = "llama", architecture: str = "llama", **keys: Any
) -> dict[str, Any]:
    """Return metadata of a vocabulary whose tokens have types and scores."""
    return {
        "general.architecture": architecture,
        "tokenizer.ggml.model": model,
        "tokenizer.ggml.tokens": [text for text, *_ in tokens],
        "tokenizer.ggml.token_type": [kind for _, kind, _ in tokens],
        "tokenizer.ggml.scores": [float(score) for *_, score in tokens],
        **{f"tokenizer.ggml.{name}": value for name, value in keys.items()},
    }


def sentence_piece(words: Sequence[tuple[str, float]], **keys: Any) -> dict[str, Any]:
    """Return metadata of SentencePiece's kind: unk, BOS, EOS, the bytes, then `words` with their scores."""
    tokens = [("<unk>", UNKNOWN, 0.0), ("<s>", CONTROL, 0.0), ("</s>", CONTROL, 0.0)]
    tokens += [(f"<0x{byte:02X}>", BYTE, 0.0) for byte in range(256)]
    return scored([*tokens, *((text, NORMAL, score) for text, score in words)], **keys)


def embedding(rows: int, columns: int = 64) -> Tensor:
    return Tensor.of("token_embd.weight", np.zeros((rows, columns)))

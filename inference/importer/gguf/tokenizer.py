"""A tokenizer.json of a GGUF file's metadata, whose ids are llama.cpp's.

Where llama.cpp leaves out a step of the original tokenizer, the original counts: the composed form of Qwen's
texts (NFC), the spaces that Phi-3's special tokens swallow, words of BERT that are too long to cut.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping

import numpy as np

from inference.cards.json_files import Json
from inference.importer.gguf.header import GgufHeader
from inference.importer.gguf.pre_tokenizers import pre_tokenizer
from inference.importer.gguf.tokenizer_models import model_of, word_piece
from inference.importer.gguf.vocabulary import KEY, SPACE, GgufVocabulary, TokenType, adds

SWALLOWING = ("phi3",)
"""Architectures whose special tokens swallow the spaces and line ends behind them."""
NOT_SWALLOWING = ("<unk>", "<s>", "<|endoftext|>")
SPACE_SIGN = {"String": " "}


def tokenizer_json(header: GgufHeader, vocabulary: GgufVocabulary) -> Json:
    """Return the tokenizer. Raises `ImporterError` for one that is not supported."""
    normalizer, pre, decoder = _STEPS[vocabulary.kind](header)
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": _added_tokens(header, vocabulary),
        "normalizer": normalizer,
        "pre_tokenizer": pre,
        "post_processor": _post_processor(header, vocabulary),
        "decoder": decoder,
        "model": model_of(header, vocabulary),
    }


def _added_tokens(header: GgufHeader, vocabulary: GgufVocabulary) -> list[Json]:
    """Return the tokens that are found in a text before it is split; those of a user belong to the text."""
    swallows = header.architecture in SWALLOWING and vocabulary.kind == "llama"
    types = (TokenType.CONTROL, TokenType.USER_DEFINED, TokenType.UNKNOWN)
    return [
        {
            "id": token,
            "content": word_piece(text, TokenType.CONTROL),
            "single_word": False,
            "lstrip": text == "<mask>" and vocabulary.kind == "t5",
            "rstrip": swallows and text not in NOT_SWALLOWING,
            "normalized": False,
            "special": kind != TokenType.USER_DEFINED,
        }
        for token, (text, kind) in enumerate(zip(vocabulary.tokens, vocabulary.types, strict=True))
        if kind in types
    ]


def _post_processor(header: GgufHeader, vocabulary: GgufVocabulary) -> Json | None:
    """Return the template that puts BOS or CLS before a text and EOS or the separator behind it."""
    begins, ends = adds(header, vocabulary.kind)
    first, last = vocabulary.text("cls") or vocabulary.text("bos"), vocabulary.text("eos")
    if vocabulary.kind == "bert":
        last = vocabulary.text("sep")
    before = [first] if begins and first else []
    after = [last] if ends and last else []
    if not before and not after:
        return None
    ids = {text: vocabulary.tokens.index(text) for text in (*before, *after)}
    return {
        "type": "TemplateProcessing",
        "single": [*map(_special, before), _sequence("A", 0), *map(_special, after)],
        "pair": [
            *map(_special, before),
            _sequence("A", 0),
            *map(_special, after),
            *([] if vocabulary.kind == "bert" else map(_special, before)),
            _sequence("B", 1),
            *(_special(text, 1) for text in after),
        ],
        "special_tokens": {
            text: {"id": text, "ids": [token], "tokens": [text]} for text, token in ids.items()
        },
    }


def _special(text: str, kind: int = 0) -> Json:
    return {"SpecialToken": {"id": text, "type_id": kind}}


def _sequence(name: str, kind: int) -> Json:
    return {"Sequence": {"id": name, "type_id": kind}}


def _byte_level(header: GgufHeader) -> tuple[Json | None, Json | None, Json]:
    row = pre_tokenizer(header.text(f"{KEY}pre"))
    splits = [
        {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
        for pattern in row.patterns
    ]
    last = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    decoder = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    normalizer = {"type": "NFC"} if row.composes else None
    return normalizer, {"type": "Sequence", "pretokenizers": [*splits, last]}, decoder


def _sentence_piece(header: GgufHeader) -> tuple[Json | None, Json | None, Json]:
    replace = {"type": "Replace", "pattern": SPACE_SIGN, "content": SPACE}
    steps = [
        {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
    ]
    if header.flag(f"{KEY}add_space_prefix") is False:
        return replace, None, {"type": "Sequence", "decoders": steps}
    normalizer = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": SPACE}, replace]}
    strip = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
    return normalizer, None, {"type": "Sequence", "decoders": [*steps, strip]}


def _word_piece(header: GgufHeader) -> tuple[Json | None, Json | None, Json]:
    normalizer = {
        "type": "BertNormalizer",
        "clean_text": True,
        "handle_chinese_chars": True,
        "strip_accents": header.flag(f"{KEY}normalizer.strip_accents"),
        "lowercase": header.flag(f"{KEY}normalizer.lowercase") is not False,
    }
    return normalizer, {"type": "BertPreTokenizer"}, {"type": "WordPiece", "prefix": "##", "cleanup": True}


def _unigram(header: GgufHeader) -> tuple[Json | None, Json | None, Json]:
    space = {
        "type": "Metaspace",
        "replacement": SPACE,
        "prepend_scheme": "never" if header.flag(f"{KEY}add_space_prefix") is False else "always",
        "split": True,
    }
    steps: list[Json] = []
    charsmap = header.numbers(f"{KEY}precompiled_charsmap")
    if charsmap is not None and len(charsmap):
        encoded = base64.b64encode(charsmap.astype(np.uint8).tobytes()).decode()
        steps.append({"type": "Precompiled", "precompiled_charsmap": encoded})
    normalizer = {"type": "Sequence", "normalizers": steps} if steps else None
    if header.flag(f"{KEY}remove_extra_whitespaces") is False:
        return normalizer, space, space
    return normalizer, {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, space]}, space


_STEPS: Mapping[str, Callable[[GgufHeader], tuple[Json | None, Json | None, Json]]] = {
    "gpt2": _byte_level,
    "llama": _sentence_piece,
    "bert": _word_piece,
    "t5": _unigram,
}
"""Normalizer, pre-tokenizer and decoder by kind."""

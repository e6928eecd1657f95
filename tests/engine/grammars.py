"""Vocabularies of every kind, and random answers that follow a grammar."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from inference.contracts import Constraint, Grammar
from inference.engine.grammar import GrammarMatcher, Grammars
from inference.settings import PROJECT
from tests.support.decoders import SPECIAL, byte_alphabet, byte_tokenizer

CORPUS = [
    json.dumps({"name": f"person {n}", "age": n, "tags": ["red", "blue"], "ok": n % 2 == 0})
    for n in range(40)
]
KINDS = ("bytes", "merged", "sentencepiece", "starter")


@cache
def tokenizer(kind: str) -> Tokenizer:
    match kind:
        case "bytes":
            return byte_tokenizer()
        case "merged":
            return _merged()
        case "sentencepiece":
            return _sentencepiece()
    return Tokenizer.from_file(str(PROJECT / "models" / "starter-chat" / "tokenizer.json"))


@cache
def grammars(kind: str, *, stops: bool = True) -> Grammars:
    """Return grammars of a vocabulary 13 ids wider than the tokenizer, whose last two special tokens stop."""
    library = tokenizer(kind)
    special = sorted(number for number, token in library.get_added_tokens_decoder().items() if token.special)
    width = library.get_vocab_size() + 13
    return Grammars(library.to_str(), vocabulary=width, stop_tokens=frozenset(special[-2:] if stops else ()))


def schema(value: dict[str, Any]) -> Constraint:
    return Constraint(Grammar.JSON_SCHEMA, json.dumps(value))


def width(kind: str) -> int:
    return tokenizer(kind).get_vocab_size() + 13


def walk(
    matcher: GrammarMatcher, kind: str, seed: int, *, most: int = 400, jump: bool = True
) -> tuple[str, bool]:
    """Return an answer of random logits, and True if it is complete.

    Closing tokens become likelier with time, as in a model that is about to finish.
    """
    random, ids = np.random.default_rng(seed), list[int]()
    closing = _closing(kind)
    while len(ids) < most:
        if matcher.is_terminated:
            return text_of(kind, ids), True
        forced = matcher.forced() if jump else []
        for token in forced:
            matcher.advance(token)
        ids += forced
        if forced:
            continue
        logits = random.standard_normal(width(kind)).astype(np.float32) * 3
        logits[closing] += len(ids) / 8
        matcher.mask(logits)
        token = int(logits.argmax())
        assert np.isfinite(logits[token])
        matcher.advance(token)
        if token in stops_of(kind):
            return text_of(kind, ids), True
        ids.append(token)
    return text_of(kind, ids), False


def stops_of(kind: str) -> frozenset[int]:
    added = tokenizer(kind).get_added_tokens_decoder()
    return frozenset(sorted(number for number, token in added.items() if token.special)[-2:])


def text_of(kind: str, ids: list[int]) -> str:
    """Return the text of ids, with the space that a sentencepiece decoder strips at the start of a text."""
    before = tokenizer(kind).encode("a", add_special_tokens=False).ids
    library = tokenizer(kind)
    return library.decode(before + ids)[len(library.decode(before)) :]


@cache
def _closing(kind: str) -> list[int]:
    library = tokenizer(kind)
    found = [library.token_to_id(text) for text in ('"', "}", "]", '"}', '"]', '",')]
    return [token for token in found if token is not None] + sorted(stops_of(kind))


def _merged() -> Tokenizer:
    library = Tokenizer(models.BPE())
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    library.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420, initial_alphabet=byte_alphabet(), special_tokens=list(SPECIAL), show_progress=False
    )
    library.train_from_iterator(CORPUS, trainer)
    return library


def _sentencepiece() -> Tokenizer:
    """Return a tokenizer like that of Llama 2: with a lower block for spaces, and a token for each byte."""
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    letters = [chr(code) for code in range(0x21, 0x7F)] + ["▁", "é"]
    merges = [
        ("▁", '"'),
        ('"', ":"),
        ("▁", "{"),
        ('"', ","),
        ("n", "a"),
        ("na", "m"),
        ("nam", "e"),
        ("▁", "a"),
    ]
    vocabulary = {piece: number for number, piece in enumerate([*pieces, *letters, *map("".join, merges)])}
    library = Tokenizer(
        models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    library.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    library.decoder = decoders.Sequence(steps)
    library.add_special_tokens([AddedToken(text, special=True) for text in ("<unk>", "<s>", "</s>")])
    return library

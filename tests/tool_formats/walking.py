"""Random walks through a grammar, over a tokenizer of bytes and the marks of every tool format."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache

import llguidance
import numpy as np
from llguidance.numpy import allocate_token_bitmask, fill_next_token_bitmask
from tokenizers import AddedToken, Tokenizer

from tests.support.decoders import END, byte_tokenizer

SPECIAL = ("[TOOL_CALLS]", "[ARGS]", "<|tool_call|>", "<|/tool_call|>", "<|python_tag|>")
PLAIN = ("<tool_call>", "</tool_call>", "<think>", "</think>")
"""Tokens that are not special, as in Qwen's vocabulary."""
MAX_TOKENS = 4_000
"""Tokens of an answer, at most."""


@cache
def tokenizer(*without: str) -> Tokenizer:
    """Return the tokenizer, lacking the named marks."""
    library = byte_tokenizer()
    library.add_special_tokens([AddedToken(text, special=True) for text in SPECIAL if text not in without])
    library.add_tokens([AddedToken(text, normalized=False) for text in PLAIN if text not in without])
    return library


@cache
def _llguidance_tokenizer(vocabulary: Tokenizer) -> llguidance.LLTokenizer:
    return llguidance.LLTokenizer(vocabulary.to_str(), n_vocab=vocabulary.get_vocab_size(), eos_token=END)


def problem(lark: str, vocabulary: Tokenizer) -> str:
    """Return the reason why the grammar cannot be enforced, empty where it can."""
    grammar = llguidance.LLMatcher.grammar_from_lark(lark)
    return str(llguidance.LLMatcher.validate_grammar(grammar, _llguidance_tokenizer(vocabulary)))


def fits(lark: str, vocabulary: Tokenizer, answer: str) -> bool:
    """Return True if the text is a whole answer of the grammar."""
    matcher = llguidance.LLMatcher(
        _llguidance_tokenizer(vocabulary), llguidance.LLMatcher.grammar_from_lark(lark)
    )
    ids = vocabulary.encode(answer, add_special_tokens=False).ids
    return matcher.try_consume_tokens(ids) == len(ids) and bool(matcher.is_accepting())


def walk(lark: str, vocabulary: Tokenizer, seed: int) -> str:
    """Return a random answer of the grammar; tokens that end a string or an object are drawn often."""
    matcher = llguidance.LLMatcher(
        _llguidance_tokenizer(vocabulary), llguidance.LLMatcher.grammar_from_lark(lark)
    )
    draw, ids, size = random.Random(seed), list[int](), vocabulary.get_vocab_size()
    mask = allocate_token_bitmask(1, size)
    while len(ids) < MAX_TOKENS:
        fill_next_token_bitmask(matcher, mask, 0)
        assert not matcher.is_error(), matcher.get_error()
        allowed = np.flatnonzero(np.unpackbits(mask.view(np.uint8), bitorder="little")[:size]).tolist()
        token = _drawn(draw, allowed, eager=len(ids) > 200)
        if token == END:
            return vocabulary.decode(ids, skip_special_tokens=False)
        ids.append(token)
        assert matcher.consume_token(token)
    raise AssertionError("the answer does not end")


def _drawn(draw: random.Random, allowed: Sequence[int], *, eager: bool) -> int:
    ends = [token for token in (END, *b'"}]') if token in allowed]
    return draw.choice(ends) if ends and (eager or draw.random() < 0.3) else draw.choice(list(allowed))

"""The vocabulary in a GGUF file's metadata: tokens with their types and scores, and the special ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from inference.importer.findings import ImporterError
from inference.importer.gguf.header import GgufHeader
from inference.importer.gguf.pre_tokenizers import SEPARATED, pre_tokenizer

KEY = "tokenizer.ggml."
SPACE = "\N{LOWER ONE EIGHTH BLOCK}"
"""The sign that stands for a space in vocabularies of SentencePiece."""
BAR = "\N{FULLWIDTH VERTICAL LINE}"
"""The bar of DeepSeek's special tokens."""
KINDS: Mapping[str, str] = {"gpt2": "BPE", "llama": "SentencePiece", "bert": "WordPiece", "t5": "Unigram"}
"""Kinds of tokenizers that are supported, by `tokenizer.ggml.model`."""
END_TEXTS = (
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    f"<{BAR}end{SPACE}of{SPACE}sentence{BAR}>",
)
"""Control tokens that end an answer by their text, as in llama.cpp: few files name the end of a turn."""
SPECIAL_KEYS: Mapping[str, tuple[str, ...]] = {
    "bos": ("bos_token_id",),
    "eos": ("eos_token_id",),
    "eot": ("eot_token_id",),
    "eom": ("eom_token_id",),
    "unk": ("unknown_token_id",),
    "sep": ("seperator_token_id", "separator_token_id"),
    "cls": ("cls_token_id",),
    "pad": ("padding_token_id",),
    "mask": ("mask_token_id",),
}
SPECIAL_DEFAULTS: Mapping[str, Mapping[str, int]] = {
    "gpt2": {"bos": 11, "eos": 11},
    "llama": {"bos": 1, "eos": 2, "unk": 0},
    "bert": {"bos": 101, "unk": 100, "sep": 102, "pad": 0, "mask": 103},
    "t5": {"eos": 1, "unk": 2, "pad": 0},
}
"""Special ids that a file of a kind need not state, as in llama.cpp."""


class TokenType(IntEnum):
    """Types of tokens, as numbered in `tokenizer.ggml.token_type`."""

    UNDEFINED = 0
    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass(frozen=True, slots=True)
class GgufVocabulary:
    """The tokens of a tokenizer by id."""

    kind: str
    """`tokenizer.ggml.model`, a key of `KINDS`."""
    tokens: Sequence[str]
    types: Sequence[int]
    scores: Sequence[float]
    """Empty where the file has none."""
    special: Mapping[str, int]
    """Ids by the names of `SPECIAL_KEYS`; those that are missing or out of range are left out."""

    def text(self, name: str) -> str | None:
        """Return the text of a special token, None where there is none."""
        token = self.special.get(name)
        return None if token is None else self.tokens[token]

    @property
    def kept(self) -> Iterator[tuple[int, str]]:
        """Ids and texts without the fillers that bring a vocabulary to the size of the embeddings."""
        for token, (text, kind) in enumerate(zip(self.tokens, self.types, strict=True)):
            if kind != TokenType.UNUSED:
                yield token, text

    @property
    def end_tokens(self) -> list[int]:
        """Sorted ids that end an answer: those that the file names, and control tokens by their text."""
        ids = {self.special[name] for name in ("eos", "eot", "eom") if name in self.special}
        named = {text: token for token, text in self.controls if text in END_TEXTS}
        if "<|return|>" in named and "<|call|>" in named:
            named.pop("<|end|>", None)  # it ends a message of harmony, and the answer goes on
        return sorted(ids | set(named.values()))

    @property
    def controls(self) -> Iterator[tuple[int, str]]:
        """Ids and texts of the control tokens."""
        for token, (text, kind) in enumerate(zip(self.tokens, self.types, strict=True)):
            if kind == TokenType.CONTROL:
                yield token, text


def read_vocabulary(header: GgufHeader) -> GgufVocabulary:
    """Return the vocabulary. Raises `ImporterError` for one that is missing, unsupported or contradictory."""
    kind = header.text(f"{KEY}model") or ""
    if kind not in KINDS:
        described = f"a tokenizer of the kind {kind[:80]!r}" if kind else "no tokenizer"
        supported = ", ".join(f"{name} ({meaning})" for name, meaning in KINDS.items())
        raise refused(header, f"has {described}. Supported kinds are {supported}")
    tokens = _tokens(header)
    types, scores = header.numbers(f"{KEY}token_type"), header.numbers(f"{KEY}scores")
    for name, values in (("token_type", types), ("scores", scores)):
        if values is not None and len(values) != len(tokens):
            raise refused(header, f"has {len(tokens)} tokens and {len(values)} values in {KEY}{name}")
    found = (
        [int(TokenType.NORMAL)] * len(tokens) if types is None else [int(number) for number in types.tolist()]
    )
    return GgufVocabulary(
        kind,
        tokens,
        _with_controls(tokens, found),
        [] if scores is None else [float(score) for score in scores.tolist()],
        _special(header, kind, len(tokens)),
    )


def adds(header: GgufHeader, kind: str) -> tuple[bool, bool]:
    """Return whether a text begins with BOS (or CLS), and whether it ends with EOS (or the separator)."""
    name = header.text(f"{KEY}pre") or ""
    begins = kind in ("llama", "bert") or (kind == "gpt2" and pre_tokenizer(name).adds_bos)
    ends = kind in ("bert", "t5") or (kind == "gpt2" and name in SEPARATED)
    stated = header.flag(f"{KEY}add_bos_token"), header.flag(f"{KEY}add_eos_token")
    separated = header.flag(f"{KEY}add_sep_token")
    if kind == "bert":
        return True, True
    begins = begins if stated[0] is None else stated[0]
    return begins, bool((ends if stated[1] is None else stated[1]) or separated)


def _tokens(header: GgufHeader) -> list[str]:
    """Return the texts, each one once; an empty one has the name that llama.cpp gives it."""
    listed = header.strings(f"{KEY}tokens")
    if not listed:
        raise refused(header, f"has no vocabulary: {KEY}tokens is missing or empty")
    rows = header.tensors.get("token_embd.weight")
    if rows is not None and len(listed) > rows.shape[0]:
        raise refused(header, f"has {len(listed)} tokens and {rows.shape[0]} embeddings")
    tokens = [text or f"[EMPTY_{token}]" for token, text in enumerate(listed)]
    if len(set(tokens)) < len(tokens):
        twice = Counter(tokens).most_common(1)[0][0]
        raise refused(header, f"has the token {twice[:80]!r} twice")
    return tokens


def _with_controls(tokens: Sequence[str], types: list[int]) -> list[int]:
    """Return the types; a token that ends answers is a control token, whatever its converter wrote."""
    ends = frozenset(END_TEXTS) - {"</s>", "<eos>", "[EOS]"}
    for token, text in enumerate(tokens):
        if text in ends and types[token] != TokenType.UNUSED:
            types[token] = TokenType.CONTROL
    return types


def _special(header: GgufHeader, kind: str, size: int) -> dict[str, int]:
    found = dict(SPECIAL_DEFAULTS[kind])
    for name, keys in SPECIAL_KEYS.items():
        for key in keys:
            if (token := header.integer(KEY + key)) is not None:
                found[name] = token
    return {name: token for name, token in found.items() if 0 <= token < size}


def refused(header: GgufHeader, reason: str) -> ImporterError:
    """Return the error for a file that cannot be used; `reason` continues its name."""
    return ImporterError(f"{header.path.name} {reason}. Take another file of the model.")

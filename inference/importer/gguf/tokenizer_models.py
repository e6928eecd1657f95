"""The `model` of a tokenizer.json for each kind of vocabulary: BPE, SentencePiece, WordPiece, Unigram."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from inference.cards.json_files import Json
from inference.importer.gguf.header import GgufHeader
from inference.importer.gguf.pre_tokenizers import pre_tokenizer
from inference.importer.gguf.vocabulary import KEY, SPACE, GgufVocabulary, TokenType, refused

LONGEST_WORD = 100
"""Characters of the longest word that BERT's tokenizers cut into pieces; a longer one is unknown."""
UNMERGED = (TokenType.CONTROL, TokenType.USER_DEFINED, TokenType.UNKNOWN, TokenType.BYTE)
"""Types of tokens that no merge leads to: they are found in the text as a whole, or stand for a byte."""


def model_of(header: GgufHeader, vocabulary: GgufVocabulary) -> Json:
    """Return the model. Raises `ImporterError` where the metadata lacks what its kind needs."""
    return _MODELS[vocabulary.kind](header, vocabulary)


def word_piece(text: str, kind: int) -> str:
    """Return a token as BERT writes it: GGUF marks the beginnings of words, BERT the other pieces."""
    if kind == TokenType.CONTROL:
        return text
    return text[1:] if text.startswith(SPACE) else f"##{text}"


def _byte_level(header: GgufHeader, vocabulary: GgufVocabulary) -> Json:
    listed = header.strings(f"{KEY}merges")
    if listed is None:
        raise refused(header, f"has no merges for its tokenizer ({KEY}merges is missing)")
    ids = {text: token for token, text in vocabulary.kept}
    ignores = pre_tokenizer(header.text(f"{KEY}pre")).ignores_merges
    return _bpe(ids, list(_listed_merges(listed, ids)), byte_fallback=False, ignore_merges=ignores)


def _listed_merges(listed: Sequence[str], ids: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Yield each pair once, without those that lead to no token, as the library demands."""
    pairs: dict[tuple[str, str], None] = {}
    for merge in listed:
        cut = merge.find(" ", 1)
        pairs[merge[:cut], merge[cut + 1 :]] = None
    for left, right in pairs:
        if left in ids and right in ids and left + right in ids:
            yield left, right


def _sentence_piece(header: GgufHeader, vocabulary: GgufVocabulary) -> Json:
    """Return a BPE whose merges are those of SentencePiece: the pair with the best token goes first."""
    if not vocabulary.scores:
        raise refused(header, f"has no scores for its tokenizer ({KEY}scores is missing)")
    ids = {text: token for token, text in vocabulary.kept}
    return _bpe(ids, _scored_merges(vocabulary, ids), byte_fallback=True, unknown=vocabulary.text("unk"))


def _scored_merges(vocabulary: GgufVocabulary, ids: Mapping[str, int]) -> list[tuple[str, str]]:
    ranked = []
    for text, token in ids.items():
        if vocabulary.types[token] in UNMERGED:
            continue
        for cut in range(1, len(text)):
            left, right = text[:cut], text[cut:]
            if left in ids and right in ids:
                ranked.append((-vocabulary.scores[token], ids[left], ids[right], left, right))
    ranked.sort()
    return [(left, right) for *_, left, right in ranked]


def _bpe(
    ids: Mapping[str, int],
    merges: Sequence[tuple[str, str]],
    *,
    byte_fallback: bool,
    ignore_merges: bool = False,
    unknown: str | None = None,
) -> Json:
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": unknown if unknown in ids else None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": byte_fallback,
        "byte_fallback": byte_fallback,
        "ignore_merges": ignore_merges,
        "vocab": ids,
        "merges": merges,
    }


def _word_piece(_header: GgufHeader, vocabulary: GgufVocabulary) -> Json:
    return {
        "type": "WordPiece",
        "unk_token": vocabulary.text("unk"),
        "continuing_subword_prefix": "##",
        "max_input_chars_per_word": LONGEST_WORD,
        "vocab": {word_piece(text, vocabulary.types[token]): token for token, text in vocabulary.kept},
    }


def _unigram(header: GgufHeader, vocabulary: GgufVocabulary) -> Json:
    if not vocabulary.scores:
        raise refused(header, f"has no scores for its tokenizer ({KEY}scores is missing)")
    return {
        "type": "Unigram",
        "unk_id": vocabulary.special.get("unk"),
        "vocab": list(zip(vocabulary.tokens, vocabulary.scores, strict=True)),
        "byte_fallback": TokenType.BYTE in vocabulary.types,
    }


_MODELS: Mapping[str, Callable[[GgufHeader, GgufVocabulary], Json]] = {
    "gpt2": _byte_level,
    "llama": _sentence_piece,
    "bert": _word_piece,
    "t5": _unigram,
}

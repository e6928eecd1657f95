"""Pairs of texts as one input: the tokens of both, joined as the tokenizer joins them, cut to fit a context.

A tokenizer puts its own tokens around and between the texts of a pair (`[CLS] query [SEP] document [SEP]`)
and says by a type which text a token is of. Both are read off one pair, so that a query is tokenised once for
all of its documents.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from inference.contracts import TokenIds, TokenizedInput

if TYPE_CHECKING:
    import tokenizers

SAMPLES = 200
"""Tokens whose texts are tried for one that the tokenizer makes tokens of."""


class Piece(NamedTuple):
    """Tokens of one type: those of a text (0 or 1), or the tokenizer's own `ids` where `text` is None."""

    text: int | None
    type: int
    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PairTemplate:
    """The pieces that a tokenizer makes a pair of."""

    pieces: tuple[Piece, ...]

    @classmethod
    def of(cls, library: tokenizers.Tokenizer) -> PairTemplate:
        """Return the template of a tokenizer."""
        text = next(_texts_with_tokens(library), None)
        if text is None:
            return cls((Piece(0, 0, ()), Piece(1, 0, ())))
        joined = library.encode(text, text)
        tokens = zip(joined.sequence_ids, joined.type_ids, joined.ids, strict=True)
        return cls(
            tuple(
                Piece(one, kind, tuple(ids for *_, ids in group) if one is None else ())
                for (one, kind), group in groupby(tokens, key=lambda token: token[:2])
            )
        )

    @property
    def around(self) -> int:
        """The number of tokens that are neither text's."""
        return sum(len(piece.ids) for piece in self.pieces)

    def join(self, first: TokenIds, second: TokenIds) -> TokenizedInput:
        """Return the tokens of a pair with their types."""
        ids: list[int] = []
        types: list[int] = []
        for piece in self.pieces:
            part = piece.ids if piece.text is None else (first, second)[piece.text]
            ids += part
            types += [piece.type] * len(part)
        return TokenizedInput(ids, types)

    def fitted(
        self, first: TokenIds, second: TokenIds, context: int, *, left: bool = False
    ) -> TokenizedInput:
        """Return the pair cut to a context: at their ends, or their starts if `left`."""
        kept = longest_first(len(first), len(second), max(context - self.around, 0))
        parts = (_cut(ids, most, left=left) for ids, most in zip((first, second), kept, strict=True))
        return self.join(*parts)


def longest_first(first: int, second: int, room: int) -> tuple[int, int]:
    """Return how many tokens two texts keep in so much room: the longer loses tokens until both are even.

    As transformers cuts pairs: where both are cut, the longer one keeps the odd token.
    """
    if first + second <= room:
        return first, second
    short, long = min(first, second), max(first, second)
    half = room // 2
    kept_short = min(short, half)
    kept_long = min(long, room - kept_short)
    return (kept_short, kept_long) if first <= second else (kept_long, kept_short)


def _cut(ids: TokenIds, most: int, *, left: bool) -> Sequence[int]:
    if len(ids) <= most:
        return ids
    return ids[len(ids) - most :] if left else ids[:most]


def _texts_with_tokens(library: tokenizers.Tokenizer) -> Iterator[str]:
    """Yield texts that the tokenizer makes tokens of: words of any script, by its own vocabulary."""
    known = range(min(SAMPLES, library.get_vocab_size()))
    for text in ("a", *(library.decode([number]) for number in known)):
        if text and library.encode(text, add_special_tokens=False).ids:
            yield text

"""The token ids that a model takes: those of its tokenizer that have a row in the model's tables.

A tokenizer may have special tokens without a row, since a graph is no wider than the weights it was trained
with, and its ids may have gaps; tables may have rows that no token uses.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from inference.errors import InvalidInput, Location, Offender

if TYPE_CHECKING:
    from inference.prompt.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class UsableIds:
    """The ids from 0 to below `end`, without the `gaps`, which name no token."""

    end: int
    gaps: frozenset[int] = frozenset()

    @classmethod
    def of(cls, ids: Iterable[int]) -> UsableIds:
        """Return the bounds of the ids of a vocabulary."""
        known = set(ids)
        end = max(known, default=-1) + 1
        return cls(end, frozenset(range(end)) - known if len(known) < end else frozenset())

    def below(self, rows: int) -> UsableIds:
        """Return those that are less than `rows`."""
        if rows >= self.end:
            return self
        return replace(self, end=rows, gaps=frozenset(gap for gap in self.gaps if gap < rows))

    def first_other(self, ids: Sequence[int]) -> int | None:
        """Return the index of the first id that is none of these, None where all are."""
        if not ids or (min(ids) >= 0 and max(ids) < self.end and self.gaps.isdisjoint(ids)):
            return None
        return next(
            (index for index, one in enumerate(ids) if not 0 <= one < self.end or one in self.gaps), None
        )

    def only(self, ids: list[int]) -> list[int]:
        """Return the ids without those that are none of these."""
        if self.first_other(ids) is None:
            return ids
        return [one for one in ids if 0 <= one < self.end and one not in self.gaps]


def check_token_ids(ids: Sequence[int], loc: Location, tokenizer: Tokenizer) -> None:
    """Raise `InvalidInput` at the first of a client's token ids that the model does not have."""
    position = tokenizer.usable.first_other(ids)
    if position is not None:
        message = _problem(ids[position], tokenizer)
        raise InvalidInput([Offender((*loc, position), ids[position], message)])


def check_text_ids(ids: Sequence[int], loc: Location, tokenizer: Tokenizer) -> None:
    """Raise `InvalidInput` at `loc` for a text with a token that the model has no row for."""
    position = tokenizer.usable.first_other(ids)
    if position is not None:
        text = tokenizer.token_text(ids[position]) or ""
        message = f"the text has the token {text!r}: {_problem(ids[position], tokenizer)}"
        raise InvalidInput([Offender(loc, text, message)])


def _problem(token_id: int, tokenizer: Tokenizer) -> str:
    last = tokenizer.vocabulary_size - 1
    if tokenizer.token_text(token_id) is not None:
        return f"token id {token_id} has no row in the model's tables, whose ids are 0 to {last}"
    if token_id <= last:
        return f"token id {token_id} is not in the vocabulary, which leaves it out between 0 and {last}"
    return f"token id {token_id} is not in the vocabulary, whose ids are 0 to {last}"

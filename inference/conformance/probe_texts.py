"""The texts of the probes: English ones where a model's vocabulary has them, else words of its own.

To a vocabulary of amino acids or of another script every English word is the one unknown token, or none at
all. Texts that should differ would then be the same input, which says nothing about the model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from inference.cards.card import CardError, Deployment
from inference.prompt.tokenizer import UNDECODABLE, Tokenizer

QUESTION = "Count from one to ten, then say goodbye."
WORDS = ("tide", "storm")
RARE_WORDS = ("quincunx", "zeugma")
"""Words that no model writes by chance."""
GREETING = "Hi"
TOKEN_IDS = (40, 50)
REPEATS = 8
"""Repetitions that a question of the vocabulary's own words has."""
SEARCHED = 2000
"""Tokens among which words are searched."""
MARKS = re.compile(r"\s|##|\N{LOWER ONE EIGHTH BLOCK}|\N{LATIN CAPITAL LETTER G WITH DOT ABOVE}")
"""What tokens have at the edges of words, besides the words' own letters."""


@dataclass(frozen=True, slots=True)
class ProbeTexts:
    """Texts that a model can distinguish, joined by `separator`."""

    question: str = QUESTION
    greeting: str = GREETING
    words: tuple[str, str] = WORDS
    """Two words of different tokens."""
    rare: tuple[str, str] = RARE_WORDS
    """Two words that are answers of no model."""
    separator: str = " "
    token_ids: tuple[int, ...] = TOKEN_IDS
    """The ids of two tokens that show in an answer."""
    tokenizer: Tokenizer | None = None

    @classmethod
    def of(cls, deployment: Deployment) -> ProbeTexts:
        """Return the texts for a deployment: the English ones where its files have no tokenizer."""
        if deployment.card.remote is not None:
            return cls()
        try:
            return cls.known_to(Tokenizer.of(deployment))
        except CardError:
            return cls()

    @classmethod
    def known_to(cls, tokenizer: Tokenizer) -> ProbeTexts:
        """Return texts of the words that a tokenizer knows, the English ones where it knows them."""
        token_ids = tuple(_shown_ids(tokenizer)) or TOKEN_IDS
        usual = cls(token_ids=token_ids, tokenizer=tokenizer)
        if all(_knows(tokenizer, text) for text in (*WORDS, GREETING)):
            return usual
        for separator in (" ", ""):
            words = tuple(islice(_words(tokenizer, separator), 2))
            if len(words) == 2:
                question = separator.join(words * REPEATS)
                return cls(question, words[0], words, words, separator, token_ids, tokenizer)
        return usual

    @property
    def known(self) -> bool:
        """True if the words are known to differ: an input has them, and not one unknown token."""
        return self.tokenizer is None or _knows(self.tokenizer, self.separator.join(self.words))

    def distinct(self, left: str, right: str) -> bool:
        """Return True if two texts are different tokens to the model."""
        if self.tokenizer is None:
            return left != right
        first, second = self.tokenizer.encode_batch([left, right], special=False)
        return first != second


def _knows(tokenizer: Tokenizer, text: str) -> bool:
    """Return True if a text comes back from its tokens, cases and spaces aside."""
    ids = tokenizer.encode(text, special=False)
    if not ids or tokenizer.usable.first_other(ids) is not None:
        return False
    return _letters(tokenizer.decode(ids)) == _letters(text)


def _letters(text: str) -> str:
    return MARKS.sub("", text).casefold()


def _words(tokenizer: Tokenizer, separator: str) -> Iterator[str]:
    """Yield words that the tokenizer knows alone and beside themselves, each of other tokens."""
    for token in range(min(tokenizer.vocabulary_size, SEARCHED)):
        word = MARKS.sub("", tokenizer.decode([token]))
        if word.isalnum() and _knows(tokenizer, word) and _knows(tokenizer, f"{word}{separator}{word}"):
            yield word


def _shown_ids(tokenizer: Tokenizer) -> Iterator[int]:
    """Yield the ids of two tokens of different texts: `TOKEN_IDS` where those are, else the first two."""
    found: set[str] = set()
    for token in (*TOKEN_IDS, *range(min(tokenizer.vocabulary_size, SEARCHED))):
        text = "" if tokenizer.usable.first_other([token]) is not None else tokenizer.decode([token])
        if text.strip() and UNDECODABLE not in text and text not in found and len(found) < len(TOKEN_IDS):
            found.add(text)
            yield token

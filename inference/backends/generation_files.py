"""The tokens that end an answer and those that never stand in one, by generation_config.json."""

from __future__ import annotations

from collections.abc import Iterator

from inference.cards.card import CardError, Deployment
from inference.cards.json_files import Json, read_role
from inference.prompt.tokenizer import Tokenizer

SUPPRESSED, BAD_WORDS = "suppress_tokens", "bad_words_ids"
"""The keys of generation_config.json that name tokens which are never drawn."""


def stop_tokens_of(deployment: Deployment) -> frozenset[int]:
    """Return `eos_token_id` of generation_config.json, else of config.json; none where neither states it.

    Raises `CardError` where it is no token id and no list of them.
    """
    for role in ("generation_config", "config"):
        found = read_role(deployment, role).get("eos_token_id")
        if found is None:
            continue
        tokens = found if isinstance(found, list) else [found]
        if not all(isinstance(token, int) and token >= 0 for token in tokens):
            raise CardError(f"{role}.json: eos_token_id is {found!r}, not a token id or a list of them")
        return frozenset(tokens)
    return frozenset()


def never_drawn(deployment: Deployment, tokenizer: Tokenizer) -> frozenset[int]:
    """Return the ids that are never drawn: gaps in the vocabulary, and those that the files rule out.

    Raises `CardError` where these are no token ids.
    """
    listed = set(suppressed_tokens(read_role(deployment, "generation_config")))
    return tokenizer.usable.gaps | {token for token in listed if token < tokenizer.vocabulary_size}


def suppressed_tokens(generation: Json) -> Iterator[int]:
    """Yield the tokens that generation_config.json rules out; bad words of several tokens are left out.

    Raises `CardError` where they are no token ids.
    """
    words = [[token] for token in _list(generation, SUPPRESSED)] + _list(generation, BAD_WORDS)
    for word in words:
        if not isinstance(word, list) or not all(isinstance(token, int) for token in word):
            raise CardError(
                f"generation_config.json: {SUPPRESSED} and {BAD_WORDS} have {word!r}, no token id"
            )
        if len(word) == 1 and word[0] >= 0:
            yield word[0]


def _list(config: Json, key: str) -> list[object]:
    found = config.get(key)
    return found if isinstance(found, list) else []

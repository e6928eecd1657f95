"""Prompts that share a long start, such as a list of tools: its tokens are found once.

Text is encoded apart on both sides of an added token that always splits it. So the tokens up to one can be
kept, and those of the rest be found from that token on: as in the whole text, it stands first.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tokenizers

MIN_CHARACTERS = 1_000
"""Characters before the token at which a start ends: fewer are encoded in less than a millisecond."""
MAX_CHARACTERS = 200_000
"""Characters of a start that is kept."""
MAX_STARTS = 8
"""Starts that are kept, some 36 bytes for each of their tokens."""


class PromptEncoder:
    """The encoding of prompts by one tokenizer. May be used from any thread."""

    def __init__(self, library: tokenizers.Tokenizer) -> None:
        self._library = library
        self._added = [token for token in library.get_added_tokens_decoder().values() if token.content]
        names = sorted({token.content for token in self._added}, key=len, reverse=True)
        self._any = re.compile("|".join(map(re.escape, names))) if names else None
        self._splits: dict[str, bool] = {}
        self._kept: OrderedDict[str, list[int]] = OrderedDict()
        self._lock = threading.Lock()

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a prompt, none added around it."""
        split = self._split(text)
        if split is None:
            return self._encoded(text)
        return [*self._start(text[:split]), *self._encoded(text[split:])]

    def _start(self, start: str) -> list[int]:
        with self._lock:
            if (kept := self._kept.get(start)) is not None:
                self._kept.move_to_end(start)
                return kept
        tokens = self._encoded(start)
        with self._lock:
            self._kept[start] = tokens
            if len(self._kept) > MAX_STARTS:
                self._kept.popitem(last=False)
        return tokens

    def _encoded(self, text: str) -> list[int]:
        return self._library.encode(text, add_special_tokens=False).ids

    def _split(self, text: str) -> int | None:
        """Return where the first token after `MIN_CHARACTERS` starts that splits every text, else None."""
        if self._any is None or len(text) < MIN_CHARACTERS:
            return None
        for found in self._any.finditer(text, MIN_CHARACTERS, MAX_CHARACTERS):
            if self._always_splits(found[0]):
                return found.start()
        return None

    def _always_splits(self, name: str) -> bool:
        if name not in self._splits:
            self._splits[name] = _always_splits(name, self._added)
        return self._splits[name]


def _always_splits(name: str, added: list[tokenizers.AddedToken]) -> bool:
    """Return True if a token is found wherever its text stands, and takes nothing but its text.

    Its ends are no letters, which would make the end of another word.
    """
    if name[0].isalnum() or name[-1].isalnum() or "_" in (name[0], name[-1]) or name != name.strip():
        return False
    others = [token.content for token in added if token.content != name]
    own = [token for token in added if token.content == name]
    plain = not any(token.lstrip or token.rstrip or token.single_word or token.normalized for token in own)
    return plain and not any(_meet(name, other) or _meet(other, name) for other in others)


def _meet(left: str, right: str) -> bool:
    """Return True if one text is in the other, or the end of the left one starts the right one."""
    return left in right or any(left.endswith(right[:size]) for size in range(1, len(right) + 1))

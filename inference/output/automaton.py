"""Many texts searched for at once in one that comes character by character (Aho and Corasick, 1975)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence


class Automaton:
    """The prefixes of the texts are its states; 0 is the empty one, where a search begins.

    `depth[state]` is how many characters, up to the last one read, could still become one of the texts.
    `longest[state]` is the length of the longest text that ends with the last character, 0 where none does.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        """Raises `ValueError` when a text is empty."""
        if not all(texts):
            raise ValueError("an empty text is found everywhere")
        self._next: list[dict[str, int]] = [{}]
        self._fail = [0]
        self.depth = [0]
        self.longest = [0]
        for text in texts:
            self._add(text)
        self._link()

    def step(self, state: int, character: str) -> int:
        """The state after one more character; amortised constant time."""
        while True:
            following = self._next[state].get(character)
            if following is not None:
                return following
            if state == 0:
                return 0
            state = self._fail[state]

    def _add(self, text: str) -> None:
        state = 0
        for character in text:
            state = self._next[state].get(character) or self._grow(state, character)
        self.longest[state] = len(text)

    def _grow(self, state: int, character: str) -> int:
        self._next[state][character] = len(self.depth)
        self._next.append({})
        self._fail.append(0)
        self.depth.append(self.depth[state] + 1)
        self.longest.append(0)
        return len(self.depth) - 1

    def _link(self) -> None:
        """Links each state to the longest other one that is a suffix of it."""
        for state, character, child in self._by_depth():
            self._fail[child] = self.step(self._fail[state], character) if state else 0
            self.longest[child] = self.longest[child] or self.longest[self._fail[child]]

    def _by_depth(self) -> Iterator[tuple[int, str, int]]:
        waiting = deque([0])
        while waiting:
            state = waiting.popleft()
            for character, child in self._next[state].items():
                yield state, character, child
                waiting.append(child)

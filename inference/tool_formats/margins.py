"""The white space around what is cut out of a text."""

from __future__ import annotations


class Margins:
    """Passes a text on without the white space next to a cut, unless it stands between two texts.

    White space at the end of what came so far is held back, since a cut or the end may follow.
    """

    def __init__(self) -> None:
        self._space = ""
        self._said = False
        self._beside_cut = False

    @property
    def held(self) -> int:
        """How many characters wait for what follows."""
        return len(self._space)

    def say(self, text: str) -> str:
        """Takes the next piece of the text; gives what may be said now."""
        held = self._space + text
        said = held.rstrip()
        self._space = held[len(said) :]
        if not said:
            return ""
        if self._beside_cut and not self._said:
            said = said.lstrip()
        self._said, self._beside_cut = True, False
        return said

    def cut(self) -> None:
        """Something was cut out here."""
        self._beside_cut = True

    def end(self) -> str:
        """What was held back, at the end of the text."""
        return "" if self._beside_cut else self._space

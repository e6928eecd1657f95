r"""Escapes of JSON in a text: the forms that readers of the text see once they decode them.

Arguments of calls and JSON answers are shown as JSON text, whose readers decode it: `\u007a\u006f\u006f` is
`zoo` to them. JSON may stand in a string of JSON, and so the decoding is repeated.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

DECODINGS = 3
"""Decodings of a text: those of JSON in a string of JSON in a string of JSON."""
BACKSLASH = "\\"
HEX = "[0-9a-fA-F]"
HIGH = rf"u[dD][89abAB]{HEX}{{2}}"
LOW = rf"\\u[dD][c-fC-F]{HEX}{{2}}"
PART_OF_LOW = rf"(?:\\(?:u(?:[dD](?:[c-fC-F]{HEX}?)?)?)?)?\Z"
SHORT = '["\\\\/bfnrt]'
ESCAPES = re.compile(rf"(?:\\u{HEX}{{4}})+|\\{SHORT}")
"""An escape by letter, or a run of those by number, so that each surrogate stands beside its other half."""
ESCAPE = re.compile(
    rf"\\(?:{HIGH}{LOW}|(?P<half>{HIGH}{PART_OF_LOW})|u{HEX}{{4}}|{SHORT}|(?P<part>(?:u{HEX}{{0,3}})?\Z))"
)
"""One escape, or at the text's end the start of one."""
SHORT_ESCAPES = {r"\b": "\b", r"\f": "\f", r"\n": "\n", r"\r": "\r", r"\t": "\t"}


def decoded_forms(text: str) -> list[str]:
    """Return a text, and each of its decodings that differs from the one before. May take milliseconds."""
    forms = [text]
    while len(forms) <= DECODINGS and BACKSLASH in forms[-1]:
        decoded = ESCAPES.sub(lambda match: _character(match[0]), forms[-1])
        if decoded == forms[-1]:
            break
        forms.append(decoded)
    return forms


def holdback_offset(text: str, count: int) -> int:
    """Return the offset before the last `count` characters of a text as its last decoding has them.

    It is never inside an escape, and an escape that the text's end cuts is not counted: it can still become
    any character. 0 if the text has no more than these characters.
    """
    if BACKSLASH not in text:
        return max(len(text) - count, 0)
    ends: Sequence[int] = range(1, len(text) + 1)
    for _ in range(DECODINGS):
        text, ends = _decode(text, ends)
    return ends[len(ends) - count - 1] if len(ends) > count else 0


def _decode(text: str, ends: Sequence[int]) -> tuple[str, Sequence[int]]:
    """Return a decoding and where each character of it ends, for `ends` of the text; less a cut escape."""
    pieces: list[str] = []
    decoded_ends: list[int] = []
    start = 0
    for match in ESCAPE.finditer(text):
        pieces.append(text[start : match.start()])
        decoded_ends += ends[start : match.start()]
        start = match.end()
        if match["half"] is None and match["part"] is None:
            pieces.append(_character(match[0]))
            decoded_ends.append(ends[start - 1])
    pieces.append(text[start:])
    decoded_ends += ends[start:]
    return "".join(pieces), decoded_ends


def _character(escapes: str) -> str:
    """Return the text of escapes; half of a surrogate pair becomes U+FFFD."""
    if escapes[1] == "u":
        return bytes.fromhex(escapes.replace(r"\u", "")).decode("utf-16-be", "replace")
    return SHORT_ESCAPES.get(escapes, escapes[1])

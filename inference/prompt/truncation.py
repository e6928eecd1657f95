"""An input that is longer than the model takes loses one end, where that was asked for or declared.

Cut are the text's own tokens: what the tokenizer puts around a text (CLS, SEP, an end token) and the model's
prompt before it stay whole. A client's token array is cut as it stands, because nothing is put around it.
"""

from __future__ import annotations

from inference.prompt.tokenizer import Tokenizer


def cut_tokens(ids: list[int], side: str, most: int) -> list[int]:
    """The first `most` ids where the side that is lost is `END`, the last ones where it is `START`."""
    return ids[:most] if side == "END" else ids[-most:]


def cut_text(text: str, prompt: str, side: str, most: int, tokenizer: Tokenizer) -> list[int]:
    """At most `most` ids of a text behind its prompt, with what the tokenizer puts around them.

    Where not even a token of the text has room, the ids of the whole.
    """
    whole = tokenizer.encode(prompt + text, special=True)
    inner = tokenizer.encode(prompt + text, special=False)
    around = len(whole) - len(inner)
    begin = next(place for place in range(around + 1) if whole[place : place + len(inner)] == inner)
    kept = len(tokenizer.encode(prompt, special=False)) if prompt else 0
    room = most - around - kept
    if room < 1:
        return whole
    cut = inner[:kept] + cut_tokens(inner[kept:], side, room)
    return whole[:begin] + cut + whole[begin + len(inner) :]

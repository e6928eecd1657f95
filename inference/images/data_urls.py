"""Data URLs, read as browsers read them: WHATWG's data: URL processor and its forgiving base64.

The label is never trusted, the bytes decide what the content is; so only where it ends matters here.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from urllib.parse import unquote, unquote_to_bytes

from inference.images.formats import ImageError, has_known_magic

SURROUNDING = "".join(map(chr, range(0x21)))
"""The characters that are dropped around a URL: controls and the space."""
IN_BETWEEN = str.maketrans("", "", "\t\n\r")
"""The characters that are dropped anywhere in a URL."""
BASE64 = re.compile(r"; *base64\Z", re.IGNORECASE)
"""The mark at the end of the label; spaces may precede the word."""
SLICE = 2**20
"""Characters of base64 that are decoded in one call, a multiple of 4: other threads wait for each."""


def is_data_url(url: str) -> bool:
    """Return True for a data URL of any content."""
    return url.lstrip(SURROUNDING)[:5].lower() == "data:"


def data_url_bytes(url: str) -> bytes:
    """Return the bytes in a data URL, an image or not. Raises `ImageError`.

    Content without the mark of base64 is percent-encoded; it is taken where it begins as an image does.
    """
    if not is_data_url(url):
        raise ImageError("Images are accepted as data URLs only: data:image/png;base64,...")
    label, comma, text = url.partition(",")
    text = text.partition("#")[0]
    if not comma or not BASE64.search(label.translate(IN_BETWEEN).rstrip()):
        return _percent_decoded(text)
    data = _decode_base64(text)
    if not data:
        raise ImageError("The data URL is empty.")
    return data


def _percent_decoded(text: str) -> bytes:
    if has_known_magic(unquote_to_bytes(text[:64])):
        return unquote_to_bytes(text.translate(IN_BETWEEN).rstrip(SURROUNDING))
    raise ImageError("The data URL is not base64: it must read data:image/png;base64,...")


def _decode_base64(text: str) -> bytes:
    """Decode as browsers do: white space and missing padding are accepted, other characters are not."""
    compact = "".join(unquote(text).split()).rstrip("=")
    if "=" in compact:
        raise ImageError("The data URL's base64 is broken.")
    compact += "=" * (-len(compact) % 4)
    starts = range(0, len(compact), SLICE)
    try:
        return b"".join(b64decode(compact[start : start + SLICE], validate=True) for start in starts)
    except (binascii.Error, ValueError):
        raise ImageError("The data URL's base64 is broken.") from None

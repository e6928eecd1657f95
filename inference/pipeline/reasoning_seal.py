"""Reasoning in a form that a caller can hand back without its being stored: compressed and signed.

It hides nothing, since the reasoning stands beside it; the signature says that this endpoint wrote it.
"""

from __future__ import annotations

import binascii
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from hmac import compare_digest, digest
from secrets import token_bytes

VERSION = b"\x01"
SIGNATURE_BYTES = 32
LONGEST = 4_000_000
"""Bytes of reasoning that a seal may have: more than any context holds."""


class ReasoningSeal:
    """Makes and opens sealed reasoning; without the endpoint's key it opens that of this process alone."""

    def __init__(self, key: str = "") -> None:
        self._key = sha256(key.encode()).digest() if key else token_bytes(32)

    def seal(self, text: str) -> str:
        """Return the sealed form of a text."""
        content = VERSION + zlib.compress(text.encode())
        return urlsafe_b64encode(self._signature(content) + content).decode()

    def open(self, sealed: str) -> str:
        """Return the text of a sealed form; empty for one that was not made with this key."""
        try:
            found = urlsafe_b64decode(sealed.encode("ascii"))
        except (binascii.Error, ValueError):
            return ""
        signature, content = found[:SIGNATURE_BYTES], found[SIGNATURE_BYTES:]
        if not compare_digest(signature, self._signature(content)):
            return ""
        return zlib.decompressobj().decompress(content[len(VERSION) :], LONGEST).decode(errors="ignore")

    def _signature(self, content: bytes) -> bytes:
        return digest(self._key, content, "sha256")

"""Text becomes token ids and back, whole or as a stream, by the model's own `tokenizer.json`.

The tokenizers package is imported when a tokenizer is opened, not before.
"""

from __future__ import annotations

import codecs
import json
import os
import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from inference.cards.card import CardError
from inference.contracts import TokenIds

if TYPE_CHECKING:
    import tokenizers

BytesOf: TypeAlias = Callable[[str], bytes | None]
"""The bytes a token stands for; None where only the tokenizer's own decoder can tell its text."""

UNDECODABLE = "\N{REPLACEMENT CHARACTER}"
LONGEST_CHARACTER = 4
"""Bytes, and so at most tokens, of one character in UTF-8."""
BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")


class Tokenizer:
    """A model's tokenizer. Every method may be called from any thread."""

    def __init__(self, library: tokenizers.Tokenizer) -> None:
        self._library = library
        added = library.get_added_tokens_decoder()
        self._special = frozenset(number for number, token in added.items() if token.special)
        self._bytes_of = _bytes_of(library.decoder)

    @classmethod
    def open(cls, path: Path) -> Tokenizer:
        """The tokenizer in a `tokenizer.json`, without the padding and truncation the file may carry.

        Raises `CardError` naming the file when it cannot be read.
        """
        # Set, the library stays parallel and silent when something in this process forks in order to exec.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
        import tokenizers

        try:
            library = tokenizers.Tokenizer.from_buffer(path.read_bytes())
        except OSError as error:
            raise CardError(f"{path.name} cannot be read: {error.strerror}") from None
        except Exception as error:  # noqa: BLE001  the library raises bare Exception
            raise CardError(f"{path.name} is not a tokenizer: {error}") from None
        library.no_padding()
        library.no_truncation()
        return cls(library)

    @property
    def vocabulary(self) -> int:
        """How many tokens there are, the added ones included."""
        return self._library.get_vocab_size(with_added_tokens=True)

    @property
    def json(self) -> str:
        """The tokenizer as a `tokenizer.json`, without padding and truncation."""
        return self._library.to_str()

    @property
    def tells_bytes(self) -> bool:
        """Whether every token's bytes are known, as an answer must be that is held to a grammar."""
        return self._bytes_of is not _none

    def token_id(self, text: str) -> int | None:
        """The id of the token written exactly so, None where there is none."""
        return self._library.token_to_id(text)

    def encode(self, text: str, *, special: bool) -> list[int]:
        """The ids of a text; `special` adds what the model expects around one, such as BOS or CLS."""
        return self._library.encode(text, add_special_tokens=special).ids

    def leading(self, prompt: str) -> int:
        """How many of an input's tokens are a prompt's, what stands before it included: CLS, prompt, text.

        Counted as sentence-transformers does: the prompt's own tokens without a special one at its end.
        """
        ids = self.encode(prompt, special=True)
        return len(ids) - (1 if ids and ids[-1] in self._special else 0)

    def encode_batch(self, texts: Sequence[str], *, special: bool) -> list[list[int]]:
        """The ids of several texts in their order, encoded in parallel."""
        encoded = self._library.encode_batch(list(texts), add_special_tokens=special)
        return [encoding.ids for encoding in encoded]

    def decode(self, ids: TokenIds, *, special: bool = False) -> str:
        """The text of ids; `special` keeps the special tokens in it."""
        return self._library.decode(list(ids), skip_special_tokens=not special)

    def spell(self, token_id: int) -> bytes:
        """The bytes that a token stands for in the middle of a text, as UTF-8 or as part of it."""
        token = self._library.id_to_token(token_id)
        if token is None:
            return b""
        if token_id not in self._special and (data := self._bytes_of(token)) is not None:
            return data
        # A decoder may drop the space before the first token of a text, so this one is not the first.
        before = self._library.decode([token_id], skip_special_tokens=False)
        both = self._library.decode([token_id, token_id], skip_special_tokens=False)
        return both[len(before) :].encode()

    def stream(self, *, after: TokenIds = (), visible: Collection[str] = ()) -> DecodeStream:
        """A decoder of ids that come one by one.

        `after` is the prompt that the text continues: a tokenizer that marks the begin of words drops the
        space before the very first one, which is right for an answer and wrong for a continuation.
        `visible` are special tokens that are part of the text, as they are written.
        """
        shown = frozenset(self.token_id(text) for text in visible) & self._special
        return DecodeStream(self._library, self._special, self._bytes_of, after, shown)


class DecodeStream:
    """Turns token ids into text, never cutting a character; O(1) in time and state for each token.

    The pieces together are `Tokenizer.decode` of all ids, special tokens skipped, wherever their bytes are
    UTF-8. Of byte tokens that are not, the library gives up the whole run, and the stream only the characters
    that are broken. A decoder that mixes ByteLevel with other steps cannot tell U+FFFD, written byte by byte,
    from broken bytes; others can.

    The library's own DecodeStream is not used: it raises where byte fallback takes text back, and holds and
    decodes again everything since the first broken byte until a whole character comes.
    """

    def __init__(
        self,
        library: tokenizers.Tokenizer,
        special: frozenset[int],
        bytes_of: BytesOf,
        after: TokenIds,
        visible: Collection[int | None] = (),
    ) -> None:
        self._library = library
        self._visible = visible
        self._special = special
        self._bytes_of = bytes_of
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        last = next((number for number in reversed(after) if number not in special), None)
        self._said = [] if last is None else [last]
        self._pending: list[int] = []

    def push(self, token_id: int) -> str:
        """The text that is complete with this token, maybe none."""
        token = self._library.id_to_token(token_id)
        if token is not None and token_id in self._visible:
            return self._release() + self._utf8.decode(b"", True) + token
        if token is None or token_id in self._special:
            return ""
        data = self._bytes_of(token)
        if data is None:
            return self._utf8.decode(b"", True) + self._decode(token_id)
        text = self._release()
        self._said = [token_id]
        return text + self._utf8.decode(data)

    def flush(self) -> str:
        """What was held back at the end; an incomplete character becomes U+FFFD."""
        return self._release() + self._utf8.decode(b"", True)

    def _decode(self, token_id: int) -> str:
        self._pending.append(token_id)
        if len(self._pending) < LONGEST_CHARACTER and self._window().endswith(UNDECODABLE):
            return ""
        return self._release()

    def _release(self) -> str:
        text = self._window()
        if self._pending:
            self._said, self._pending = self._pending, []
        return text

    def _window(self) -> str:
        """The text of the pending tokens as it stands behind what was said last."""
        if not self._pending:
            return ""
        before = self._library.decode(self._said)
        return self._library.decode(self._said + self._pending)[len(before) :]


def _bytes_of(decoder: Any) -> BytesOf:
    kinds = _kinds(json.loads(decoder.__getstate__())) if decoder is not None else []
    if "ByteLevel" in kinds and set(kinds) <= {"ByteLevel", "Fuse"}:
        return _byte_level
    return _byte_fallback if "ByteFallback" in kinds else _none


def _kinds(decoder: dict[str, Any]) -> list[str]:
    """The types of the steps of a decoder as `tokenizer.json` writes it."""
    if decoder["type"] == "Sequence":
        return [kind for step in decoder["decoders"] for kind in _kinds(step)]
    return [str(decoder["type"])]


def _byte_alphabet() -> dict[str, int]:
    """How byte-level BPE writes bytes: as the printable character of that number, the others from 256 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(others)}


BYTE_ALPHABET = _byte_alphabet()


def _byte_level(token: str) -> bytes:
    try:
        return bytes([BYTE_ALPHABET[character] for character in token])
    except KeyError:
        return token.encode()


def _byte_fallback(token: str) -> bytes | None:
    match = BYTE_TOKEN.fullmatch(token)
    return bytes.fromhex(match[1]) if match else None


def _none(_token: str) -> None:
    return None

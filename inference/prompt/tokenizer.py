"""Text to token ids and back, whole or as a stream, by `tokenizer.json` and the files beside it.

The tokenizers package is imported when a tokenizer is opened, not before.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from inference.cards.card import Deployment
from inference.contracts import TokenIds
from inference.prompt.prompt_encoding import PromptEncoder
from inference.prompt.text_pairs import PairTemplate
from inference.prompt.token_ids import UsableIds
from inference.prompt.token_renumbering import FILLER
from inference.prompt.tokenizer_files import TokenizerFiles, open_library

if TYPE_CHECKING:
    import tokenizers

BytesOf: TypeAlias = Callable[[str], bytes | None]
"""Looks up the bytes of a token's text; None where only the tokenizer's own decoder knows them."""

UNDECODABLE = "\N{REPLACEMENT CHARACTER}"
SOON_COUNTED = 20_000
"""Characters that are tokenised within some 30 ms."""
MAX_CHARACTER_BYTES = 4
"""Bytes of one character in UTF-8, and so the most tokens of one."""
BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")


class Tokenizer:
    """A model's tokenizer. Every method may be called from any thread."""

    def __init__(self, library: tokenizers.Tokenizer) -> None:
        self._library = library
        self._rows: int | None = None
        added = library.get_added_tokens_decoder()
        self._special = frozenset(number for number, token in added.items() if token.special)
        self._bytes_of = _bytes_of(library.decoder)
        self._prompts = PromptEncoder(library)

    @classmethod
    def open(cls, path: Path) -> Tokenizer:
        """Return the tokenizer of a `tokenizer.json`, completed by the files in its folder.

        It has no padding and no truncation, whatever the file says. Raises `CardError` naming the file that
        cannot be read.
        """
        return cls(open_library(path, TokenizerFiles.beside(path)))

    @classmethod
    def of(cls, deployment: Deployment) -> Tokenizer:
        """Return the tokenizer of a deployment. Raises `CardError` naming the file that cannot be read."""
        path = deployment.file("tokenizer", "tokenizer.json")
        return cls(open_library(path, TokenizerFiles.of(deployment)))

    def with_rows(self, rows: int) -> Tokenizer:
        """Return this tokenizer for a model whose tables have so many rows: other ids cannot be used."""
        bounded = copy(self)
        bounded._rows = rows
        bounded.__dict__.pop("usable", None)
        return bounded

    @cached_property
    def _vocabulary(self) -> Mapping[str, int]:
        vocabulary = self._library.get_vocab(with_added_tokens=True)
        return {text: one for text, one in vocabulary.items() if not text.startswith(FILLER[0])}

    @cached_property
    def usable(self) -> UsableIds:
        """The ids of all tokens, the added ones included, that have a row in the model's tables."""
        ids = UsableIds.of(self._vocabulary.values())
        return ids if self._rows is None else ids.below(self._rows)

    @property
    def vocabulary_size(self) -> int:
        """One more than the highest id that can be used: the number of tokens, where the ids have no gaps."""
        return self.usable.end

    def words_without_row(self, rows: int) -> Sequence[str]:
        """Return the tokens of plain text, none of them an added one, whose ids are not below `rows`."""
        added = self._library.get_added_tokens_decoder()
        found = {one: text for text, one in self._vocabulary.items() if one >= rows and one not in added}
        return [found[one] for one in sorted(found)]

    @cached_property
    def _longest_token(self) -> int:
        """Characters of the longest token."""
        return max(map(len, self._vocabulary), default=1)

    def most_characters(self, context: int) -> int:
        """Return the characters of a text that may have `context` tokens; a longer one need not be tokenised.

        A short text may have more, as its tokens are soon counted.
        """
        return max(context * self._longest_token, SOON_COUNTED)

    @property
    def special_tokens(self) -> frozenset[int]:
        """The ids of the tokens that are no text: CLS, SEP, padding."""
        return self._special

    @cached_property
    def pair_template(self) -> PairTemplate:
        """The way in which two texts become one input."""
        return PairTemplate.of(self._library)

    @property
    def json(self) -> str:
        """The tokenizer as a `tokenizer.json`, without padding and truncation."""
        return self._library.to_str()

    @property
    def knows_token_bytes(self) -> bool:
        """True if the bytes of every token are known, as constrained decoding needs them."""
        return self._bytes_of is not _unknown

    def token_id(self, text: str) -> int | None:
        """Return the id of the token with exactly this text, None where there is none."""
        return self._library.token_to_id(text)

    def token_text(self, token_id: int) -> str | None:
        """Return the text of a token as the vocabulary writes it, None where no token has the id."""
        text = self._library.id_to_token(token_id)
        return None if text is None or text.startswith(FILLER[0]) else text

    def encode(self, text: str, *, special: bool) -> list[int]:
        """Return the ids of a text; `special` adds the tokens the model expects around one, BOS or CLS."""
        return self.encode_batch([text], special=special)[0]

    def encode_prompt(self, text: str) -> list[int]:
        """Return the ids of a prompt that has its special tokens; those of a long start are remembered."""
        return self._prompts.encode(text)

    def prompt_length(self, prompt: str) -> int:
        """Return the number of tokens that a prompt takes up at the start of an input, CLS included.

        They are counted as in sentence-transformers: a special token at the prompt's own end is left out.
        """
        ids = self.encode(prompt, special=True)
        return len(ids) - (1 if ids and ids[-1] in self._special else 0)

    def encode_batch(self, texts: Sequence[str], *, special: bool) -> list[list[int]]:
        """Return the ids of each text, encoded in parallel; only the batch call lets other threads run."""
        encoded = self._library.encode_batch(list(texts), add_special_tokens=special)
        return [encoding.ids for encoding in encoded]

    def decode(self, ids: TokenIds, *, special: bool = False) -> str:
        """Return the text of ids; `special` keeps the special tokens in it."""
        # Only the batch call lets other threads run meanwhile.
        return self._library.decode_batch([list(ids)], skip_special_tokens=not special)[0]

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes of a token in the middle of a text: UTF-8, or part of a character's UTF-8."""
        token = self._library.id_to_token(token_id)
        if token is None:
            return b""
        if token_id not in self._special and (data := self._bytes_of(token)) is not None:
            return data
        # A decoder may drop the space before the first token of a text, so this one is not the first.
        before = self._library.decode([token_id], skip_special_tokens=False)
        both = self._library.decode([token_id, token_id], skip_special_tokens=False)
        return both[len(before) :].encode()

    def decode_stream(self, *, after: TokenIds = (), visible: Collection[str] = ()) -> DecodeStream:
        """Return a decoder of ids that come one by one.

        `after` is the prompt that the text continues: a tokenizer that marks the start of words drops the
        space before the very first one, which is right for an answer and wrong for a continuation.
        `visible` are the special tokens that belong to the text.
        """
        visible_ids = frozenset(self.token_id(text) for text in visible) & self._special
        return DecodeStream(self._library, self._special, self._bytes_of, after, visible_ids)


class DecodeStream:
    """An incremental decoder that never splits a character; O(1) in time and state for each token.

    The pieces together are `Tokenizer.decode` of all ids, special tokens skipped, wherever their bytes are
    UTF-8. Of byte tokens that are not, the library replaces the whole run, and the stream only the broken
    characters. A decoder that mixes ByteLevel with other steps cannot distinguish U+FFFD, written byte by
    byte, from broken bytes; others can.

    The library's own DecodeStream is not used: it raises where byte fallback retracts text, and it keeps and
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
        self._context = [] if last is None else [last]
        """The ids decoded last, on which the text of the next ones can depend."""
        self._pending: list[int] = []

    def push(self, token_id: int) -> str:
        """Return the text that is complete with this token, maybe none."""
        token = self._library.id_to_token(token_id)
        if token is not None and token_id in self._visible:
            return self._release() + self._utf8.decode(b"", True) + token
        if token is None or token_id in self._special:
            return ""
        data = self._bytes_of(token)
        if data is None:
            return self._utf8.decode(b"", True) + self._decode(token_id)
        text = self._release()
        self._context = [token_id]
        return text + self._utf8.decode(data)

    def flush(self) -> str:
        """Return the text still pending, at the end; an incomplete character becomes U+FFFD."""
        return self._release() + self._utf8.decode(b"", True)

    def _decode(self, token_id: int) -> str:
        self._pending.append(token_id)
        if len(self._pending) < MAX_CHARACTER_BYTES and self._window().endswith(UNDECODABLE):
            return ""
        return self._release()

    def _release(self) -> str:
        text = self._window()
        if self._pending:
            self._context, self._pending = self._pending, []
        return text

    def _window(self) -> str:
        """Return the text of the pending tokens in the context of those decoded last."""
        if not self._pending:
            return ""
        before = self._library.decode(self._context)
        return self._library.decode(self._context + self._pending)[len(before) :]


def _bytes_of(decoder: Any) -> BytesOf:
    steps = _decoder_steps(json.loads(decoder.__getstate__())) if decoder is not None else []
    if "ByteLevel" in steps and set(steps) <= {"ByteLevel", "Fuse"}:
        return _byte_level
    return _byte_fallback if "ByteFallback" in steps else _unknown


def _decoder_steps(decoder: dict[str, Any]) -> list[str]:
    """Return the types of a decoder's steps, from its part of a `tokenizer.json`."""
    if decoder["type"] == "Sequence":
        return [step for part in decoder["decoders"] for step in _decoder_steps(part)]
    return [str(decoder["type"])]


def _byte_alphabet() -> dict[str, int]:
    """Return the byte of each character of byte-level BPE: itself where printable, else U+0100 and on."""
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


def _unknown(_token: str) -> None:
    return None

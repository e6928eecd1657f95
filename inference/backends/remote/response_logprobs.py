"""Log probabilities in an endpoint's response: a list of records for chats, parallel lists for completions.

Both forms are OpenAI's. The form is recognised by its keys, because compatible servers mix the two.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from inference.contracts import ScoredToken, TokenLogprob

PARTIAL_CHARACTER = re.compile(r"bytes:((?:\\x[0-9a-f]{2})+)", re.IGNORECASE)
"""The form, in completions, of a token that is part of a character."""

Byte: TypeAlias = Annotated[int, Field(ge=0, le=255)]


class UnreadableLogprobs(ValueError):
    """Log probabilities of an unknown form."""


class _Logprobs(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False)


class _Record(_Logprobs):
    token: str
    logprob: float
    bytes: list[Byte] | None = None


class _TokenRecord(_Record):
    top_logprobs: list[_Record] | None = None


class _ChatLogprobs(_Logprobs):
    content: list[_TokenRecord] | None = None
    refusal: list[_TokenRecord] | None = None


class _CompletionLogprobs(_Logprobs):
    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float | None] | None] | None = None
    text_offset: list[int] | None = None

    @model_validator(mode="after")
    def _require_equal_lengths(self) -> _CompletionLogprobs:
        lists = (self.token_logprobs, self.top_logprobs, self.text_offset)
        if any(one is not None and len(one) != len(self.tokens) for one in lists):
            raise ValueError("the lists are not of one length")
        return self


class LogprobsReader:
    """The log probabilities of one choice, read one body after another."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._offset = 0

    def read(self, logprobs: Any) -> tuple[ScoredToken, ...]:
        """Return the tokens of one body. Raises `UnreadableLogprobs`."""
        try:
            if isinstance(logprobs, dict) and "tokens" in logprobs:
                return tuple(self._read_completion(_CompletionLogprobs.model_validate(logprobs)))
            return tuple(self._read_chat(_ChatLogprobs.model_validate(logprobs)))
        except ValidationError as error:
            raise UnreadableLogprobs(str(error)) from None

    def _read_chat(self, logprobs: _ChatLogprobs) -> Iterator[ScoredToken]:
        for record in (*(logprobs.content or ()), *(logprobs.refusal or ())):
            top = tuple(_from_record(other) for other in record.top_logprobs or ())
            yield self._scored(_from_record(record), top, None)

    def _read_completion(self, logprobs: _CompletionLogprobs) -> Iterator[ScoredToken]:
        absent = [None] * len(logprobs.tokens)
        tops, offsets = logprobs.top_logprobs or absent, logprobs.text_offset or absent
        rows = zip(logprobs.tokens, logprobs.token_logprobs, tops, offsets, strict=True)
        for text, logprob, top, offset in rows:
            others = tuple(_from_text(other, value) for other, value in (top or {}).items())
            yield self._scored(_from_text(text, logprob), others, offset)

    def _scored(self, token: TokenLogprob, top: tuple[TokenLogprob, ...], offset: int | None) -> ScoredToken:
        """Return a token at the endpoint's offset, else at the number of characters read so far."""
        scored = ScoredToken(token, top, self._offset if offset is None else offset)
        self._offset += len(self._decoder.decode(token.data))
        return scored


def _from_record(record: _Record) -> TokenLogprob:
    data = record.token.encode("utf-8", "replace") if record.bytes is None else bytes(record.bytes)
    return TokenLogprob(record.token, data, record.logprob)


def _from_text(text: str, logprob: float | None) -> TokenLogprob:
    partial = PARTIAL_CHARACTER.fullmatch(text)
    if partial is None:
        return TokenLogprob(text, text.encode("utf-8", "replace"), logprob)
    data = bytes.fromhex(partial[1].replace("\\x", ""))
    return TokenLogprob(data.decode("utf-8", "replace"), data, logprob)

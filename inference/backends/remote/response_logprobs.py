"""Log probabilities as an endpoint tells them: a list of records for chats, lists side by side for texts.

Both shapes are OpenAI's. Which one is read shows in itself: servers that call themselves compatible mix them.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from inference.contracts import ScoredToken, TokenLogprob

PARTIAL = re.compile(r"bytes:((?:\\x[0-9a-f]{2})+)", re.IGNORECASE)
"""How a text's token is written that is part of a character."""

Byte: TypeAlias = Annotated[int, Field(ge=0, le=255)]


class UnreadableLogprobs(ValueError):
    """What was told are no log probabilities."""


class _Told(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False)


class _Record(_Told):
    token: str
    logprob: float
    bytes: list[Byte] | None = None


class _Token(_Record):
    top_logprobs: list[_Record] | None = None


class _Records(_Told):
    content: list[_Token] | None = None
    refusal: list[_Token] | None = None


class _Lists(_Told):
    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float | None] | None] | None = None
    text_offset: list[int] | None = None

    @model_validator(mode="after")
    def _agree(self) -> _Lists:
        lists = (self.token_logprobs, self.top_logprobs, self.text_offset)
        if any(one is not None and len(one) != len(self.tokens) for one in lists):
            raise ValueError("the lists are not of one length")
        return self


class LogprobsReader:
    """Those of one choice, piece after piece."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._offset = 0

    def read(self, told: Any) -> tuple[ScoredToken, ...]:
        """The tokens of a piece. Raises `UnreadableLogprobs`."""
        try:
            if isinstance(told, dict) and "tokens" in told:
                return tuple(self._lists(_Lists.model_validate(told)))
            return tuple(self._records(_Records.model_validate(told)))
        except ValidationError as error:
            raise UnreadableLogprobs(str(error)) from None

    def _records(self, told: _Records) -> Iterator[ScoredToken]:
        for one in (*(told.content or ()), *(told.refusal or ())):
            top = tuple(_of_record(other) for other in one.top_logprobs or ())
            yield self._scored(_of_record(one), top, None)

    def _lists(self, told: _Lists) -> Iterator[ScoredToken]:
        nothing = [None] * len(told.tokens)
        tops, offsets = told.top_logprobs or nothing, told.text_offset or nothing
        for text, value, top, offset in zip(told.tokens, told.token_logprobs, tops, offsets, strict=True):
            others = tuple(_spelled(other, its) for other, its in (top or {}).items())
            yield self._scored(_spelled(text, value), others, offset)

    def _scored(self, token: TokenLogprob, top: tuple[TokenLogprob, ...], offset: int | None) -> ScoredToken:
        """An endpoint that tells no offset has its characters counted here."""
        scored = ScoredToken(token, top, self._offset if offset is None else offset)
        self._offset += len(self._decoder.decode(token.data))
        return scored


def _of_record(one: _Record) -> TokenLogprob:
    data = one.token.encode("utf-8", "replace") if one.bytes is None else bytes(one.bytes)
    return TokenLogprob(one.token, data, one.logprob)


def _spelled(text: str, logprob: float | None) -> TokenLogprob:
    partial = PARTIAL.fullmatch(text)
    if partial is None:
        return TokenLogprob(text, text.encode("utf-8", "replace"), logprob)
    data = bytes.fromhex(partial[1].replace("\\x", ""))
    return TokenLogprob(data.decode("utf-8", "replace"), data, logprob)

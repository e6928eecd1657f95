"""Log probabilities as OpenAI's API writes them: a list of records for chats, lists side by side for text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from inference.contracts import ScoredToken, TokenLogprob


def chat_logprobs(scores: Sequence[ScoredToken]) -> dict[str, Any]:
    """Return `choices[].logprobs` of `/chat/completions`."""
    content = [
        {**_record(score.token), "top_logprobs": [_record(other) for other in score.top]} for score in scores
    ]
    return {"content": content, "refusal": None}


def text_logprobs(scores: Sequence[ScoredToken]) -> dict[str, Any]:
    """Return `choices[].logprobs` of `/completions`; the token itself is among its alternatives."""
    return {
        "tokens": [_written(score.token) for score in scores],
        "token_logprobs": [score.token.logprob for score in scores],
        "top_logprobs": [_side_by_side(score) for score in scores],
        "text_offset": [score.offset for score in scores],
    }


def _record(one: TokenLogprob) -> dict[str, Any]:
    return {"token": one.text, "logprob": one.logprob, "bytes": list(one.data)}


def _side_by_side(score: ScoredToken) -> dict[str, float | None] | None:
    """Return a token's alternatives; None for the first token of a prompt, which has no distribution."""
    if score.token.logprob is None:
        return None
    return {_written(one): one.logprob for one in (*score.top, score.token)}


def _written(one: TokenLogprob) -> str:
    """Return a token's text; parts of a character, which would look alike, as `bytes:` and their numbers."""
    if one.text.encode() == one.data:
        return one.text
    return "bytes:" + "".join(f"\\x{byte:02x}" for byte in one.data)

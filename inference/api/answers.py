"""The bodies of answers of `/chat/completions` and `/completions`, whole and in chunks.

A chunk's shape was measured against the official clients: every chunk has `choices`, the first delta of a
choice has the role and no later one does, every delta has `content`, and natively the last chunk carries the
finish reason and the usage together.
"""

from __future__ import annotations

import secrets
import string
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

from inference.contracts import (
    ApiStyle,
    CompletedChoice,
    Event,
    FilterResult,
    Finish,
    FinishReason,
    Reasoning,
    ScoredToken,
    Text,
    TokenLogprob,
    ToolCallArguments,
    ToolCallStart,
    Usage,
)

ALPHABET = string.ascii_letters + string.digits


def usage_body(usage: Usage) -> dict[str, Any]:
    """Return `usage` as the wire has it."""
    body: dict[str, Any] = {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
    }
    if usage.cached_tokens:
        body["prompt_tokens_details"] = {"cached_tokens": usage.cached_tokens}
    if usage.reasoning_tokens is not None:
        body["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning_tokens}
    return body


def usage_of(choices: Sequence[Usage], n: int) -> Usage:
    """Return the usage of a request, in which a prompt with `n` answers counts once."""
    total = sum(choices, Usage())
    prompts = sum(usage.prompt_tokens for usage in choices[::n])
    cached = sum(usage.cached_tokens for usage in choices[::n])
    return replace(total, prompt_tokens=prompts, cached_tokens=cached)


def new_id(style: ApiStyle, prefix: str) -> str:
    """Return 32 hex digits natively, the prefix and 29 letters and digits under the OpenAI paths."""
    if style is ApiStyle.NATIVE:
        return uuid4().hex
    return prefix + "".join(secrets.choice(ALPHABET) for _ in range(29))


@dataclass(frozen=True, slots=True)
class AnswerHead:
    """The fields that every chunk of an answer repeats."""

    id: str
    model: str
    created: int = field(default_factory=lambda: int(time.time()))

    def body(self, kind: str, **rest: Any) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model, **rest}


class ChatRenderer:
    """Bodies of `/chat/completions`; `scored` if they have log probabilities."""

    prefix = "chatcmpl-"

    def __init__(self, *, scored: bool = False) -> None:
        self._scored = scored

    def whole(self, head: AnswerHead, choices: Sequence[CompletedChoice], usage: Usage) -> dict[str, Any]:
        listed = [
            {
                "index": index,
                "message": _message(choice),
                "finish_reason": choice.reason,
                "logprobs": chat_logprobs(choice.scores) if self._scored else None,
                **_results(choice.filter_results),
            }
            for index, choice in enumerate(choices)
        ]
        return head.body("chat.completion", choices=listed, usage=usage_body(usage))

    def first(self, head: AnswerHead, index: int) -> dict[str, Any] | None:
        return self._chunk(head, index, {"role": "assistant", "content": ""})

    def chunk(self, head: AnswerHead, index: int, event: Event) -> dict[str, Any] | None:
        """Return the chunk of an event; None for events that are not shown."""
        delta = _delta(event)
        if delta is None:
            return None
        reason = event.reason if isinstance(event, Finish) else None
        scores = event.scores if isinstance(event, Text) and self._scored else ()
        return self._chunk(head, index, delta, reason, scores)

    def beat(self, head: AnswerHead) -> dict[str, Any]:
        """Return an empty chunk, since an SSE comment would break the Azure client."""
        return self._chunk(head, 0, {"content": ""})

    def notes(self, head: AnswerHead, notes: Mapping[str, Any]) -> dict[str, Any]:
        """Return a chunk about the request, before any choice."""
        return head.body("chat.completion.chunk", choices=[], **notes)

    def usage(self, head: AnswerHead, usage: Usage) -> dict[str, Any]:
        return head.body("chat.completion.chunk", choices=[], usage=usage_body(usage))

    def _chunk(
        self,
        head: AnswerHead,
        index: int,
        delta: Mapping[str, Any],
        reason: FinishReason | None = None,
        scores: Sequence[ScoredToken] = (),
    ) -> dict[str, Any]:
        logprobs = chat_logprobs(scores) if scores else None
        choice = {"index": index, "delta": delta, "finish_reason": reason, "logprobs": logprobs}
        return head.body("chat.completion.chunk", choices=[choice])


class CompletionRenderer:
    """Bodies of `/completions`: chunks have the shape of whole answers; `scored` as in `ChatRenderer`."""

    prefix = "cmpl-"

    def __init__(self, *, scored: bool = False) -> None:
        self._scored = scored

    def whole(self, head: AnswerHead, choices: Sequence[CompletedChoice], usage: Usage) -> dict[str, Any]:
        listed = [
            _text(
                index,
                choice.text or "",
                choice.reason,
                text_logprobs(choice.scores) if self._scored else None,
            )
            | _results(choice.filter_results)
            for index, choice in enumerate(choices)
        ]
        return head.body("text_completion", choices=listed, usage=usage_body(usage))

    def first(self, head: AnswerHead, index: int) -> dict[str, Any] | None:  # noqa: ARG002 - chat has one
        return None

    def chunk(self, head: AnswerHead, index: int, event: Event) -> dict[str, Any] | None:
        if isinstance(event, Text):
            logprobs = self._logprobs(event.scores) if event.scores else None
            return head.body("text_completion", choices=[_text(index, event.text, None, logprobs)])
        if isinstance(event, Finish):
            return head.body("text_completion", choices=[_text(index, "", event.reason)])
        return None

    def _logprobs(self, scores: Sequence[ScoredToken]) -> dict[str, Any] | None:
        return text_logprobs(scores) if self._scored else None

    def beat(self, head: AnswerHead) -> dict[str, Any]:
        return head.body("text_completion", choices=[_text(0, "", None)])

    def notes(self, head: AnswerHead, notes: Mapping[str, Any]) -> dict[str, Any]:
        return head.body("text_completion", choices=[], **notes)

    def usage(self, head: AnswerHead, usage: Usage) -> dict[str, Any]:
        return head.body("text_completion", choices=[], usage=usage_body(usage))


Renderer = ChatRenderer | CompletionRenderer


def annotated(chunk: dict[str, Any], result: FilterResult | None) -> dict[str, Any]:
    """Return a choice's chunk with the content filter's result, if there is one."""
    if result is None:
        return chunk
    offsets = {} if result.offsets is None else {"content_filter_offsets": result.offsets}
    (choice,) = chunk["choices"]
    return {**chunk, "choices": [{**choice, **_results(result.results), **offsets}]}


def _results(results: Mapping[str, Any] | None) -> dict[str, Any]:
    return {} if results is None else {"content_filter_results": results}


def _text(
    index: int, text: str, reason: FinishReason | None, logprobs: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    return {"index": index, "text": text, "finish_reason": reason, "logprobs": logprobs}


def _message(choice: CompletedChoice) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": choice.text or ""}
    if choice.reasoning is not None:
        message["reasoning_content"] = choice.reasoning
    if choice.tool_calls:
        message["content"] = choice.text or None
        message["tool_calls"] = [
            {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}}
            for c in choice.tool_calls
        ]
    return message


def _delta(event: Event) -> dict[str, Any] | None:
    match event:
        case Text(text):
            return {"content": text}
        case Reasoning(text):
            return {"content": "", "reasoning_content": text}
        case ToolCallStart(index, call_id, name):
            call = {
                "index": index,
                "id": call_id,
                "type": "function",
                "function": {"name": name, "arguments": ""},
            }
            return {"content": "", "tool_calls": [call]}
        case ToolCallArguments(index, arguments):
            return {
                "content": "",
                "tool_calls": [{"index": index, "function": {"arguments": arguments}}],
            }
        case Finish():
            return {"content": ""}
        case _:
            return None


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

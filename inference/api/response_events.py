"""The semantic events of a response: what a stream sends, and what a whole answer is the fold of.

Items come one after another, each opened by `output_item.added` and closed by `output_item.done`; only calls
may overlap, where an endpoint writes them side by side.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson

from inference.api.response_objects import error_payload, response_usage
from inference.api.response_outputs import OpenCall, OpenMessage, OpenReasoning, OpenRefusal, Seal
from inference.contracts import (
    Event,
    FilterResult,
    Finish,
    FinishReason,
    Reasoning,
    Text,
    ToolCallArguments,
    ToolCallStart,
)
from inference.errors import ApiError, GenerationFailed

ResponseEvent = dict[str, Any]
INCOMPLETE = {FinishReason.LENGTH: "max_output_tokens", FinishReason.CONTENT_FILTER: "content_filter"}


class ResponseBuilder:
    """The response of one answer, and its events as they come.

    `base` is the response at its start, `new_id` names an item of a type, and `seal` makes the sealed form of
    reasoning where the caller wants one.
    """

    def __init__(
        self,
        base: Mapping[str, Any],
        new_id: Callable[[str], str],
        *,
        scored: bool = False,
        seal: Seal | None = None,
    ) -> None:
        self.response: dict[str, Any] = dict(base)
        self.finish: Finish | None = None
        self.verdicts: list[FilterResult] = []
        self._new_id = new_id
        self._scored = scored
        self._seal = seal
        self._number = 0
        self._output: list[dict[str, Any]] = []
        """The items, the open ones as they began."""
        self._text: OpenMessage | OpenRefusal | OpenReasoning | None = None
        self._calls: dict[int, OpenCall] = {}

    def opening(self) -> Iterator[ResponseEvent]:
        """Yield the first events."""
        for kind in ("response.created", "response.in_progress"):
            yield self._event(kind, response=dict(self.response))

    @property
    def characters(self) -> int:
        """The characters of the answer's text so far."""
        parts = [part for item in self._output for part in item.get("content") or ()]
        return sum(len(part["text"]) for part in parts if part["type"] == "output_text")

    def add(self, event: Event) -> Iterator[ResponseEvent]:
        """Yield the events of the next piece of the answer."""
        match event:
            case Text(text, refusal=True):
                yield from self._add_text(OpenRefusal)
                assert isinstance(self._text, OpenRefusal)
                yield from self._numbered(self._text.add(text))
            case Text(text, scores):
                if text or self._text is not None:
                    yield from self._add_text(OpenMessage)
                    assert isinstance(self._text, OpenMessage)
                    yield from self._numbered(self._text.add(text, scores if self._scored else ()))
            case Reasoning(text):
                yield from self._add_text(OpenReasoning)
                assert isinstance(self._text, OpenReasoning)
                yield from self._numbered(self._text.add(text))
            case ToolCallStart(index, call_id, name):
                yield from self._close_text("completed")
                yield from self._close_calls("completed", whole=True)
                item = OpenCall(self._new_id("function_call"), len(self._output), call_id, name)
                yield from self._numbered(item.begin())
                self._output.append(item.item)
                self._calls[index] = item
            case ToolCallArguments(index, piece):
                yield from self._numbered(self._calls[index].add(piece))
            case FilterResult():
                self.verdicts.append(event)
            case Finish():
                self.finish = event

    def close(self) -> Iterator[ResponseEvent]:
        """Yield the ends of the items that are open, and complete the response.

        Raises `GenerationFailed` for an answer without a finish reason.
        """
        if self.finish is None:
            raise GenerationFailed("The model's answer ended without a finish reason.")
        reason = INCOMPLETE.get(self.finish.reason)
        if not self._output and reason is None:
            yield from self._add_text(OpenMessage)
        status = "incomplete" if reason else "completed"
        yield from self._close_text(status)
        yield from self._close_calls(status, whole=False)
        self.response |= {
            "status": status,
            "incomplete_details": {"reason": reason} if reason else None,
            "completed_at": None if reason else int(time.time()),
            "output": self._output,
            "usage": response_usage(self.finish.usage),
        }

    def end(self) -> ResponseEvent:
        """Return the last event of a response that is closed."""
        return self._event(f"response.{self.response['status']}", response=dict(self.response))

    def failed(self, error: ApiError) -> Iterator[ResponseEvent]:
        """Yield the events of a failure, whose shape both of the protocol's readers know."""
        found = error_payload(error)
        yield self._event("error", **found, error={"type": "server_error", **found})
        failure = {"code": found["code"], "message": found["message"]}
        items = [item for item in self._output if item.get("status") != "in_progress"]
        self.response |= {"status": "failed", "error": failure, "output": items}
        yield self._event("response.failed", response=dict(self.response))

    def _add_text(self, kind: type[OpenMessage | OpenRefusal | OpenReasoning]) -> Iterator[ResponseEvent]:
        """Yield the beginning of an item of text, unless one of the kind is open."""
        if type(self._text) is kind:
            return
        yield from self._close_text("completed")
        yield from self._close_calls("completed", whole=True)
        name = "reasoning" if kind is OpenReasoning else "message"
        self._text = kind(self._new_id(name), len(self._output))
        self._output.append(self._text.item)
        yield from self._numbered(self._text.begin())

    def _close_text(self, status: str) -> Iterator[ResponseEvent]:
        if self._text is not None:
            seal = self._seal if isinstance(self._text, OpenReasoning) else None
            yield from self._numbered(self._text.end(status, seal))
            self._output[self._text.index] = self._text.item
            self._text = None

    def _close_calls(self, status: str, *, whole: bool) -> Iterator[ResponseEvent]:
        """Yield the ends of the open calls; with `whole` of those alone whose arguments are complete."""
        for number, call in list(self._calls.items()):
            if not call.open or (whole and not _is_json(call.arguments)):
                continue
            last = call.index == len(self._output) - 1
            yield from self._numbered(call.end(status if last else "completed"))
            self._output[call.index] = self._calls[number].item

    def _numbered(self, events: Iterator[ResponseEvent]) -> Iterator[ResponseEvent]:
        for event in events:
            event["sequence_number"] = self._number
            self._number += 1
            yield event

    def _event(self, kind: str, **fields: Any) -> ResponseEvent:
        event = {"type": kind, "sequence_number": self._number, **fields}
        self._number += 1
        return event


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True

"""The output items of a response while they are written: each yields the events of its life."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from inference.api.response_objects import response_logprobs
from inference.contracts import ScoredToken

Seal: TypeAlias = Callable[[str], str]
"""Returns reasoning in a form that only this endpoint opens."""
Fields: TypeAlias = dict[str, Any]


class OpenItem:
    """An item that is being written."""

    def __init__(self, item: Fields, index: int) -> None:
        self.item = item
        self.index = index
        """Its number in the output."""
        self._pieces: list[str] = []

    @property
    def place(self) -> Fields:
        """The keys by which an event names the item."""
        return {"item_id": self.item["id"], "output_index": self.index}

    def _item_event(self, kind: str) -> Fields:
        return {"type": f"response.output_item.{kind}", "output_index": self.index, "item": self.item}


class OpenText(OpenItem):
    """An item with one part of text."""

    def begin(self) -> Iterator[Fields]:
        yield self._item_event("added")
        yield {"type": "response.content_part.added", **self._at(), "part": self._part("", ())}

    def _at(self) -> Fields:
        return {**self.place, "content_index": 0}

    def _part(self, text: str, scores: tuple[ScoredToken, ...]) -> Fields:
        raise NotImplementedError


class OpenMessage(OpenText):
    """The text of the answer."""

    def __init__(self, item_id: str, index: int) -> None:
        head = {"id": item_id, "type": "message", "status": "in_progress"}
        super().__init__({**head, "role": "assistant", "content": []}, index)
        self._scores: list[ScoredToken] = []

    def add(self, text: str, scores: tuple[ScoredToken, ...]) -> Iterator[Fields]:
        self._pieces.append(text)
        self._scores += scores
        yield {
            "type": "response.output_text.delta",
            **self._at(),
            "delta": text,
            "logprobs": response_logprobs(scores),
        }

    def end(self, status: str, _: Seal | None = None) -> Iterator[Fields]:
        text, scores = "".join(self._pieces), tuple(self._scores)
        part = self._part(text, scores)
        done = {"text": text, "logprobs": part["logprobs"]}
        self.item = {**self.item, "status": status, "content": [part]}
        yield {"type": "response.output_text.done", **self._at(), **done}
        yield {"type": "response.content_part.done", **self._at(), "part": part}
        yield self._item_event("done")

    def _part(self, text: str, scores: tuple[ScoredToken, ...]) -> Fields:
        logprobs = response_logprobs(scores)
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}


class OpenRefusal(OpenText):
    """The words by which a model refuses, a message of its own."""

    def __init__(self, item_id: str, index: int) -> None:
        head = {"id": item_id, "type": "message", "status": "in_progress"}
        super().__init__({**head, "role": "assistant", "content": []}, index)

    def add(self, text: str) -> Iterator[Fields]:
        self._pieces.append(text)
        yield {"type": "response.refusal.delta", **self._at(), "delta": text}

    def end(self, status: str, _: Seal | None = None) -> Iterator[Fields]:
        text = "".join(self._pieces)
        part = self._part(text, ())
        self.item = {**self.item, "status": status, "content": [part]}
        yield {"type": "response.refusal.done", **self._at(), "refusal": text}
        yield {"type": "response.content_part.done", **self._at(), "part": part}
        yield self._item_event("done")

    def _part(self, text: str, _: tuple[ScoredToken, ...]) -> Fields:
        return {"type": "refusal", "refusal": text}


class OpenReasoning(OpenText):
    """The reasoning before the answer, as the model wrote it: it is no summary."""

    def __init__(self, item_id: str, index: int) -> None:
        item = {"id": item_id, "type": "reasoning", "status": "in_progress", "summary": [], "content": []}
        super().__init__(item, index)

    def add(self, text: str) -> Iterator[Fields]:
        self._pieces.append(text)
        yield {"type": "response.reasoning_text.delta", **self._at(), "delta": text}

    def end(self, status: str, seal: Seal | None = None) -> Iterator[Fields]:
        text = "".join(self._pieces)
        part = self._part(text, ())
        sealed = {} if seal is None else {"encrypted_content": seal(text)}
        self.item = {**self.item, "status": status, "content": [part], **sealed}
        yield {"type": "response.reasoning_text.done", **self._at(), "text": text}
        yield {"type": "response.content_part.done", **self._at(), "part": part}
        yield self._item_event("done")

    def _part(self, text: str, _: tuple[ScoredToken, ...]) -> Fields:
        return {"type": "reasoning_text", "text": text}


class OpenCall(OpenItem):
    """A call of one of the caller's functions."""

    def __init__(self, item_id: str, index: int, call_id: str, name: str) -> None:
        head = {"id": item_id, "type": "function_call", "status": "in_progress"}
        super().__init__({**head, "call_id": call_id, "name": name, "arguments": ""}, index)
        self.open = True

    @property
    def arguments(self) -> str:
        return "".join(self._pieces)

    def begin(self) -> Iterator[Fields]:
        yield self._item_event("added")

    def add(self, piece: str) -> Iterator[Fields]:
        self._pieces.append(piece)
        yield {"type": "response.function_call_arguments.delta", **self.place, "delta": piece}

    def end(self, status: str) -> Iterator[Fields]:
        self.open = False
        self.item = {**self.item, "status": status, "arguments": self.arguments}
        done = {"name": self.item["name"], "arguments": self.arguments}
        yield {"type": "response.function_call_arguments.done", **self.place, **done}
        yield self._item_event("done")

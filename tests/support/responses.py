"""Responses and their events, held to the open specification and to the grammar of a stream."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import jsonschema

from inference.settings import PROJECT

Fields = dict[str, Any]
DOCUMENT = PROJECT / "tests" / "golden" / "openresponses" / "schemas.json"
ENDS = ("response.completed", "response.incomplete", "response.failed")


@cache
def _document() -> Fields:
    document: Fields = json.loads(DOCUMENT.read_text())
    return document


@cache
def _event_names() -> Mapping[str, str]:
    """Return the schema of every type of event."""
    schemas = _document()["components"]["schemas"]
    named = {name: schema for name, schema in schemas.items() if name.endswith("StreamingEvent")}
    return {schema["properties"]["type"]["enum"][0]: name for name, schema in named.items()}


@cache
def _validator(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator({**_document(), "$ref": f"#/components/schemas/{name}"})


def check_response(response: Fields) -> None:
    """Assert that a response is one of the specification, whose document has no schema in `text.format`."""
    form = response["text"]["format"]
    shown = {**response, "text": {**response["text"], "format": {**form, "schema": None}}}
    _validator("ResponseResource").validate(shown if form["type"] == "json_schema" else response)


def check_event(event: Fields) -> None:
    """Assert that an event is one of the specification; reasoning has OpenAI's names."""
    kind = event["type"].replace("reasoning_text", "reasoning")
    if "response" in event:
        check_response(event["response"])
        event = {key: value for key, value in event.items() if key != "response"}
        assert event.keys() == {"type", "sequence_number"}
        assert kind in _event_names()
        return
    _validator(_event_names()[kind]).validate({**event, "type": kind})


def check_items(items: Sequence[Fields]) -> None:
    """Assert that items are those of the specification."""
    for item in items:
        _validator("ItemField").validate(item)


def events_of(stream: bytes) -> list[Fields]:
    """Return the events of a stream, comments aside; its form is asserted."""
    assert b"\r" not in stream
    *blocks, done, rest = stream.decode().split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    events = []
    for block in blocks:
        if block.startswith(":"):
            assert block == ": keep-alive"
            continue
        name, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        events.append(event)
    return events


def check_stream(events: Sequence[Fields]) -> Fields:
    """Return the response that a stream ends with; its events are held to the grammar and the schemas."""
    for event in events:
        check_event(event)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
    assert events[-1]["type"] in ENDS
    assert not [event for event in events[:-1] if event["type"] in ENDS]
    first, response = events[0]["response"], events[-1]["response"]
    assert (first["status"], first["output"], first["usage"]) == ("in_progress", [], None)
    assert events[-1]["type"] == f"response.{response['status']}"
    items = _Items()
    for event in events[2:-1]:
        items.take(event)
    if response["status"] != "failed":
        assert not items.open
        assert response["output"] == [items.done[index] for index in range(len(items.done))]
        assert {**first, **CHANGED} == {**response, **CHANGED}
    return response  # type: ignore[no-any-return]


CHANGED = dict.fromkeys(
    ("status", "output", "usage", "completed_at", "incomplete_details", "error", "content_filters")
)


def _text_of(part: Fields) -> str:
    return str(part["refusal"] if part["type"] == "refusal" else part["text"])


class _Items:
    """The items of a stream as a reader puts them together."""

    def __init__(self) -> None:
        self.open: dict[int, Fields] = {}
        self.done: dict[int, Fields] = {}
        self._texts: dict[int, str] = {}
        self._parts: dict[int, Fields] = {}

    def take(self, event: Fields) -> None:
        kind = event["type"]
        if kind == "error":
            return
        index = event["output_index"]
        if kind == "response.output_item.added":
            assert index == len(self.open) + len(self.done)
            assert event["item"]["status"] == "in_progress"
            self.open[index], self._texts[index] = event["item"], ""
            return
        item = self.open[index]
        if kind == "response.output_item.done":
            self._finish(index, item, event["item"])
            return
        assert event["item_id"] == item["id"]
        if item["type"] != "function_call":
            assert event["content_index"] == 0
        if kind == "response.content_part.added":
            assert _text_of(event["part"]) == ""
            self._parts[index] = event["part"]
        elif kind == "response.content_part.done":
            assert _text_of(event["part"]) == self._texts[index]
            self._parts[index] = event["part"]
        elif kind.endswith(".delta"):
            self._texts[index] += event["delta"]
        else:
            assert kind.endswith(".done")
            key = next((key for key in ("arguments", "refusal") if key in kind), "text")
            assert event[key] == self._texts[index]

    def _finish(self, index: int, began: Fields, item: Fields) -> None:
        assert (item["id"], item["type"]) == (began["id"], began["type"])
        assert item["status"] in ("completed", "incomplete")
        if item["type"] == "function_call":
            assert item["arguments"] == self._texts[index]
            assert (item["call_id"], item["name"]) == (began["call_id"], began["name"])
        else:
            assert item["content"] == [self._parts.pop(index)]
        self.done[index] = item
        del self.open[index]

"""Items of a conversation in one form, whichever way clients send them: as they are kept and listed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from inference.response_store.ids import item_id

Item: TypeAlias = Mapping[str, Any]
PREFIXES = {"message": "msg", "function_call": "fc", "function_call_output": "fco", "reasoning": "rs"}


class ItemIds:
    """The ids of the items of one response, counted through its input and its output."""

    def __init__(self, response_id: str) -> None:
        self._response_id = response_id
        self._count = 0

    def new(self, kind: str) -> str:
        """Return the id of a new item of a type."""
        self._count += 1
        return item_id(PREFIXES[kind], self._response_id, self._count)


def complete_items(value: str | Sequence[Item], ids: ItemIds) -> list[Item]:
    """Return the input of a request as items with types, ids, status and lists of parts.

    References are left as they are: the items they stand for are complete already.
    """
    if isinstance(value, str):
        value = [{"role": "user", "content": value}]
    return [_complete(item, ids) for item in value]


def _complete(item: Item, ids: ItemIds) -> Item:
    kind = item.get("type") or ("message" if "role" in item or "content" in item else "item_reference")
    if kind == "item_reference":
        return {"type": kind, "id": item["id"]}
    head = {"type": kind, "id": item.get("id") or ids.new(kind)}
    match kind:
        case "message":
            parts = _parts(item["content"], "output_text" if item["role"] == "assistant" else "input_text")
            phase = {"phase": item["phase"]} if item.get("phase") else {}
            return {**head, "status": "completed", "role": item["role"], "content": parts, **phase}
        case "function_call":
            kept = {key: item[key] for key in ("call_id", "name", "arguments")}
            return {**head, "status": "completed", **kept}
        case "function_call_output":
            output = item["output"]
            output = output if isinstance(output, str) else _parts(output, "input_text")
            return {**head, "status": "completed", "call_id": item["call_id"], "output": output}
    kept = {key: item[key] for key in ("content", "encrypted_content") if item.get(key)}
    return {**head, "summary": item.get("summary") or [], **kept}


def _parts(content: str | Sequence[Item], kind: str) -> list[Item]:
    if isinstance(content, str):
        content = [{"type": kind, "text": content}]
    return [_part(part) for part in content]


def _part(part: Item) -> Item:
    known = {key: value for key, value in part.items() if value is not None}
    match part["type"]:
        case "output_text":
            return {
                **known,
                "annotations": part.get("annotations") or [],
                "logprobs": part.get("logprobs") or [],
            }
        case "input_image":
            return {**known, "detail": part.get("detail") or "auto"}
    return known


def is_emptied(item: Item) -> bool:
    """Return True for reasoning without words: clients that read no reasoning from a stream send it so."""
    return item["type"] == "reasoning" and not {"content", "encrypted_content"} & item.keys()


def is_reference(item: Item) -> bool:
    """Return True for a reference to an item that was kept."""
    return bool(item["type"] == "item_reference")

"""Items of `/responses` become the messages of `/chat/completions`, and places lead back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from inference.errors import Location, Offender

Item: TypeAlias = Mapping[str, Any]
Unseal: TypeAlias = Callable[[str], str]
"""Returns the reasoning in a sealed text, empty for a seal that is not this endpoint's."""
PARTS = {"input_text": "text", "output_text": "text", "input_image": "image_url", "input_file": "file"}


class Messages:
    """The messages of a conversation, and the places of the request that they come from.

    An answer is one message: its reasoning, its text and its calls, in neighbouring items.
    """

    def __init__(self, unseal: Unseal) -> None:
        self.list: list[dict[str, Any]] = []
        self.places: dict[Location, Location] = {}
        """Locations in the chat's body, without the root, each with that in the request."""
        self.system: set[int] = set()
        self._unseal = unseal
        self._answer: dict[str, Any] | None = None
        """The answer that the next item may go on with; in the list once it has more than reasoning."""
        self._calls: set[str] = set()
        self.orphans: list[Offender] = []
        """The outputs of calls that are not there."""

    def instruct(self, text: str) -> None:
        """Append the instructions as a system message."""
        self._append({"role": "system", "content": text}, ("instructions",))

    def add(self, item: Item, place: Location) -> None:
        """Append an item; `place` is where the request has it, without the root."""
        match item["type"]:
            case "message" if item["role"] == "assistant":
                self._add_text(item, place)
            case "message":
                self._add_message(item, place)
            case "function_call":
                self._add_call(item, place)
            case "function_call_output":
                self._add_output(item, place)
            case "reasoning":
                self._add_reasoning(item)

    def _append(self, message: dict[str, Any], place: Location) -> None:
        self.places["messages", len(self.list)] = place
        if message["role"] in ("system", "developer"):
            self.system.add(len(self.list))
        self.list.append(message)

    def _add_message(self, item: Item, place: Location) -> None:
        self._answer = None
        content = _content(item["content"])
        self._append({"role": item["role"], "content": content}, place)
        self._note_parts("content", content, (*place, "content"))

    def _add_text(self, item: Item, place: Location) -> None:
        answer = self._answer if self._answer and self._answer.keys() == {"role", "reasoning_content"} else {}
        message = {"role": "assistant", **answer, "content": _content(item["content"])}
        self._append(message, place)
        self._answer = message

    def _add_call(self, item: Item, place: Location) -> None:
        message = self._answer
        if message is None or message.keys() == {"role", "reasoning_content"}:
            message = {**(message or {"role": "assistant"}), "content": None}
            self._append(message, place)
            self._answer = message
        calls = message.setdefault("tool_calls", [])
        self.places["messages", len(self.list) - 1, "tool_calls", len(calls)] = place
        function = {"name": item["name"], "arguments": item["arguments"]}
        calls.append({"id": item["call_id"], "type": "function", "function": function})
        self._calls.add(item["call_id"])

    def _add_output(self, item: Item, place: Location) -> None:
        self._answer = None
        if item["call_id"] not in self._calls:
            message = f"there is no function_call with the call_id {item['call_id']!r} before it"
            self.orphans.append(Offender(("body", *place, "call_id"), item["call_id"], message))
        content = item["output"] if isinstance(item["output"], str) else _content(item["output"])
        self._append({"role": "tool", "tool_call_id": item["call_id"], "content": content}, place)
        self._note_parts("content", content, (*place, "output"))

    def _add_reasoning(self, item: Item) -> None:
        text = "".join(part["text"] for part in item.get("content") or ())
        text = text or self._unseal(item.get("encrypted_content") or "")
        if not text:
            return
        waiting = (
            self._answer if self._answer and self._answer.keys() == {"role", "reasoning_content"} else {}
        )
        before = waiting.get("reasoning_content", "")
        joined = f"{before}\n{text}" if before else text
        self._answer = {"role": "assistant", "reasoning_content": joined}

    def _note_parts(self, key: str, content: Any, place: Location) -> None:
        if isinstance(content, list):
            number = len(self.list) - 1
            for index in range(len(content)):
                self.places["messages", number, key, index] = (*place, index)


def _content(parts: Sequence[Item]) -> str | list[dict[str, Any]]:
    """Return the content of a message: one text is sent as a text, which more endpoints read."""
    if len(parts) == 1 and parts[0]["type"] in ("input_text", "output_text"):
        return str(parts[0]["text"])
    return [_part(part) for part in parts]


def _part(part: Item) -> dict[str, Any]:
    match part["type"]:
        case "input_text" | "output_text":
            return {"type": "text", "text": part["text"]}
        case "input_image":
            image = {"url": part["image_url"], "detail": part.get("detail") or "auto"}
            return {"type": "image_url", "image_url": image}
        case "input_audio":
            return {"type": "input_audio", "input_audio": part["input_audio"]}
        case _:
            return {"type": "refusal", "refusal": part["refusal"]}

"""Answers parsed by a tool format's reader, whole or in pieces."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from inference.contracts import Text, ToolCallArguments, ToolCallStart
from inference.tool_formats import TOOL_FORMATS

OFFERED = ("get_weather", "send_mail", "plan")

Parsed = tuple[str, list[tuple[str, str]]]


def parse(tool_format: str, pieces: Sequence[str], offered: Sequence[str] = OFFERED) -> Parsed:
    """Return the whole text, and the name and whole arguments of each call."""
    reader = TOOL_FORMATS[tool_format].read(offered, lambda: "call_1")
    events = [event for piece in pieces for event in reader.push(piece)] + list(reader.flush())
    text, calls = "", list[tuple[str, str]]()
    for event in events:
        match event:
            case Text(piece):
                text += piece
            case ToolCallStart(index, _, name):
                assert index == len(calls)
                calls.append((name, ""))
            case ToolCallArguments(index, piece):
                assert index == len(calls) - 1
                calls[index] = (calls[index][0], calls[index][1] + piece)
    return text, calls


def split(answer: str, places: Sequence[int]) -> list[str]:
    """Return the answer cut at the places, each taken modulo its length."""
    borders = [0, *sorted(place % (len(answer) + 1) for place in places), len(answer)]
    return [answer[start:end] for start, end in pairwise(borders)]

"""What a dialect's reader makes of an answer."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from inference.contracts import Text, ToolCallArguments, ToolCallStart
from inference.tool_formats import TOOL_FORMATS

OFFERED = ("get_weather", "send_mail", "plan")

Told = tuple[str, list[tuple[str, str]]]


def told(dialect: str, pieces: Sequence[str], offered: Sequence[str] = OFFERED) -> Told:
    """The whole text, and the calls with their whole arguments."""
    reader = TOOL_FORMATS[dialect].read(offered, lambda: "call_1")
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


def cut(answer: str, places: Sequence[int]) -> list[str]:
    borders = [0, *sorted(place % (len(answer) + 1) for place in places), len(answer)]
    return [answer[a:b] for a, b in pairwise(borders)]

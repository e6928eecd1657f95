"""`truncation: auto`: the oldest messages of a conversation go until the rest fits the context."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from inference.api.chat import ChatRequest
from inference.api.messages import AssistantMessage, Message, ToolMessage
from inference.errors import CONTEXT_LENGTH_EXCEEDED, ParameterNotSupported
from inference.pipeline.generate import LocalGeneration
from inference.pipeline.proxy import RemoteGeneration
from inference.pipeline.response_lowering import LoweredResponse

Generation: TypeAlias = LocalGeneration | RemoteGeneration
Lower: TypeAlias = Callable[[LoweredResponse], Awaitable[Generation]]
SPARED = 4
"""The part of the context that a shortened conversation leaves for the answer: one in so many tokens."""


async def plan_within_context(lowered: LoweredResponse, lower: Lower) -> Generation:
    """Return the plan of a conversation, without its oldest messages where it is too long.

    A call goes with its output; system messages and the last message stay. Raises the refusal of the whole
    conversation where it does not fit without all of them either.
    """
    try:
        return await lower(lowered)
    except ParameterNotSupported as error:
        if not _is_too_long(error):
            raise
        refusal = error
    units = _units(lowered)
    best: Generation | None = None
    fewest, most = 1, len(units)
    while fewest <= most:
        count = (fewest + most) // 2
        found = await _attempt(_without(lowered, units[:count]), lower)
        if found is None:
            fewest = count + 1
        else:
            best, most = found, count - 1
    if best is None:
        # What must stay may leave less room than an answer is usually spared.
        best = await _attempt(_without(lowered, units), lower, spared=False) if units else None
    if best is None:
        raise refusal
    return best


async def _attempt(lowered: LoweredResponse, lower: Lower, *, spared: bool = True) -> Generation | None:
    """Return the plan of a conversation; None where it is too long, or leaves too little for the answer."""
    try:
        plan = await lower(lowered)
    except ParameterNotSupported as error:
        if not _is_too_long(error):
            raise
        return None
    found = plan.room()
    room, context = found.get("room", [1])[0], found.get("context", 1)
    wanted = min(found.get("max_tokens", context), context // SPARED)
    return plan if not spared or room >= wanted else None


def _is_too_long(error: ParameterNotSupported) -> bool:
    return any(offender.code == CONTEXT_LENGTH_EXCEEDED for offender in error.offenders)


def _units(lowered: LoweredResponse) -> list[frozenset[int]]:
    """Return the numbers of the messages that may go, the oldest first, those that go together as one."""
    units: list[set[int]] = []
    callers: dict[str, set[int]] = {}
    for number, message in enumerate(lowered.chat.messages):
        unit = {number}
        if isinstance(message, ToolMessage) and message.tool_call_id in callers:
            unit = callers[message.tool_call_id]
            unit.add(number)
            continue
        for call_id in _call_ids(message):
            callers[call_id] = unit
        units.append(unit)
    return [frozenset(unit) for unit in units if not unit & lowered.fixed]


def _call_ids(message: Message) -> list[str]:
    calls = message.tool_calls if isinstance(message, AssistantMessage) else None
    return [call.id for call in calls or () if call.id]


def _without(lowered: LoweredResponse, units: Sequence[frozenset[int]]) -> LoweredResponse:
    """Return the conversation without these messages."""
    gone = frozenset[int]().union(*units)
    kept = [message for number, message in enumerate(lowered.chat.messages) if number not in gone]
    chat: ChatRequest = lowered.chat.model_copy(update={"messages": kept})
    return replace(lowered, chat=chat)

"""Dialogues with tools: a call, its result in words, two calls at once, no call where none is needed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

from training.chat import tool_offers
from training.chat.dialogue import Dialogue, Exchange, Message, Split, assistant, user
from training.chat.slots import Value
from training.chat.tool_offers import Offer

Other = Callable[[random.Random, Split], Exchange]


def call(tool: Offer, given: list[Value]) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {"name": tool.name, "arguments": tool_offers.arguments(tool, given)},
    }


def calling(*calls: dict[str, Any]) -> Message:
    return {"role": "assistant", "content": "", "tool_calls": list(calls)}


def offers(rng: random.Random, split: Split, count: int) -> list[Offer]:
    """Tools of different names; a second tool of the same kind would make the right call a matter of luck."""
    found: list[Offer] = []
    while len(found) < count:
        frame = tool_offers.some_frame(rng)
        if all(frame is not other.frame for other in found):
            found.append(tool_offers.offer(rng, split, frame))
    return found


def draw(rng: random.Random, split: Split, tool: Offer) -> list[Value]:
    given = [slot.draw(rng, split) for slot in tool.frame.slots]
    return given if len(set(given)) == len(given) else draw(rng, split, tool)


def found_by(rng: random.Random, split: Split, tool: Offer) -> dict[str, Value]:
    count = rng.randint(1, min(3, len(tool.frame.finds)))
    return {key: slot.draw(rng, split) for key, slot in rng.sample(tool.frame.finds, count)}


def worded(given: list[Value], found: dict[str, Value]) -> str:
    """'For Paris, the temperature is 18 and the sky is sunny.'"""
    subject = next((str(value) for value in given if isinstance(value, str)), None)
    parts = [f"the {key.replace('_', ' ')} is {value}" for key, value in found.items()]
    sentence = ", ".join(parts[:-1]) + " and " + parts[-1] if len(parts) > 1 else parts[0]
    return f"For {subject}, {sentence}." if subject else f"{sentence[0].upper()}{sentence[1:]}."


def result(rng: random.Random, found: dict[str, Value]) -> Message:
    spaced = rng.random() < 0.7
    return {"role": "tool", "content": json.dumps(found, separators=None if spaced else (",", ":"))}


def turn(rng: random.Random, split: Split, tool: Offer) -> list[Message]:
    """Question, call, result, answer."""
    given = draw(rng, split, tool)
    asked = tool_offers.question(rng, split, tool, given)
    if rng.random() < 0.15:
        asked, given = asked.lower(), [value.lower() if isinstance(value, str) else value for value in given]
        asked = asked.replace(tool.name.lower(), tool.name)
    else:
        asked = (
            asked[0].upper() + asked[1:]
            if rng.random() < 0.5 and given[0] != asked[: len(str(given[0]))]
            else asked
        )
    asked = asked.removesuffix("?") if rng.random() < 0.3 else asked
    found = found_by(rng, split, tool)
    answer = assistant(worded(given, found))
    return [user(asked), calling(call(tool, given)), result(rng, found), answer]


def parallel_turn(rng: random.Random, split: Split, tool: Offer) -> list[Message]:
    """One question for two values of a tool with one parameter: two calls in one message."""
    first, second = draw(rng, split, tool), draw(rng, split, tool)
    both = f"{first[0]} and {second[0]}"
    asked = tool_offers.question(rng, split, tool, [both])
    return [user(asked), calling(call(tool, first), call(tool, second))]


def tool_call(rng: random.Random, split: Split) -> Dialogue:
    """Ends with a call: the first one, or one after an earlier call was answered."""
    offered = offers(rng, split, rng.choice((1, 1, 2, 2, 3)))
    messages = turn(rng, split, rng.choice(offered)) if rng.random() < 0.15 else []
    messages += turn(rng, split, rng.choice(offered))[:2]
    return Dialogue("calling a tool", messages, [tool.definition(rng) for tool in offered])


def parallel_call(rng: random.Random, split: Split) -> Dialogue:
    offered = offers(rng, split, rng.choice((1, 2)))
    single = [
        tool
        for tool in offered
        if len(tool.parameters) == 1 and tool.frame.questions and tool.frame.slots[0].kind == "string"
    ]
    if not single:
        return parallel_call(rng, split)
    messages = parallel_turn(rng, split, rng.choice(single))
    return Dialogue("calling a tool twice", messages, [tool.definition(rng) for tool in offered])


def tool_answer(rng: random.Random, split: Split) -> Dialogue:
    """Ends with the answer made from a tool's result; up to three calls, one after the other."""
    offered = offers(rng, split, rng.choice((1, 1, 2)))
    messages: list[Message] = []
    for _ in range(rng.choices((1, 2, 3), weights=(4, 3, 2))[0]):
        messages += turn(rng, split, rng.choice(offered))
    return Dialogue("using a tool's result", messages, [tool.definition(rng) for tool in offered])


def no_call(rng: random.Random, split: Split, other: Other) -> Dialogue:
    """Tools are on offer, but the question is one the model answers by itself."""
    offered = offers(rng, split, rng.choice((1, 1, 2)))
    messages = turn(rng, split, rng.choice(offered)) if rng.random() < 0.3 else []
    for _ in range(rng.choice((1, 1, 2))):
        exchange = other(rng, split)
        messages += [user(exchange.question), assistant(exchange.answer)]
    return Dialogue("no tool needed", messages, [tool.definition(rng) for tool in offered])

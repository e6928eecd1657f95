"""Tools built from frames: a spelled name, parameter names, a JSON schema, and a call's arguments."""

from __future__ import annotations

import random
from dataclasses import dataclass

from training.chat import values
from training.chat.dialogue import Split, Tool
from training.chat.errand_tools import ERRANDS
from training.chat.lookup_tools import LOOKUPS
from training.chat.phrasing import expand, pick
from training.chat.slots import CODE, COLOUR, COUNT, ITEM, PERSON, TEXT, Slot, Value
from training.chat.tool_frames import PRICE, STATUS, Frame

FRAMES = (*LOOKUPS, *ERRANDS)

EXPLICIT = (
    "{a} (with|for|on) {0}",
    "call {a} with {0}",
    "use {a} (for|on|with) {0}",
    "(please |)run {a} with {0}",
    "{a}: {0}",
    "i want {a} for {0}",
    "try {a} with {0}",
)
EXPLICIT_TWO = (
    "call {a} with {0} and {1}",
    "use {a} (for|on) {0} and {1}",
    "run {a} with {0} and {1}",
    "{a}: {0}, {1}",
    "(please |)try {a} with {0} and {1}",
)


@dataclass(frozen=True, slots=True)
class Offer:
    """A tool as one dialogue offers it; a parameter is its name, its slot and the JSON type it states."""

    frame: Frame
    name: str
    parameters: tuple[tuple[str, Slot, str], ...]
    description: str

    def definition(self, rng: random.Random) -> Tool:
        """The tool in the API's form, with keys in either of the orders clients use."""
        properties = {name: property_schema(rng, slot, kind) for name, slot, kind in self.parameters}
        schema = {"type": "object", "properties": properties, "required": list(properties)}
        if rng.random() < 0.15:
            del schema["required"]
        function = {"name": self.name, "description": self.description, "parameters": schema}
        if rng.random() < 0.15:
            del function["description"]
        if rng.random() < 0.25:
            function = dict(sorted(function.items()))
            function["parameters"] = dict(sorted(schema.items()))
        return {"type": "function", "function": function}


def property_schema(rng: random.Random, slot: Slot, kind: str) -> dict[str, str]:
    return {"type": kind, "description": slot.meaning} if rng.random() < 0.4 else {"type": kind}


def spelled(rng: random.Random, verb: str, noun: str) -> str:
    """snake_case mostly, camelCase, kebab-case or the noun alone."""
    style = rng.random()
    whole = f"{verb}_{noun}"
    if style < 0.15:
        return noun
    if style < 0.3:
        first, *rest = whole.split("_")
        return first + "".join(part.capitalize() for part in rest)
    return whole.replace("_", "-") if style < 0.38 else whole


def offer(rng: random.Random, split: Split, frame: Frame) -> Offer:
    name = spelled(rng, pick(rng, frame.verbs, split), pick(rng, frame.nouns, split))
    parameters: list[tuple[str, Slot, str]] = []
    for slot in frame.slots:
        taken = [name for name, _, _ in parameters]
        free = [candidate for candidate in slot.names if candidate not in taken]
        chosen = values.made_up_word(rng) if rng.random() < 0.08 else pick(rng, free, split)
        kind = "string" if slot.kind == "integer" and rng.random() < 0.15 else slot.kind
        parameters.append((chosen, slot, "number" if kind == "integer" and rng.random() < 0.15 else kind))
    opening = rng.choice(("Get", "Returns", "Tool for", "Handles", "Use it for", "Gives"))
    return Offer(frame, name, tuple(parameters), f"{opening} {frame.meaning}")


def made_up_frame(rng: random.Random) -> Frame:
    """A tool whose name means nothing, so that it can only be found by reading the offer."""
    noun = values.made_up_word(rng)
    if rng.random() < 0.5:
        noun += "_" + values.made_up_word(rng)
    slots = tuple(rng.sample((CODE, COLOUR, COUNT, ITEM, PERSON, TEXT), rng.choice((1, 1, 2))))
    finds = (
        ("result", rng.choice((PRICE, STATUS, CODE))),
        (values.made_up_word(rng), rng.choice((PRICE, STATUS))),
    )
    return Frame(("run", "do", "call", "make"), (noun,), noun.replace("_", " "), slots, (), finds)


def some_frame(rng: random.Random) -> Frame:
    return made_up_frame(rng) if rng.random() < 0.25 else rng.choice(FRAMES)


def question(rng: random.Random, split: Split, tool: Offer, given: list[Value]) -> str:
    """What someone asks when this tool should be called with these values."""
    if tool.frame.questions:
        return expand(rng, pick(rng, tool.frame.questions, split)).format(*given)
    phrasing = pick(rng, EXPLICIT if len(given) == 1 else EXPLICIT_TWO, split)
    spoken = rng.choice((tool.name, tool.frame.meaning, f"the {tool.name} tool"))
    return expand(rng, phrasing).format(*given, a=spoken)


def arguments(tool: Offer, given: list[Value]) -> dict[str, Value]:
    """The call's arguments; a number whose schema says string is written as one."""
    pairs = zip(tool.parameters, given, strict=True)
    return {name: str(value) if kind == "string" else value for (name, _, kind), value in pairs}

"""The stages before a model is needed, in process: JSON, extra parameters, validation, capabilities."""

from __future__ import annotations

import json
from typing import Any

from benchmarks.measure import Spread, by_turns, timed
from benchmarks.table import Goal, Line, Report
from inference.api.chat import ChatRequest
from inference.api.validation import read_object, validate
from inference.cards.card import Card, load
from inference.contracts import Route
from inference.pipeline.capabilities import check
from inference.pipeline.extra_parameters import ExtraParametersPolicy, sort
from inference.settings import PROJECT

ROUNDS = 50
TIMES = 100
MICROSECONDS = 1e6
CARD = PROJECT / "models" / "starter-chat"
TURNS = 5
QUESTION = "What does the header extra-parameters do, and which of its values lets top_k through?"
ANSWER = "It decides about parameters beyond the standard ones: pass-through hands them to the model."


def run() -> Report:
    body, card = ten_messages(), load(CARD).card
    data = read_object(body)
    request = validate(ChatRequest, data)
    subjects = {
        "read_object": lambda: read_object(body),
        "extra_parameters.sort": lambda: sort(data, ExtraParametersPolicy.ERROR, card, Route.CHAT),
        "validate": lambda: validate(ChatRequest, data),
        "capabilities.check": lambda: check(request, data, card),
        "all four": lambda: _stages(body, card),
        "json.loads alone": lambda: json.loads(body),
    }
    seconds = by_turns({name: timed(call, times=TIMES) for name, call in subjects.items()}, rounds=ROUNDS)
    return Report(
        [
            Line(
                name,
                Spread.of(taken),
                " µs",
                MICROSECONDS,
                goal=Goal(300, " µs") if name == "all four" else None,
            )
            for name, taken in seconds.items()
        ],
        [f"The body is {len(body)} bytes: {2 * TURNS} messages and six parameters."],
    )


def _stages(body: bytes, card: Card) -> None:
    kept = sort(read_object(body), ExtraParametersPolicy.ERROR, card, Route.CHAT).body
    check(validate(ChatRequest, kept), kept, card)


def ten_messages() -> bytes:
    """Return a conversation with every common parameter."""
    messages: list[dict[str, Any]] = [{"role": "system", "content": "You answer in one sentence."}]
    for _ in range(TURNS):
        messages += [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": ANSWER}]
    conversation = messages[:-1]
    parameters = {
        "temperature": 0.7,
        "top_p": 0.9,
        "max_tokens": 256,
        "stop": ["###"],
        "seed": 7,
        "frequency_penalty": 0.1,
    }
    return json.dumps({"model": "starter-chat", "messages": conversation, **parameters}).encode()

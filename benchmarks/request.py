"""The stages before a model runs, in process: JSON, extra parameters, validation, capabilities, lowering."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from itertools import cycle
from typing import Any

from benchmarks.measure import Spread, by_turns, timed
from benchmarks.table import Goal, Line, Report
from inference.api.chat import ChatRequest
from inference.api.validation import read_object, validate
from inference.cards.card import Card, load
from inference.contracts import Route
from inference.engine.grammar import Grammars
from inference.pipeline.capabilities import check
from inference.pipeline.extra_parameters import ExtraParametersPolicy, sort
from inference.prompt.chat_template import ChatTemplate
from inference.prompt.lowering import encode_chat
from inference.prompt.output_format import output_rules
from inference.prompt.tokenizer import Tokenizer
from inference.settings import PROJECT

ROUNDS = 50
TIMES = 100
MICROSECONDS = 1e6
CARD = PROJECT / "models" / "starter-chat"
TURNS = 5
ABOUT = "What it is about, in a few words."
TOOLS = 10
PROPERTIES = 10
CONTEXT = 100_000
"""Tokens for which there is room: the benchmark is of the work, not of the refusal."""
QUESTION = "What does the header extra-parameters do, and which of its values lets top_k through?"
AGENTS = "an agent's second request, validated and lowered"
GOALS = {"all four": Goal(300, " µs"), AGENTS: Goal(1500, " µs")}
ANSWER = "It decides about parameters beyond the standard ones: pass-through hands them to the model."


def run() -> Report:
    body, card = ten_messages(), load(CARD).card
    data = read_object(body)
    request = validate(ChatRequest, data)
    subjects: dict[str, Callable[[], object]] = {
        "read_object": lambda: read_object(body),
        "extra_parameters.sort": lambda: sort(data, ExtraParametersPolicy.ERROR, card, Route.CHAT),
        "validate": lambda: validate(ChatRequest, data),
        "capabilities.check": lambda: check(request, data, card),
        "all four": lambda: _stages(body, card),
        "json.loads alone": lambda: json.loads(body),
    }
    subjects |= _agents()
    seconds = by_turns({name: timed(call, times=TIMES) for name, call in subjects.items()}, rounds=ROUNDS)
    return Report(
        [
            Line(
                name,
                Spread.of(taken),
                " µs",
                MICROSECONDS,
                goal=GOALS.get(name),
            )
            for name, taken in seconds.items()
        ],
        [
            f"The body is {len(body)} bytes: {2 * TURNS} messages and six parameters.",
            f"An agent's request has {TOOLS} tools of {PROPERTIES} properties and a schema.",
        ],
    )


def _agents() -> dict[str, Callable[[], object]]:
    """Return the stages of requests that have the same tools and schema, and another question each time."""
    deployment = load(CARD)
    tokenizer, template = Tokenizer.open(CARD / "tokenizer.json"), ChatTemplate.open(deployment)
    assert template is not None
    vocabulary = tokenizer.vocabulary_size
    grammars = Grammars(tokenizer.json, vocabulary=vocabulary, stop_tokens=frozenset({0}))
    bodies = cycle([agent_body(number) for number in range(TIMES)])

    def lowered(*, tokens: bool) -> None:
        request = validate(ChatRequest, read_object(next(bodies)))
        prompt = encode_chat(request, deployment.card, template, tokenizer, CONTEXT) if tokens else [1]
        rules = output_rules(request, deployment.card, prompt, tokenizer, grammars)
        assert rules is not None
        grammars.matcher(rules.constraint)

    lowered(tokens=True)
    return {
        "an agent's second request, validated, its grammar": partial(lowered, tokens=False),
        AGENTS: partial(lowered, tokens=True),
    }


def agent_body(number: int) -> bytes:
    """Return a question with tools and a schema for the answer."""
    properties = {f"property_{one}": {"type": "string", "description": ABOUT} for one in range(PROPERTIES)}
    schema = {"type": "object", "properties": properties, "required": ["property_0"]}
    tools = [
        {"type": "function", "function": {"name": f"tool_{one}", "description": ABOUT, "parameters": schema}}
        for one in range(TOOLS)
    ]
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    messages = [{"role": "user", "content": f"{QUESTION} {number}"}]
    return json.dumps({"messages": messages, "tools": tools, "response_format": form}).encode()


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

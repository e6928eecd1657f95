"""What a grammar costs: for each token, and to compile, without a model."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import numpy as np

from benchmarks.measure import Spread, by_turns, timed
from benchmarks.table import Goal, Line, Report
from inference.contracts import Constraint, Grammar
from inference.engine.grammar import GrammarMatcher, Grammars
from inference.engine.grammar_compiler import compile_grammar
from inference.settings import PROJECT

TOKENIZER = PROJECT / "models" / "starter-chat" / "tokenizer.json"
WIDTHS = (49_152, 151_936)
ROUNDS = 30
MICROSECONDS = 1e6
LETTERS = "etaoinshrdlucmfwypvbgkETAOINSH0123456789"
LONGEST = 9
TEXT = "Answers that are held to a form at every step, with names, numbers 2024 and long texts too."
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "title": {"type": "string"},
        "published_year": {"type": "integer", "minimum": 1900, "maximum": 2100},
        "kind": {"enum": ["article", "book", "conference_paper"]},
        "authors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"first_name": {"type": "string"}, "last_name": {"type": "string"}},
                "required": ["first_name", "last_name"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["title", "published_year", "kind", "authors"],
    "additionalProperties": False,
}
ANSWER = {
    "title": TEXT,
    "published_year": 2024,
    "kind": "book",
    "authors": [{"first_name": "Ada", "last_name": "Lovelace"}] * 3,
}


def run() -> Report:
    lines = [line for width in WIDTHS for line in _vocabulary(width)]
    return Report(
        lines, [f"The answer is {len(json.dumps(ANSWER))} characters of a schema with four properties."]
    )


def _vocabulary(width: int) -> Iterator[Line]:
    source = widened(width)
    constraint = Constraint(Grammar.JSON_SCHEMA, json.dumps(SCHEMA))
    made = Grammars(source, vocabulary=width, stop_tokens=frozenset({0}))
    reading = Spread.of(
        [timed(Grammars(source, vocabulary=width, stop_tokens=frozenset({0})).prepare)() for _ in range(3)]
    )
    yield Line(f"{width} tokens: reading the vocabulary", reading, " s")
    made.check(constraint)
    steps = _steps(made, constraint, width)
    for name in ("mask", "advance", "forced"):
        goal = Goal(300, " µs") if name == "mask" else None
        yield Line(f"{width}: {name}, a token", Spread.of(steps[name]), " µs", MICROSECONDS, goal=goal)
    taken = by_turns(_compilations(made, constraint), rounds=ROUNDS)
    for name, seconds in taken.items():
        yield Line(f"{width}: {name}", Spread.of(seconds), " µs", MICROSECONDS)


def _compilations(made: Grammars, constraint: Constraint) -> dict[str, Callable[[], float]]:
    vocabulary = made._prepared()
    return {
        "a grammar, compiled": timed(lambda: compile_grammar(constraint, vocabulary)),
        "a grammar, from the cache": timed(lambda: made.matcher(constraint), times=20),
    }


def _steps(made: Grammars, constraint: Constraint, width: int) -> dict[str, list[float]]:
    """Return the seconds of every step of an answer but the matcher's first: it warms the lexer up."""
    taken: dict[str, list[float]] = {"mask": [], "advance": [], "forced": []}
    tokens = made._prepared().library.tokenize_str(json.dumps(ANSWER))
    logits = np.random.default_rng(0).standard_normal(width).astype(np.float32)
    for _ in range(ROUNDS // 10):
        matcher = made.matcher(constraint)
        for token in tokens:
            _step(matcher, token, logits.copy(), taken)
    return {name: seconds[len(tokens) :] for name, seconds in taken.items()}


def _step(matcher: GrammarMatcher, token: int, logits: Any, taken: dict[str, list[float]]) -> None:
    taken["forced"].append(timed(matcher.forced)())
    taken["mask"].append(timed(lambda: matcher.mask(logits))())
    assert np.isfinite(logits[token])
    taken["advance"].append(timed(lambda: matcher.advance(token))())


def widened(width: int) -> str:
    """Return the starter's tokenizer with merges of letters, drawn at random, up to so many tokens."""
    tokenizer = json.loads(TOKENIZER.read_text(encoding="utf-8"))
    vocabulary: dict[str, int] = tokenizer["model"]["vocab"]
    merges: list[list[str]] = [list(pair) for pair in tokenizer["model"]["merges"]]
    added = tokenizer["added_tokens"]
    random, pieces = Random(0), [*LETTERS]
    taken = {*vocabulary, *(token["content"] for token in added)}
    first = 1 + max(*vocabulary.values(), *(token["id"] for token in added))
    while first < width:
        left, right = random.choice(pieces), random.choice(LETTERS)
        if len(left) < LONGEST and left + right not in taken:
            taken.add(left + right)
            vocabulary[left + right] = first
            merges.append([left, right])
            pieces.append(left + right)
            first += 1
    tokenizer["model"]["merges"] = merges
    return json.dumps(tokenizer)

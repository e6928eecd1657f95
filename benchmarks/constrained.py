"""Answers under a grammar, beside free ones: what forced tokens save, and what masks cost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.engine import LENGTHS, deployment, model
from benchmarks.measure import Spread, by_turns
from benchmarks.peers import ENVIRONMENTS
from benchmarks.streams import Stream, prompt, rate, several, steady_rate, stream
from benchmarks.table import Goal, Line, Report
from inference.backends.decoder import opening
from inference.cards.card import load
from inference.contracts import Constraint, Generator, Grammar
from inference.engine import sequence
from inference.prompt.composed_grammar import calls_or_form
from inference.settings import Settings
from inference.tool_formats import TOOL_FORMATS, TokenId, ToolSpec
from tests.support import models

SHAPE = "smollm2-135m"
ROUNDS = 7
ANSWER = 96
NAMES = ("count", "state", "shape", "speed", "range", "light")
"""With what stands around them some eleven forced tokens each: the tokens of this model are letters."""
SCHEMA = {
    "type": "object",
    "properties": {name: {"type": "boolean"} for name in NAMES},
    "required": list(NAMES),
    "additionalProperties": False,
}
KEYS = Constraint(Grammar.JSON_SCHEMA, json.dumps(SCHEMA))
STRING = {
    "type": "object",
    "properties": {"text": {"type": "string", "minLength": 400}},
    "required": ["text"],
}
TEXT = Constraint(Grammar.JSON_SCHEMA, json.dumps(STRING))
NOTE = (
    f"Random weights of the shape of {SHAPE}. The schema with long keys has {len(NAMES)} names and booleans; "
    f"that of the rows is one long string, of which {ANSWER} tokens are made."
)


def run() -> Report:
    ENVIRONMENTS.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=ENVIRONMENTS) as temporary, asyncio.Runner() as runner:
        folder = deployment(Path(temporary) / "constrained", model(SHAPE) / "onnx")
        opened = opening.open(load(folder), Settings(kv_memory_mb=4096))
        assert opened.grammars is not None
        opened.grammars.prepare()
        either = calls_or_form(calls(opened.tokenizer.token_id), TEXT)
        opened.grammars.check(either)
        bench = Bench(runner, models.generator(opened))
        rates = by_turns(
            {
                "keys": bench.keys,
                "keys, step by step": bench.step_by_step,
                "rows": lambda: steady_rate(bench.rows(TEXT)),
                "rows, free": lambda: steady_rate(bench.rows(None)),
                "either": lambda: steady_rate([bench.answer(either)]),
                "either, free": lambda: steady_rate([bench.answer(None)]),
            },
            rounds=ROUNDS,
        )
        opened.close()
    keys = Spread.ratio(rates["keys"], to=rates["keys, step by step"])
    rows = Spread.ratio(rates["rows"], to=rates["rows, free"])
    either_to_free = Spread.ratio(rates["either"], to=rates["either, free"])
    return Report(
        [
            Line("long keys, 1 row, to token by token", Spread.of(rates["keys"]), " tokens/s", 1, keys, MORE),
            Line("a string, 8 rows, to free answers", Spread.of(rates["rows"]), " tokens/s", 1, rows, NEAR),
            Line(
                "ten tools or a form, 1 row, to a free answer",
                Spread.of(rates["either"]),
                " tokens/s",
                1,
                either_to_free,
                NEARER,
            ),
        ],
        [NOTE],
    )


MORE = Goal(2.5, least=True)
NEAR = Goal(0.9, least=True)
NEARER = Goal(0.95, least=True)


def calls(token_id: TokenId) -> str:
    """Return the grammar of calls of ten tools with ten properties each."""
    properties = {f"property_{number}": {"type": "string"} for number in range(10)}
    parameters = {"type": "object", "properties": properties, "required": ["property_0"]}
    tools = [ToolSpec(f"tool_{number}", parameters) for number in range(10)]
    return TOOL_FORMATS["hermes"].grammar(tools, parallel=True, token_id=token_id)


class Bench:
    """The streams that are measured."""

    def __init__(self, runner: asyncio.Runner, generator: Generator) -> None:
        self._runner = runner
        self._generator = generator
        self._random = np.random.default_rng(0)

    def keys(self) -> float:
        """Return the tokens a second of one answer."""
        asked = stream(self._generator, prompt(self._random, 48), 200, constraint=KEYS)
        return rate([self._runner.run(asked)])

    def step_by_step(self) -> float:
        with _never_together():
            return self.keys()

    def answer(self, constraint: Constraint | None) -> Stream:
        """Return one answer of letters, in the string of the form where it is constrained."""
        asked = stream(self._generator, prompt(self._random, 48), 200, constraint=constraint)
        return self._runner.run(asked)

    def rows(self, constraint: Constraint | None) -> list[Stream]:
        prompts = [prompt(self._random, length) for length in LENGTHS]
        asked = [stream(self._generator, tokens, ANSWER, constraint=constraint) for tokens in prompts]
        return self._runner.run(several(asked))


@contextmanager
def _never_together() -> Iterator[None]:
    """Run forced tokens one by one, as tokens that are drawn."""
    usual = sequence.MIN_FORCED_RUN
    sequence.MIN_FORCED_RUN = 10**9
    try:
        yield
    finally:
        sequence.MIN_FORCED_RUN = usual

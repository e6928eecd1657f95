"""Hostile grammars, each in a process of its own: refused, or within the limits of a grammar's cost."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from inference.contracts import Constraint, Grammar
from inference.engine.grammar_compiler import MAX_CHARACTERS
from tests.engine.grammars import schema

SECONDS = 20
"""CPU time with start and imports; the longest takes some two on an idle machine."""
MEMORY = 4 * 2**30


def chain(link: str, last: str, count: int) -> str:
    return "".join(link.format(n, n + 1) for n in range(count)) + last.format(count)


def references(count: int, through: str) -> Constraint:
    links = chain(
        '"d{}": ' + through.replace("REF", '{{"$ref": "#/$defs/d{}"}}') + ", ", '"d{}": {{}}', count
    )
    return Constraint(Grammar.JSON_SCHEMA, f'{{"$ref": "#/$defs/d0", "$defs": {{{links}}}}}')


def regex(source: str) -> Constraint:
    return Constraint(Grammar.REGEX, source)


def lark(source: str) -> Constraint:
    return Constraint(Grammar.LARK, source)


def wide(count: int) -> dict[str, Any]:
    return {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(count)}}


HOSTILE: dict[str, Constraint] = {
    "a chain of references": references(3_000, "REF"),
    "a chain of properties": references(1_700, '{{"properties": {{"a": REF}}}}'),
    "a chain of items": references(2_000, '{{"items": REF}}'),
    "a chain of intersections": references(1_500, '{{"allOf": [REF, {{"type": "object"}}]}}'),
    "a chain of rules": lark("start: r0\n" + chain("r{}:r{}\n", 'r{}:"a"\n', 7_000)),
    "a chain of terminals": lark("start: R0\n" + chain("R{}:R{}\n", 'R{}:"a"\n', 7_000)),
    "deep arrays": Constraint(Grammar.JSON_SCHEMA, '{"items":' * 5_000 + "{}" + "}" * 5_000),
    "deep groups": regex("(" * 40_000 + "a" + ")" * 40_000),
    "deep rules": lark("start: " + "(" * 30_000 + '"a"' + ")" * 30_000),
    "exponential references": schema(
        {
            "$ref": "#/$defs/d0",
            "$defs": {
                **{f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(30)},
                "d30": wide(3),
            },
        }
    ),
    "exponential alternatives": schema(
        {"allOf": [{"anyOf": [{"required": [f"{n}a"]}, {"required": [f"{n}b"]}]} for n in range(25)]}
    ),
    "exponential terminals": lark("start: R0\n" + chain("R{0}: R{1} R{1}\n", 'R{}: "a"\n', 40)),
    "exponential automaton": regex("(.*)a.{300}"),
    "many repetitions": regex("a{1000000}"),
    "nested repetitions": regex("((a{1000}){1000}){1000}"),
    "nested ranges": regex("((([a-z]{0,1000}x){0,1000}y){0,1000}z)"),
    "a pattern of repetitions": schema({"type": "string", "pattern": "^((a{1000}){1000}){1000}$"}),
    "ambiguous rules": lark('start: s\ns: "a" | s s | s s s | ""\n'),
    "ambiguous repetitions": lark('start: ((("a"{1,1000}){1,1000}){1,1000})\n'),
    "a large multiple": schema({"type": "integer", "multipleOf": 1234567891}),
    "many multiples": schema({"allOf": [{"type": "integer", "multipleOf": n} for n in (9973, 9967, 9949)]}),
    "many values": schema({"enum": [f"value {n}" for n in range(6_000)]}),
    "many properties": schema(wide(2_500)),
    "long strings": schema({"type": "string", "minLength": 10**9, "maxLength": 10**12}),
    "long arrays": schema({"type": "array", "minItems": 10**9}),
    "left recursion": lark("start: start\n"),
    "a long source": regex("a" * (MAX_CHARACTERS + 1)),
}

SCRIPT = """
import json, resource, sys
kind, source = json.load(sys.stdin)
resource.setrlimit(resource.RLIMIT_CPU, ({seconds}, {seconds}))
resource.setrlimit(resource.RLIMIT_AS, ({memory}, {memory}))
from inference.contracts import Constraint, Grammar
from inference.engine.grammar import GrammarError
from tests.engine.grammars import grammars, walk
try:
    walk(grammars("starter").matcher(Constraint(Grammar(kind), source)), "starter", 1, most=60)
    print("bounded")
except GrammarError as error:
    print("refused:", error)
"""


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_grammar_is_refused_or_stays_within_its_limits(name: str) -> None:
    hostile = HOSTILE[name]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(seconds=SECONDS, memory=MEMORY)],
        input=json.dumps([hostile.grammar.value, hostile.source]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.startswith(("bounded", "refused:"))

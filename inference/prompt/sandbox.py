"""The Jinja environment that chat templates are written for, with bounds on what a template can spend.

It offers what Hugging Face transformers offers to a chat template (`apply_chat_template`): an immutable
sandbox, `break` and `continue`, `raise_exception`, `strftime_now`, a `tojson` without HTML escapes and the
`generation` block. A template is a file the operator installed, so the bounds are there for accidents and
cheap malice and are no memory quota: on loop rounds and macro calls, on `range` (Jinja's own), on the text
written, and on every string, list or integer that an operator or a call makes.

Importing this module imports jinja2.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import datetime
from typing import Any, Never, TypeVar

from jinja2 import Template, TemplateError, TemplateRuntimeError, nodes
from jinja2.ext import Extension, LoopControlExtension
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

MAX_STEPS = 2_000_000
"""Loop rounds and macro calls of one rendering; some templates loop over every character of a message."""
MAX_SIZE = 16 * 1024 * 1024
"""Characters written, characters of any string on the way, items of any list, bits of any integer."""

_Block = TypeVar("_Block", nodes.For, nodes.Macro, nodes.CallBlock)

_steps: ContextVar[list[int]] = ContextVar("steps")
"""The steps the rendering of this thread has taken: one item, counted in place."""


class RaisedByTemplate(TemplateError):
    """The template itself refused with `raise_exception`."""


class TooMuch(TemplateRuntimeError):
    """A bound was reached."""


class Generation(Extension):
    """`{% generation %}` marks what an assistant said, for training masks; a prompt only needs its body."""

    tags = {"generation"}  # noqa: RUF012  jinja2 declares it as a plain set

    def parse(self, parser: Parser) -> nodes.Node:
        scope = nodes.Scope(lineno=next(parser.stream).lineno)
        scope.body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return scope


class _Bounded(NodeTransformer):
    """Puts a step into every loop and macro, and takes the joins of strings to where they are measured."""

    def visit_For(self, node: nodes.For) -> nodes.For:  # noqa: N802  named for the node
        if node.test is not None:
            node.test = nodes.And(_call("step"), node.test)
        return self._counted(node)

    def visit_Macro(self, node: nodes.Macro) -> nodes.Macro:  # noqa: N802
        return self._counted(node)

    def visit_CallBlock(self, node: nodes.CallBlock) -> nodes.CallBlock:  # noqa: N802
        return self._counted(node)

    def visit_Concat(self, node: nodes.Concat) -> nodes.Expr:  # noqa: N802
        self.generic_visit(node)
        return _call("joined", *node.nodes)

    def _counted(self, node: _Block) -> _Block:
        self.generic_visit(node)
        node.body.insert(0, nodes.ExprStmt(_call("step")))
        return node


def _call(name: str, *arguments: nodes.Expr) -> nodes.Call:
    return nodes.Call(nodes.EnvironmentAttribute(name), list(arguments), [], None, None)


class TemplateSandbox(ImmutableSandboxedEnvironment):
    """Compiles and renders chat templates."""

    intercepted_binops = frozenset({"+", "*", "%", "**"})

    def __init__(self) -> None:
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, LoopControlExtension])
        self.filters["tojson"] = _tojson
        self.globals["raise_exception"] = _raise_exception
        self.globals["strftime_now"] = _strftime_now

    def bounded(self, source: str) -> nodes.Template:
        """The syntax tree of a template with its bounds in it. Raises `jinja2.TemplateSyntaxError`."""
        tree = _Bounded().visit(self.parse(source))
        assert isinstance(tree, nodes.Template)
        tree.set_lineno(1)
        tree.set_environment(self)
        return tree

    def rendered(self, template: Template, variables: Mapping[str, Any]) -> str:
        """What the template writes. Raises whatever the template does, `TooMuch` at a bound."""
        counted = _steps.set([0])
        pieces, size = [], 0
        try:
            for piece in template.generate(variables):
                size += len(piece)
                _within(size)
                pieces.append(piece)
        finally:
            _steps.reset(counted)
        return "".join(pieces)

    def step(self) -> bool:
        """Counts one loop round or macro call; true, so that it can stand in a condition."""
        steps = _steps.get()
        steps[0] += 1
        if steps[0] > MAX_STEPS:
            raise TooMuch(f"the template takes more than {MAX_STEPS} steps")
        return True

    def joined(self, *parts: Any) -> str:
        """The operator `~`."""
        return _measured("".join(map(str, parts)))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "*":
            _within(max(_repeated(left, right), _repeated(right, left)))
        elif operator == "**" and isinstance(left, int) and isinstance(right, int):
            _within(left.bit_length() * right)
        return _measured(super().call_binop(context, operator, left, right))

    def call(self, context: Context, called: Any, /, *args: Any, **kwargs: Any) -> Any:
        return _measured(super().call(context, called, *args, **kwargs))


_Value = TypeVar("_Value")


def _measured(value: _Value) -> _Value:
    _within(_size(value))
    return value


def _size(value: Any) -> int:
    if isinstance(value, int):
        return value.bit_length()
    return len(value) if isinstance(value, str | list | tuple) else 0


def _repeated(value: Any, times: Any) -> int:
    return len(value) * times if isinstance(value, str | list | tuple) and isinstance(times, int) else 0


def _within(size: int) -> None:
    if size > MAX_SIZE:
        raise TooMuch(f"the template makes something larger than {MAX_SIZE}")


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def _raise_exception(message: object) -> Never:
    raise RaisedByTemplate(str(message))


def _strftime_now(pattern: str) -> str:
    return datetime.now().astimezone().strftime(pattern)

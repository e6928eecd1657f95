"""The Jinja environment that chat templates are written for, with bounds on what a template can spend.

It has the extensions of Hugging Face transformers' `apply_chat_template`: an immutable sandbox, `break` and
`continue`, `raise_exception`, `strftime_now`, a `tojson` without HTML escapes and the `generation` block. A
template is a file that the operator installed, so the bounds are for accidents and cheap malice and are no
memory quota: on loop rounds and macro calls, on `range` (Jinja's own), on the text written, and on every
string, list or integer that an operator or a call makes.

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
"""Characters of the text and of any string on the way, items of any list, bits of any integer."""

_Block = TypeVar("_Block", nodes.For, nodes.Macro, nodes.CallBlock)

_steps: ContextVar[list[int]] = ContextVar("steps")
"""The number of steps of the rendering in this context: one item, counted in place."""


class RaisedByTemplate(TemplateError):
    """A refusal by the template itself, with `raise_exception`."""


class TemplateLimitExceeded(TemplateRuntimeError):
    """A rendering that went beyond `MAX_STEPS` or `MAX_SIZE`."""


class GenerationBlock(Extension):
    """The block `{% generation %}`, which marks an assistant's text for training; a prompt has its body."""

    tags = {"generation"}  # noqa: RUF012  jinja2 declares it as a plain set

    def parse(self, parser: Parser) -> nodes.Node:
        """Return the block's body."""
        scope = nodes.Scope(lineno=next(parser.stream).lineno)
        scope.body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return scope


class _BoundsTransformer(NodeTransformer):
    """A transformer that counts a step in every loop and macro and measures the joins of strings."""

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
        return _call("join_strings", *node.nodes)

    def _counted(self, node: _Block) -> _Block:
        self.generic_visit(node)
        node.body.insert(0, nodes.ExprStmt(_call("step")))
        return node


def _call(name: str, *arguments: nodes.Expr) -> nodes.Call:
    return nodes.Call(nodes.EnvironmentAttribute(name), list(arguments), [], None, None)


class TemplateSandbox(ImmutableSandboxedEnvironment):
    """The environment that compiles and renders chat templates."""

    intercepted_binops = frozenset({"+", "*", "%", "**"})

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True, lstrip_blocks=True, extensions=[GenerationBlock, LoopControlExtension]
        )
        self.filters["tojson"] = _tojson
        self.globals["raise_exception"] = _raise_exception
        self.globals["strftime_now"] = _strftime_now

    def parse_bounded(self, source: str) -> nodes.Template:
        """Return the syntax tree of a template with its bounds in it.

        Raises `jinja2.TemplateSyntaxError`.
        """
        tree = _BoundsTransformer().visit(self.parse(source))
        assert isinstance(tree, nodes.Template)
        tree.set_lineno(1)
        tree.set_environment(self)
        return tree

    def render_template(self, template: Template, variables: Mapping[str, Any]) -> str:
        """Return the text of a template.

        Raises the template's own errors, and `TemplateLimitExceeded` at a bound.
        """
        token = _steps.set([0])
        pieces, size = [], 0
        try:
            for piece in template.generate(variables):
                size += len(piece)
                _check_size(size)
                pieces.append(piece)
        finally:
            _steps.reset(token)
        return "".join(pieces)

    def step(self) -> bool:
        """Count one loop round or macro call; return True, so that it can stand in a condition."""
        steps = _steps.get()
        steps[0] += 1
        if steps[0] > MAX_STEPS:
            raise TemplateLimitExceeded(
                f"the template takes more than {MAX_STEPS} steps: loop rounds and macro calls"
            )
        return True

    def join_strings(self, *parts: Any) -> str:
        """Join the operands of the operator `~`."""
        return _measured("".join(map(str, parts)))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Return the result of an operator, refused early where it would be too large."""
        if operator == "*":
            _check_size(max(_repeated_size(left, right), _repeated_size(right, left)))
        elif operator == "**" and isinstance(left, int) and isinstance(right, int):
            _check_size(left.bit_length() * right)
        return _measured(super().call_binop(context, operator, left, right))

    def call(self, context: Context, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Return the result of a call, its size checked."""
        return _measured(super().call(context, function, *args, **kwargs))


_Value = TypeVar("_Value")


def _measured(value: _Value) -> _Value:
    _check_size(_size(value))
    return value


def _size(value: Any) -> int:
    if isinstance(value, int):
        return value.bit_length()
    return len(value) if isinstance(value, str | list | tuple) else 0


def _repeated_size(value: Any, times: Any) -> int:
    return len(value) * times if isinstance(value, str | list | tuple) and isinstance(times, int) else 0


def _check_size(size: int) -> None:
    if size > MAX_SIZE:
        raise TemplateLimitExceeded(f"the template makes a value larger than {MAX_SIZE}, the most allowed")


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

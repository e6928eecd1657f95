"""The chat template of a model: messages to the prompt's text.

Jinja is imported when a template is opened, not before.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from inference.cards.card import CardError, Deployment
from inference.cards.json_files import read_role, special_tokens
from inference.errors import Offender, ParameterNotSupported

if TYPE_CHECKING:
    import jinja2

    from inference.prompt.sandbox import TemplateSandbox

Messages: TypeAlias = Sequence[Mapping[str, Any]]
"""Messages with the wire's keys `role`, `content`, `tool_calls` and `tool_call_id`; dicts and lists only."""

TEMPLATE_FILE = "chat_template.jinja"
MORE_TEMPLATES = "additional_chat_templates"
"""The folder of named templates beside the default one; the name of each file is the template's."""
DEFAULT, TOOL_USE = "default", "tool_use"
MAX_ROLES = 16
"""Roles of the messages that a refusal shows, at most."""
FAILURES = (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError)
"""Errors that an expression of a template can raise besides Jinja's own."""


class ChatTemplate:
    """A compiled chat template. `render` may be called from any thread."""

    def __init__(self, sources: Mapping[str, str], variables: Mapping[str, Any]) -> None:
        """Compile `sources`, `default` and maybe `tool_use`; others are never rendered.

        `variables` are the special tokens by name.

        Raises `CardError` when a source does not compile.
        """
        from inference.prompt.sandbox import TemplateSandbox

        self._sandbox: TemplateSandbox = TemplateSandbox()
        self._variables = dict(variables)
        self._templates: dict[str, jinja2.Template] = {}
        self._variable_names: set[str] = set()
        self._keys: set[str] = set()
        self._strings: set[str] = set()
        for name, source in sources.items():
            if name in (DEFAULT, TOOL_USE):
                self._templates[name] = self._compile(name, source)

    @classmethod
    def open(cls, deployment: Deployment) -> ChatTemplate | None:
        """Return the template of a deployment, None where it has none.

        It is the file of role `chat_template` with those in the folder `MORE_TEMPLATES`, else `chat_template`
        in the file of role `tokenizer_config`: a text, or a list of `{"name", "template"}`. Raises
        `CardError` that names the file at fault.
        """
        config = read_role(deployment, "tokenizer_config")
        sources = template_sources(deployment, config)
        if not sources:
            return None
        if DEFAULT not in sources:
            raise CardError(f"chat_template: one of the templates must be named {DEFAULT!r}; none is")
        special = read_role(deployment, "special_tokens_map")
        return cls(sources, {**special_tokens(special), **special_tokens(config)})

    @property
    def supports_tools(self) -> bool:
        """True if the template reads tools; any other would drop them without an error."""
        return self._reads_tools or "tools" in self._keys

    @property
    def supports_tool_calls(self) -> bool:
        """True if the template reads the calls of earlier answers; any other would drop them."""
        return self.reads_key("tool_calls")

    def reads_key(self, key: str) -> bool:
        """Return True if the template names the key of a message."""
        return key in self._keys | self._strings

    def uses_variable(self, variable: str) -> bool:
        """Return True if the template reads the variable; any other ignores it."""
        return variable in self._variable_names

    def render(
        self, messages: Messages, tools: Sequence[Mapping[str, Any]] | None = None, **variables: Any
    ) -> str:
        """Return the prompt's text, up to where the assistant's answer starts.

        Raises `ParameterNotSupported` at `messages` when the template refuses or fails, with the template's
        own message where it has one.
        """
        template = self._templates[TOOL_USE if tools and TOOL_USE in self._templates else DEFAULT]
        if tools and "tools" in self._keys and not self._reads_tools:
            messages = _with_tools(messages, tools)
        context: dict[str, Any] = {
            **self._variables,
            "messages": messages,
            "tools": tools,
            "documents": None,
            "add_generation_prompt": True,
            **variables,
        }
        from jinja2 import TemplateError

        try:
            return self._sandbox.render_template(template, context)
        except (TemplateError, *FAILURES) as error:
            raise _refusal(messages, error) from None

    @property
    def _reads_tools(self) -> bool:
        """True if the template reads tools from the variable `tools`, or is written for them alone."""
        return TOOL_USE in self._templates or "tools" in self._variable_names

    def _compile(self, name: str, source: str) -> jinja2.Template:
        from jinja2 import TemplateSyntaxError, nodes

        try:
            tree = self._sandbox.parse_bounded(source)
            constants = (node.value for node in tree.find_all(nodes.Const))
            self._variable_names |= {node.name for node in tree.find_all(nodes.Name)}
            self._strings |= {value for value in constants if isinstance(value, str)}
            self._keys |= _keys(tree)
            return self._sandbox.from_string(tree)
        except TemplateSyntaxError as error:
            raise CardError(f"chat_template {name!r}, line {error.lineno}: {error.message}") from None
        except RecursionError:
            raise CardError(f"chat_template {name!r} is nested too deeply") from None


def _keys(tree: jinja2.nodes.Template) -> set[str]:
    """Return the keys that a template reads of its variables: `message.tools`, `message["tools"]`."""
    from jinja2 import nodes

    items = [node.arg for node in tree.find_all(nodes.Getitem)]
    names = {node.value for node in items if isinstance(node, nodes.Const) and isinstance(node.value, str)}
    return names | {node.attr for node in tree.find_all(nodes.Getattr)}


def _with_tools(messages: Messages, tools: Sequence[Mapping[str, Any]]) -> Messages:
    """Return the messages, the tools as JSON in the system message, as Phi-4-mini's template reads them."""
    text = json.dumps([tool["function"] for tool in tools], ensure_ascii=False)
    if messages and messages[0].get("role") == "system":
        return [{**messages[0], "tools": text}, *messages[1:]]
    return [{"role": "system", "content": "", "tools": text}, *messages]


def _refusal(messages: Messages, error: Exception) -> ParameterNotSupported:
    from inference.prompt.sandbox import RaisedByTemplate

    message = str(error)
    if not isinstance(error, RaisedByTemplate):
        message = f"The model's chat template fails on these messages: {message}"
    roles = [one.get("role") for one in messages[:MAX_ROLES]]
    return ParameterNotSupported([Offender(("body", "messages"), roles, message)])


def template_sources(deployment: Deployment, config: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the sources of a deployment's templates by name; `config` is tokenizer_config.json.

    As in transformers, files come before the key of tokenizer_config.json. Raises `CardError`.
    """
    path = deployment.optional_file("chat_template", TEMPLATE_FILE)
    more = sorted((deployment.folder / MORE_TEMPLATES).glob("*.jinja"))
    files = {one.stem: _read(one) for one in more} | ({DEFAULT: _read(path)} if path is not None else {})
    inline = dict(_named_templates(config.get("chat_template"))) if path is None else {}
    return {**inline, **files}


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CardError(f"{path.name} cannot be read: {error}") from None


def _named_templates(found: object) -> Iterator[tuple[str, str]]:
    """Yield name and source of each template in `chat_template`; a lone text is the default one."""
    for entry in found if isinstance(found, list) else [{"name": DEFAULT, "template": found}]:
        match entry:
            case {"name": str(name), "template": str(template)}:
                yield name, template
            case {"template": None}:
                continue
            case _:
                raise CardError(
                    f"chat_template: {entry!r} is neither a text nor an object of name and template"
                )

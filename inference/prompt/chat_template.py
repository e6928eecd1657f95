"""Messages become the prompt's text by the chat template that comes with the model.

Jinja is imported when a template is opened, not before.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from inference.cards.card import CardError, Deployment
from inference.errors import Offender, ParameterNotSupported

if TYPE_CHECKING:
    import jinja2

    from inference.prompt.sandbox import TemplateSandbox

Messages: TypeAlias = Sequence[Mapping[str, Any]]
"""In the shape of the wire: `role`, `content`, `tool_calls`, `tool_call_id`; dicts and lists all the way."""

TEMPLATE_FILE = "chat_template.jinja"
CONFIG_FILE = "tokenizer_config.json"
SPECIAL_TOKENS_FILE = "special_tokens_map.json"
DEFAULT, TOOL_USE = "default", "tool_use"
SHOWN_ROLES = 16
FAILURES = (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError)
"""What an expression of a template can raise besides Jinja's own errors."""


class ChatTemplate:
    """A model's chat template, compiled. `render` may be called from any thread."""

    def __init__(self, sources: Mapping[str, str], variables: Mapping[str, Any]) -> None:
        """`sources` holds `default` and maybe `tool_use`; `variables` are the tokenizer's special tokens.

        Raises `CardError` when a source does not compile.
        """
        from inference.prompt.sandbox import TemplateSandbox

        self._sandbox: TemplateSandbox = TemplateSandbox()
        self._variables = dict(variables)
        self._templates: dict[str, jinja2.Template] = {}
        self._takes_tools = TOOL_USE in sources
        self._tools_in_system = False
        self._tells_calls = False
        self._mentioned: set[str] = set()
        for name, source in sources.items():
            self._templates[name] = self._compile(name, source)

    @classmethod
    def open(cls, deployment: Deployment) -> ChatTemplate | None:
        """The template of a deployment, None where it has none.

        It is the file of role `chat_template`, else `chat_template` in the file of role `tokenizer_config`: a
        text, or a list of `{"name", "template"}`. Raises `CardError` naming the file that is at fault.
        """
        config = _json_object(deployment, "tokenizer_config", CONFIG_FILE)
        sources = _own_file(deployment) or dict(_named(config.get("chat_template")))
        if not sources:
            return None
        if DEFAULT not in sources:
            raise CardError(f"chat_template: no template is named {DEFAULT!r}")
        special = _json_object(deployment, "special_tokens_map", SPECIAL_TOKENS_FILE)
        return cls(sources, {**_special_tokens(special), **_special_tokens(config)})

    @property
    def takes_tools(self) -> bool:
        """Whether the template mentions tools; one that does not would drop them without a word."""
        return self._takes_tools or self._tools_in_system

    @property
    def tells_calls(self) -> bool:
        """Whether the template mentions the calls of past answers; one that does not would drop them."""
        return self._tells_calls

    def mentions(self, variable: str) -> bool:
        """Whether the template says the name anywhere; one that does not cannot heed it."""
        return variable in self._mentioned

    def render(
        self, messages: Messages, tools: Sequence[Mapping[str, Any]] | None = None, **variables: Any
    ) -> str:
        """The prompt's text, up to where the assistant begins to speak.

        Raises `ParameterNotSupported` at `messages` when the template refuses or fails, with the template's
        own sentence where it has one.
        """
        template = self._templates[TOOL_USE if tools and TOOL_USE in self._templates else DEFAULT]
        if tools and self._tools_in_system and not self._takes_tools:
            messages = _with_tools(messages, tools)
        given: dict[str, Any] = {
            **self._variables,
            "messages": messages,
            "tools": tools,
            "documents": None,
            "add_generation_prompt": True,
            **variables,
        }
        from jinja2 import TemplateError

        try:
            return self._sandbox.rendered(template, given)
        except (TemplateError, *FAILURES) as error:
            raise _refusal(messages, error) from None

    def _compile(self, name: str, source: str) -> jinja2.Template:
        from jinja2 import TemplateSyntaxError, nodes

        try:
            tree = self._sandbox.bounded(source)
            mentioned = {node.name for node in tree.find_all(nodes.Name)}
            keys = _keys(tree)
            self._mentioned |= mentioned
            self._takes_tools = self._takes_tools or "tools" in mentioned
            said = {node.value for node in tree.find_all(nodes.Const) if isinstance(node.value, str)}
            self._tools_in_system = self._tools_in_system or "tools" in keys
            self._tells_calls = self._tells_calls or "tool_calls" in keys | said
            return self._sandbox.from_string(tree)
        except TemplateSyntaxError as error:
            raise CardError(f"chat_template {name!r}, line {error.lineno}: {error.message}") from None
        except RecursionError:
            raise CardError(f"chat_template {name!r} is nested too deeply") from None


def _keys(tree: jinja2.nodes.Template) -> set[str]:
    """The keys that a template reads of what it is given: `message.tools`, `message["tools"]`."""
    from jinja2 import nodes

    items = [node.arg for node in tree.find_all(nodes.Getitem)]
    names = {node.value for node in items if isinstance(node, nodes.Const) and isinstance(node.value, str)}
    return names | {node.attr for node in tree.find_all(nodes.Getattr)}


def _with_tools(messages: Messages, tools: Sequence[Mapping[str, Any]]) -> Messages:
    """The tools as JSON in the system message, where Phi-4-mini's template looks for them."""
    text = json.dumps([tool["function"] for tool in tools], ensure_ascii=False)
    if messages and messages[0].get("role") == "system":
        return [{**messages[0], "tools": text}, *messages[1:]]
    return [{"role": "system", "content": "", "tools": text}, *messages]


def _refusal(messages: Messages, error: Exception) -> ParameterNotSupported:
    from inference.prompt.sandbox import RaisedByTemplate

    sentence = str(error)
    if not isinstance(error, RaisedByTemplate):
        sentence = f"The model's chat template fails on these messages: {sentence}"
    roles = [message.get("role") for message in messages[:SHOWN_ROLES]]
    return ParameterNotSupported([Offender(("body", "messages"), roles, sentence)])


def _own_file(deployment: Deployment) -> dict[str, str]:
    path = deployment.optional_file("chat_template", TEMPLATE_FILE)
    if path is None:
        return {}
    try:
        return {DEFAULT: path.read_text(encoding="utf-8")}
    except (OSError, UnicodeDecodeError) as error:
        raise CardError(f"{path.name} cannot be read: {error}") from None


def _named(found: object) -> Iterator[tuple[str, str]]:
    """The templates under `chat_template`: one text is the default, a list names its own."""
    for entry in found if isinstance(found, list) else [{"name": DEFAULT, "template": found}]:
        match entry:
            case {"name": str(name), "template": str(template)}:
                yield name, template
            case {"template": None}:
                continue
            case _:
                raise CardError(f"chat_template: {entry!r} is neither a text nor a name and a template")


def _json_object(deployment: Deployment, role: str, default: str) -> dict[str, Any]:
    path = deployment.optional_file(role, default)
    if path is None:
        return {}
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CardError(f"{path.name} cannot be read: {error}") from None
    if not isinstance(value, dict):
        raise CardError(f"{path.name} is not a JSON object")
    return value


def _special_tokens(config: Mapping[str, Any]) -> dict[str, str]:
    """`bos_token` and its like: a text, or an object whose `content` is the text."""
    tokens = {}
    for name, value in config.items():
        text = value.get("content") if isinstance(value, dict) else value
        if name.endswith("_token") and isinstance(text, str):
            tokens[name] = text
    return tokens

"""The abilities of a chat template: tool format, reasoning tags and efforts."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from inference.importer.chat_template import (
    chat_template,
    reasoning_efforts,
    reasoning_tags,
    template_text,
    tool_format,
)
from inference.importer.model_folder import ModelFolder
from inference.prompt.chat_template import ChatTemplate
from inference.prompt.tokenizer import Tokenizer
from inference.tool_formats import TOOL_FORMATS
from tests.prompt.families import TEMPLATES


@pytest.mark.parametrize(
    ("template", "known", "expected"),
    [
        ("<tool_call>{json}</tool_call>", ("hermes",), "hermes"),
        ("<tool_call>\n<function=x>", ("hermes",), None),
        ("<tool_call>\n<function=x>", ("hermes", "qwen3-coder"), "qwen3-coder"),
        ("[TOOL_CALLS] [", ("hermes", "mistral"), "mistral"),
        ("[TOOL_CALLS] [", ("hermes",), None),
        ("something else", tuple(TOOL_FORMATS), None),
    ],
)
def test_a_tool_format_is_declared_where_it_has_a_parser(
    template: str, known: tuple[str, ...], expected: str | None
) -> None:
    assert tool_format(template, takes_tools=True, known=known).value == expected
    assert tool_format(template, takes_tools=False, known=known).value is None


@pytest.mark.parametrize("family", TEMPLATES)
def test_the_template_of_each_family_shows_its_tool_format(tmp_path: Path, family: str) -> None:
    (tmp_path / "chat_template.jinja").write_text(TEMPLATES[family])
    folder = ModelFolder(tmp_path, {}, {}, {"tokenizer_config.json": {}})
    template = chat_template(folder).value
    assert template is not None
    found = tool_format(template_text(folder), takes_tools=template.supports_tools)
    assert found.value == family
    tool = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}
    message = {"role": "user", "content": "Hi"}
    assert template.render([message], tools=[tool]) != template.render([message])


class TokenizerWith:
    """A tokenizer with the named tokens."""

    def __init__(self, *tokens: str) -> None:
        self._tokens = tokens

    def token_id(self, text: str) -> int | None:
        return self._tokens.index(text) if text in self._tokens else None


@pytest.mark.parametrize(
    ("template", "tokens", "expected"),
    [
        ("{{ content.split('</think>')[-1] }}<think>", (), "<think>"),
        ("{{ content.split('</think>')[-1] }}", (), None),
        ("{{ content }}", ("<think>", "</think>"), "<think>"),
        ("{{ content }}", ("<think>",), None),
        ("[THINK]{{ content }}[/THINK]", (), "[THINK]"),
    ],
)
def test_reasoning_is_declared_where_both_tags_are_known(
    template: str, tokens: tuple[str, ...], expected: str | None
) -> None:
    found = reasoning_tags(template, cast("Tokenizer", TokenizerWith(*tokens))).value
    assert (found and found["open"]) == expected


@pytest.mark.parametrize(
    ("template", "values"),
    [
        ("{% if enable_thinking is not defined or enable_thinking %}<think>{% endif %}", ["none", "high"]),
        ("{% if thinking %}<think>{% endif %}", ["none", "high"]),
        ("Reasoning: {{ reasoning_effort | default('medium') }}", ["low", "medium", "high"]),
        ("{% set enable_thinking = true %}{{ messages[0].content }}", None),
        ("{{ messages[0].content }}", None),
    ],
)
def test_efforts_are_those_that_change_the_prompt(template: str, values: list[str] | None) -> None:
    found = reasoning_efforts(ChatTemplate({"default": template}, {})).value
    assert (found and found["values"]) == values

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from inference.cards.card import Card, CardError, Deployment
from inference.errors import ParameterNotSupported
from inference.prompt import sandbox
from inference.prompt.chat_template import ChatTemplate

USER = [{"role": "user", "content": 'é <b> & "q"'}]
TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
CHATML = """\
{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- for tool in tools %}
        {{- tool | tojson }}
    {%- endfor %}
    {{- '<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""


def template(source: str, **special: str) -> ChatTemplate:
    return ChatTemplate({"default": source}, special)


def deployment(folder: Path, files: dict[str, str] | None = None, **contents: object) -> Deployment:
    """Return a deployment in a folder with these files: `name_jinja` is written as text, others as JSON."""
    for name, content in contents.items():
        file = name.replace("_jinja", ".jinja") if name.endswith("_jinja") else f"{name}.json"
        (folder / file).write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    card = {"name": "m", "provider": "p", "type": "chat-completions", "backend": "b", "files": files or {}}
    return Deployment(Card.model_validate(card), folder)


def opened(folder: Path, **contents: object) -> ChatTemplate:
    found = ChatTemplate.open(deployment(folder, None, **contents))
    assert found is not None
    return found


def refusal(source: str, **variables: Any) -> str:
    with pytest.raises(ParameterNotSupported) as caught:
        template(source).render(USER, **variables)
    (offender,) = caught.value.offenders
    assert (offender.loc, offender.input) == (("body", "messages"), ["user"])
    return offender.message


def test_a_prompt_ends_where_the_assistant_starts() -> None:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    assert template(CHATML).render(messages) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    )


def test_tools_reach_the_template() -> None:
    chat = template(CHATML)
    assert chat.supports_tools
    assert chat.render(USER, [TOOL]).startswith(f"<|im_start|>system\n{json.dumps(TOOL)}<|im_end|>\n")


def test_tools_are_in_the_system_message_where_the_template_reads_them_there() -> None:
    chat = template("{% for m in messages %}{{ m.role }}:{{ m.content }}:{{ m['tools'] }};{% endfor %}")
    tools = json.dumps([TOOL["function"]])
    assert chat.render(USER, [TOOL]) == f"system::{tools};user:{USER[0]['content']}:;"
    system = {"role": "system", "content": "Be brief."}
    assert chat.render([system], [TOOL]) == f"system:Be brief.:{tools};"
    assert chat.render([system]) == "system:Be brief.:;"


def test_tool_calls_are_supported_if_the_template_reads_them() -> None:
    assert template("{{ messages[0].tool_calls }}").supports_tool_calls
    assert template("{{ messages[0]['tool_calls'] }}").supports_tool_calls
    assert template("{% if 'tool_calls' in messages[0] %}{% endif %}").supports_tool_calls
    assert not template("{{ messages[0].content }} tool_calls").supports_tool_calls


def test_a_variable_is_used_if_the_template_reads_it() -> None:
    chat = template("{% if enable_thinking is defined %}{% endif %}")
    assert chat.uses_variable("enable_thinking")
    assert not chat.uses_variable("thinking")


@pytest.mark.parametrize(
    ("source", "takes"),
    [
        ("{{ messages }} tools", False),
        ("{% if tools is defined %}{% endif %}", True),
        ("{{ messages[0]['tools'] }}", True),
        ("{% for message in messages %}{{ message.tools }}{% endfor %}", True),
        ("{{ 'tools' }}{{ messages['tool'] }}", False),
        ("{% if not tools is defined %}{% set tools = none %}{% endif %}", True),
    ],
)
def test_tools_are_supported_if_the_template_reads_them(source: str, takes: bool) -> None:
    assert template(source).supports_tools is takes


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ messages[0].content | tojson }}", json.dumps(USER[0]["content"], ensure_ascii=False)),
        ("{{ messages[0] | tojson(indent=2) }}", json.dumps(USER[0], ensure_ascii=False, indent=2)),
        ("{{ messages[0].content }}", USER[0]["content"]),
        ("{% for n in range(9) %}{% if n == 2 %}{% break %}{% endif %}{{ n }}{% endfor %}", "01"),
        ("{% for n in range(4) if n % 2 %}{{ n }}{% endfor %}", "13"),
        ("a{% generation %}{% set x = 1 %}b{% endgeneration %}{{ x }}c", "abc"),
        ("{{ strftime_now('%Y') | length }}", "4"),
        ("{{ bos_token ~ 1 ~ none ~ missing }}", "<s>1None"),
        ("  {% if true %}\n  x\n  {% endif %}\n", "  x\n"),
        ("{% set ns = namespace(n=1) %}{% set ns.n = ns.n + 2 ** 3 %}{{ ns.n }}", "9"),
        ("{% macro twice(x) %}{{ x * 2 }}{% endmacro %}{{ twice('ab') }}", "abab"),
        ("{{ tools is none }} {{ documents is none }} {{ add_generation_prompt }}", "True True True"),
        ("{{ enable_thinking }}", "False"),
    ],
)
def test_a_template_has_the_extensions_of_transformers(source: str, text: str) -> None:
    assert template(source, bos_token="<s>").render(USER, enable_thinking=False) == text


def test_a_template_s_own_refusal_is_the_message() -> None:
    sentence = "Conversation roles must alternate."
    assert refusal("{{ raise_exception('" + sentence + "') }}") == sentence


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ missing.field }}", "'missing' is undefined"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ 'a' + 1 }}", "can only concatenate str"),
        ("{{ messages[0].content.index('z') }}", "substring not found"),
        ("{% include 'other' %}", "no loader"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ messages.append(1) }}", "unsafe"),
        ("{{ messages[0].update({}) }}", "unsafe"),
        ("{{ range(1000000) }}", "Range too big"),
    ],
)
def test_a_template_that_fails_is_a_refusal(source: str, message: str) -> None:
    sentence = refusal(source)
    assert sentence.startswith("The model's chat template fails on these messages: ")
    assert message in sentence


DOUBLED = (
    "{{% set ns = namespace(x=['a', 'a']) %}}{{% for n in range(99) %}}{{% set ns.x = {} %}}{{% endfor %}}"
)


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% for a in range(99999) %}{% for b in range(99999) if b < 0 %}{% endfor %}{% endfor %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
        "{% for m in messages recursive %}{{ loop(messages) }}{% endfor %}",
        "{% set x = 'x' * 999999 %}{% for a in range(99999) %}{{ x }}{% endfor %}",
        "{{ 'x' * 10 ** 12 }}",
        "{{ 10 ** 12 * 'x' }}",
        "{{ 9 ** (9 ** 9) }}",
        "{% set ns = namespace(n=9) %}{% for n in range(99) %}{% set ns.n = ns.n * ns.n %}{% endfor %}",
        DOUBLED.format("ns.x + ns.x"),
        DOUBLED.format("ns.x ~ ns.x"),
        DOUBLED.format("'%s%s' % (ns.x, ns.x)"),
        DOUBLED.format("(ns.x | string).replace('a', 'aa')"),
    ],
)
def test_a_template_beyond_its_bounds_is_a_refusal(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "MAX_STEPS", 10_000)
    monkeypatch.setattr(sandbox, "MAX_SIZE", 1_000_000)
    sentence = refusal(source)
    assert any(word in sentence for word in ("steps", "larger than", "recursion"))


def test_steps_are_counted_for_each_rendering(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "MAX_STEPS", 10)
    chat = template("{% for n in range(rounds) %}{% endfor %}ok")
    assert {chat.render(USER, rounds=10) for _ in range(3)} == {"ok"}
    with pytest.raises(ParameterNotSupported):
        chat.render(USER, rounds=11)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("one\n{% for %}", "line 2"),
        ("{{ x | nosuchfilter }}", "nosuchfilter"),
        ("{% generation %}", "'default'"),
        ("{{ " + "(" * 5000 + ")" * 5000 + " }}", "too deep"),
    ],
)
def test_a_template_that_does_not_compile_is_a_card_error(source: str, message: str) -> None:
    with pytest.raises(CardError, match=message):
        template(source)


def test_a_folder_without_a_template_has_none(tmp_path: Path) -> None:
    assert ChatTemplate.open(deployment(tmp_path)) is None
    assert ChatTemplate.open(deployment(tmp_path, tokenizer_config={"bos_token": "<s>"})) is None


def test_the_template_file_precedes_the_tokenizer_config(tmp_path: Path) -> None:
    config = {
        "chat_template": "config",
        "bos_token": "<s>",
        "eos_token": {"content": "</s>"},
        "pad_token": None,
    }
    assert opened(tmp_path, tokenizer_config=config).render(USER) == "config"
    chat = opened(
        tmp_path,
        chat_template_jinja="{{ bos_token }}{{ eos_token }}{{ pad_token }}é",
        special_tokens_map={"bos_token": "<other>", "pad_token": "<pad>"},
    )
    assert chat.render(USER) == "<s></s><pad>é"


def test_the_card_names_the_template_file(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    chat = ChatTemplate.open(deployment(tmp_path, {"chat_template": "mine.txt"}))
    assert chat is not None
    assert chat.render(USER) == "mine"
    with pytest.raises(CardError, match="chat_template"):
        ChatTemplate.open(deployment(tmp_path, {"chat_template": "none.txt"}))


def test_a_template_named_tool_use_renders_requests_with_tools(tmp_path: Path) -> None:
    named = [{"name": "default", "template": "plain"}, {"name": "tool_use", "template": "with tools"}]
    chat = opened(tmp_path, tokenizer_config={"chat_template": named})
    assert chat.supports_tools
    assert (chat.render(USER), chat.render(USER, [TOOL]), chat.render(USER, [])) == (
        *("plain", "with tools", "plain"),
    )


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ({"tokenizer_config": "{"}, r"^tokenizer_config\.json is not JSON"),
        ({"tokenizer_config": []}, r"^tokenizer_config\.json is not a JSON object"),
        ({"tokenizer_config": {"chat_template": 3}}, "^chat_template: .* neither"),
        ({"tokenizer_config": {"chat_template": [{"name": "rag", "template": "x"}]}}, "'default'"),
        ({"chat_template_jinja": "{% if %}"}, "line 1"),
    ],
)
def test_a_broken_file_is_a_card_error_that_names_it(
    tmp_path: Path, contents: dict[str, object], message: str
) -> None:
    with pytest.raises(CardError, match=message):
        ChatTemplate.open(deployment(tmp_path, None, **contents))


def test_a_template_that_is_no_text_is_a_card_error(tmp_path: Path) -> None:
    (tmp_path / "chat_template.jinja").write_bytes(b"\xff")
    with pytest.raises(CardError, match=r"^chat_template\.jinja cannot be read"):
        ChatTemplate.open(deployment(tmp_path))


def test_jinja_is_imported_only_when_a_template_is_opened() -> None:
    program = "import sys, inference.prompt.chat_template; sys.exit('jinja2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0

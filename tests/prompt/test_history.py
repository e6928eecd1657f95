"""Calls and results of the past, as the templates of each family want them."""

import json
from typing import Any

import pytest

from inference.api.chat import ChatRequest
from inference.api.validation import validate
from inference.errors import ParameterNotSupported
from inference.prompt.chat_template import ChatTemplate
from inference.prompt.history import plain
from inference.tool_formats import TOOL_FORMATS
from tests.prompt.families import TEMPLATES

USER = {"role": "user", "content": "Weather?"}
ARGUMENTS = {"city": "Zürich", "days": [1, 2]}
WRITTEN = json.dumps(ARGUMENTS, ensure_ascii=False)
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
SHOWN = {
    "hermes": (
        '<|im_start|>system\n<tools>\n{"type": "function", "function": {"name": "look", '
        '"parameters": {"type": "object"}}}\n</tools><|im_end|>\n'
        "<|im_start|>user\nWeather?<|im_end|>\n"
        f'<|im_start|>assistant\n<tool_call>\n{{"name": "look", "arguments": {WRITTEN}}}'
        "\n</tool_call><|im_end|>\n"
        "<|im_start|>user\n<tool_response>\nsunny\n</tool_response><|im_end|>\n"
        "<|im_start|>assistant\n"
    ),
    "llama3": (
        "<|start_header_id|>user<|end_header_id|>\n\nWeather?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
        f'{{"name": "look", "parameters": {WRITTEN}}}<|eot_id|>'
        "<|start_header_id|>ipython<|end_header_id|>\n\nsunny<|eot_id|><tools>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    ),
    "mistral": (
        "[INST] Weather?[/INST]"
        f'[TOOL_CALLS] [{{"name": "look", "arguments": {WRITTEN}, "id": "ID"}}]</s>'
        '[TOOL_RESULTS] {"content": "sunny", "call_id": "ID"}[/TOOL_RESULTS]'
    ),
    "phi": (
        '<|system|><|tool|>[{"name": "look", "parameters": {"type": "object"}}]<|/tool|><|end|>'
        "<|user|>Weather?<|end|>"
        f'<|assistant|><|tool_call|>[{{"name": "look", "arguments": {WRITTEN}}}]<|/tool_call|><|end|>'
        "<|tool|>sunny<|end|><|assistant|>"
    ),
}


def call(arguments: Any = ARGUMENTS, **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "look", "arguments": arguments}, **more}


def shown(dialect: str, messages: list[dict[str, Any]]) -> str:
    request = validate(ChatRequest, {"messages": messages, "tools": [TOOL]})
    template = ChatTemplate({"default": TEMPLATES[dialect]}, {})
    tools = [tool.model_dump(exclude_unset=True) for tool in request.offered]
    return template.render(plain(request.messages, TOOL_FORMATS[dialect], template), tools)


@pytest.mark.parametrize("dialect", sorted(TOOL_FORMATS))
@pytest.mark.parametrize("arguments", [ARGUMENTS, json.dumps(ARGUMENTS)], ids=["object", "text"])
@pytest.mark.parametrize("known", ["VvvODy9mT", "call_0123456789abcdefghijklmn"])
@pytest.mark.parametrize("named", [True, False])
def test_a_call_and_its_result(dialect: str, arguments: Any, known: str, named: bool) -> None:
    asked = {"role": "assistant", "content": None, "tool_calls": [call(arguments, id=known)]}
    result = {"role": "tool", "content": "sunny", **({"tool_call_id": known} if named else {})}
    expected = SHOWN[dialect].replace('"ID"', json.dumps(TOOL_FORMATS[dialect].template_id(known)))
    assert shown(dialect, [USER, asked, result]) == expected


@pytest.mark.parametrize("dialect", sorted(TOOL_FORMATS))
def test_a_call_without_an_id_is_answered_all_the_same(dialect: str) -> None:
    asked = {"role": "assistant", "tool_calls": [call()]}
    text = shown(dialect, [USER, asked, {"role": "tool", "content": "sunny"}])
    assert "sunny" in text
    assert WRITTEN in text


def told(*messages: dict[str, Any], dialect: str | None = "hermes") -> list[dict[str, Any]]:
    request = validate(ChatRequest, {"messages": list(messages)})
    template = ChatTemplate({"default": "{{ message.tool_calls }}"}, {})
    return plain(request.messages, TOOL_FORMATS[dialect] if dialect else None, template)


def test_results_know_their_calls() -> None:
    asked = {"role": "assistant", "tool_calls": [call(id="a"), call(id="b"), call(id="c")]}
    asked["tool_calls"][1]["function"]["name"] = "find"  # type: ignore[index]
    results = [
        {"role": "tool", "content": "2", "tool_call_id": "b"},
        *({"role": "tool", "content": "x"},) * 2,
    ]
    last = {"role": "tool", "content": "?", "tool_call_id": "elsewhere", "name": "other"}
    names = [
        (message.get("tool_call_id"), message.get("name"))
        for message in told(USER, asked, *results, last, {"role": "tool", "content": "late"})
        if message["role"] == "tool"
    ]
    assert names == [("b", "find"), ("a", "look"), ("c", "look"), ("elsewhere", "other"), (None, None)]


def test_several_calls_are_the_template_s_to_refuse() -> None:
    asked = {"role": "assistant", "tool_calls": [call(id="a"), call(id="b")]}
    with pytest.raises(ParameterNotSupported) as refusal:
        shown("llama3", [USER, asked])
    assert refusal.value.offenders[0].message == "One call at a time, please."


def test_thoughts_of_the_past_are_the_template_s_to_use() -> None:
    answer = {"role": "assistant", "content": "Yes.", "reasoning_content": "hm"}
    assert told(USER, answer, dialect=None)[1] == answer
    assert "reasoning_content" not in told(USER, {"role": "assistant", "content": "Yes."})[1]


def test_without_a_dialect_calls_stay_as_they_are() -> None:
    asked = {"role": "assistant", "content": "Hm.", "tool_calls": [call(id="a")]}
    template = ChatTemplate({"default": "{{ messages[0].content }}"}, {})
    request = validate(ChatRequest, {"messages": [USER, asked]})
    assert plain(request.messages, None, template)[1]["content"] == "Hm."
    spelled = plain(request.messages, TOOL_FORMATS["llama3"], template)[1]
    assert spelled == {"role": "assistant", "content": f'Hm.\n{{"name": "look", "parameters": {WRITTEN}}}'}

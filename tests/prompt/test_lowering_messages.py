"""Earlier calls and results, in the form that the templates of each family expect."""

import json
from typing import Any

import pytest

from inference.api.chat import ChatRequest
from inference.api.validation import validate
from inference.errors import ParameterNotSupported
from inference.prompt.chat_template import ChatTemplate
from inference.prompt.lowering import template_messages
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


def shown(tool_format: str, messages: list[dict[str, Any]]) -> str:
    request = validate(ChatRequest, {"messages": messages, "tools": [TOOL]})
    template = ChatTemplate({"default": TEMPLATES[tool_format]}, {})
    tools = [tool.model_dump(exclude_unset=True) for tool in request.offered_tools]
    return template.render(template_messages(request.messages, TOOL_FORMATS[tool_format], template), tools)


@pytest.mark.parametrize("tool_format", sorted(TOOL_FORMATS))
@pytest.mark.parametrize("arguments", [ARGUMENTS, json.dumps(ARGUMENTS)], ids=["object", "text"])
@pytest.mark.parametrize("call_id", ["VvvODy9mT", "call_0123456789abcdefghijklmn"])
@pytest.mark.parametrize("named", [True, False])
def test_a_call_and_its_result_render_as_the_family_writes_them(
    tool_format: str, arguments: Any, call_id: str, named: bool
) -> None:
    answer = {"role": "assistant", "content": None, "tool_calls": [call(arguments, id=call_id)]}
    result = {"role": "tool", "content": "sunny", **({"tool_call_id": call_id} if named else {})}
    expected = SHOWN[tool_format].replace('"ID"', json.dumps(TOOL_FORMATS[tool_format].template_id(call_id)))
    assert shown(tool_format, [USER, answer, result]) == expected


@pytest.mark.parametrize("tool_format", sorted(TOOL_FORMATS))
def test_a_result_without_an_id_answers_a_call_without_one(tool_format: str) -> None:
    answer = {"role": "assistant", "tool_calls": [call()]}
    text = shown(tool_format, [USER, answer, {"role": "tool", "content": "sunny"}])
    assert "sunny" in text
    assert WRITTEN in text


def converted(*messages: dict[str, Any], tool_format: str | None = "hermes") -> list[dict[str, Any]]:
    request = validate(ChatRequest, {"messages": list(messages)})
    template = ChatTemplate({"default": "{{ message.tool_calls }}"}, {})
    return template_messages(request.messages, TOOL_FORMATS[tool_format] if tool_format else None, template)


def test_results_get_the_id_and_name_of_their_call() -> None:
    answer = {"role": "assistant", "tool_calls": [call(id="a"), call(id="b"), call(id="c")]}
    answer["tool_calls"][1]["function"]["name"] = "find"  # type: ignore[index]
    results = [
        {"role": "tool", "content": "2", "tool_call_id": "b"},
        *({"role": "tool", "content": "x"},) * 2,
    ]
    last = {"role": "tool", "content": "?", "tool_call_id": "unknown", "name": "other"}
    names = [
        (message.get("tool_call_id"), message.get("name"))
        for message in converted(USER, answer, *results, last, {"role": "tool", "content": "late"})
        if message["role"] == "tool"
    ]
    assert names == [("b", "find"), ("a", "look"), ("c", "look"), ("unknown", "other"), (None, None)]


def test_a_template_may_refuse_several_calls() -> None:
    answer = {"role": "assistant", "tool_calls": [call(id="a"), call(id="b")]}
    with pytest.raises(ParameterNotSupported) as refusal:
        shown("llama3", [USER, answer])
    assert refusal.value.offenders[0].message == "One call at a time, please."


def test_earlier_reasoning_reaches_the_template() -> None:
    answer = {"role": "assistant", "content": "Yes.", "reasoning_content": "hm"}
    assert converted(USER, answer, tool_format=None)[1] == answer
    assert "reasoning_content" not in converted(USER, {"role": "assistant", "content": "Yes."})[1]


def test_a_template_without_calls_gets_them_as_text_only_with_a_tool_format() -> None:
    answer = {"role": "assistant", "content": "Hm.", "tool_calls": [call(id="a")]}
    template = ChatTemplate({"default": "{{ messages[0].content }}"}, {})
    request = validate(ChatRequest, {"messages": [USER, answer]})
    assert template_messages(request.messages, None, template)[1]["content"] == "Hm."
    as_text = template_messages(request.messages, TOOL_FORMATS["llama3"], template)[1]
    assert as_text == {"role": "assistant", "content": f'Hm.\n{{"name": "look", "parameters": {WRITTEN}}}'}


@pytest.mark.parametrize(
    ("template", "key"),
    [
        ("{{ message.reasoning_content }}", "reasoning_content"),
        ("{{ message['reasoning'] }}", "reasoning"),
        ("{% if 'thinking' in message %}{{ message.thinking }}{% endif %}", "thinking"),
        ("{{ message.get('reasoning') }}", "reasoning"),
        ("{{ message.content }}", "reasoning_content"),
    ],
)
@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_earlier_reasoning_has_the_key_that_the_template_reads(template: str, key: str, name: str) -> None:
    request = validate(ChatRequest, {"messages": [{"role": "assistant", "content": "Yes.", name: "hm"}]})
    (message,) = template_messages(request.messages, None, ChatTemplate({"default": template}, {}))
    assert message == {"role": "assistant", "content": "Yes.", key: "hm"}


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ({"refusal": "I will not."}, "I will not."),
        ({"content": "Hm.", "refusal": "I will not."}, "Hm.\nI will not."),
        ({"content": [{"type": "refusal", "refusal": "I will not."}]}, "I will not."),
        (
            {"content": [{"type": "text", "text": "Hm."}, {"type": "refusal", "refusal": "No."}]},
            "Hm.\nNo.",
        ),
        ({"content": "Yes.", "refusal": None}, "Yes."),
    ],
)
def test_a_refusal_is_text_that_the_model_sees(answer: dict[str, Any], text: str) -> None:
    assert converted(USER, {"role": "assistant", **answer})[1]["content"] == text


@pytest.mark.parametrize("role", ["system", "developer", "user", "assistant"])
def test_the_name_of_an_author_reaches_the_template(role: str) -> None:
    message = {"role": role, "content": "hi", "name": "ann"}
    assert converted(message)[0] == {**message, "role": "system" if role == "developer" else role}

"""Typed requests to the terms of the engine."""

import json
from pathlib import Path
from typing import Any

import pytest

from inference.api.chat import ChatRequest
from inference.api.completions import CompletionRequest
from inference.api.validation import validate
from inference.cards.card import Card, Deployment
from inference.contracts import Sampling
from inference.errors import InvalidInput, ParameterNotSupported
from inference.prompt import lowering
from inference.prompt.chat_template import ChatTemplate
from inference.prompt.tokenizer import Tokenizer
from tests.support.cards import CHAT, deployment
from tests.support.decoders import END_OF_TEXT, VOCABULARY, byte_tokenizer

USER = {"role": "user", "content": "hi"}
SHOW_ALL = (
    "{{ messages | tojson }}{% if tools %}TOOLS{{ tools | tojson }}{% endif %}"
    "{% if false %}{{ message.tool_calls }}{% endif %}"
)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    byte_tokenizer().save(str(path))
    return Tokenizer.open(path)


@pytest.fixture
def chat(tmp_path: Path) -> Deployment:
    return deployment(tmp_path, CHAT)


def rendered(card: Card, tokenizer: Tokenizer, **body: Any) -> str:
    """Return the messages and tools that reach the template, from a template that prints them."""
    request = validate(ChatRequest, {"messages": [USER], **body})
    ids = lowering.encode_chat(request, card, ChatTemplate({"default": SHOW_ALL}, {}), tokenizer, 512)
    return tokenizer.decode(ids)


def sampled(tokenizer: Tokenizer, version: str = "2024-05-01-preview", **body: Any) -> Sampling:
    request = validate(ChatRequest, {"messages": [USER], **body})
    return lowering.sampling_of(request, version, tokenizer)


def test_messages_reach_the_template_in_the_form_it_expects(chat: Deployment, tokenizer: Tokenizer) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "look", "arguments": '{"a": 1}'}}
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": parts},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "content": "fine", "tool_call_id": "1"},
    ]
    plain_call = {**call, "function": {"name": "look", "arguments": {"a": 1}}}
    assert json.loads(rendered(chat.card, tokenizer, messages=messages)) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "a\nb"},
        {"role": "assistant", "content": "", "tool_calls": [plain_call]},
        {"role": "tool", "content": "fine", "tool_call_id": "1", "name": "look"},
    ]


@pytest.mark.parametrize("arguments", ["not json", "[1]", '"a"'])
def test_arguments_that_are_no_object_stay_text(
    chat: Deployment, tokenizer: Tokenizer, arguments: str
) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "look", "arguments": arguments}}
    messages = [USER, {"role": "assistant", "content": "", "tool_calls": [call]}]
    shown = json.loads(rendered(chat.card, tokenizer, messages=messages))
    assert shown[1]["tool_calls"][0]["function"]["arguments"] == arguments


def test_the_safety_prompt_starts_the_system_message(chat: Deployment, tokenizer: Tokenizer) -> None:
    alone = json.loads(rendered(chat.card, tokenizer, safe_prompt=True))
    assert alone == [{"role": "system", "content": "Be kind."}, USER]
    system = {"role": "system", "content": "Be brief."}
    both = json.loads(rendered(chat.card, tokenizer, safe_prompt=True, messages=[system, USER]))
    assert both == [{"role": "system", "content": "Be kind.\nBe brief."}, USER]
    assert json.loads(rendered(chat.card, tokenizer, safe_prompt=False)) == [USER]


def test_a_reasoning_effort_sets_the_card_s_template_variables(tmp_path: Path, tokenizer: Tokenizer) -> None:
    variables = {"none": {"thinking": False}, "high": {"thinking": True, "budget": 9}}
    effort = {"values": ["none", "high"], "template": variables}
    card = deployment(tmp_path, CHAT, extras={"reasoning_effort": effort}).card
    template = ChatTemplate({"default": "{{ thinking is defined }} {{ thinking }} {{ budget }}"}, {})

    def prompt(**body: Any) -> str:
        request = validate(ChatRequest, {"messages": [USER], **body})
        return tokenizer.decode(lowering.encode_chat(request, card, template, tokenizer, 512))

    assert prompt() == "False  "
    assert prompt(reasoning_effort="none") == "True False "
    assert prompt(reasoning_effort="high") == "True True 9"


def test_tools_are_offered_unless_none_may_be_called(chat: Deployment, tokenizer: Tokenizer) -> None:
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    assert rendered(chat.card, tokenizer, tools=[tool]).endswith("TOOLS" + json.dumps([tool]))
    assert "TOOLS" not in rendered(chat.card, tokenizer, tools=[tool], tool_choice="none")


@pytest.mark.parametrize(
    ("version", "body", "expected"),
    [
        ("2024-05-01-preview", {}, Sampling(temperature=0.7)),
        ("2024-04-01-preview", {}, Sampling(temperature=1.0)),
        ("openai", {}, Sampling(temperature=1.0)),
        ("openai", {"temperature": 0}, Sampling(temperature=0.0)),
        ("openai", {"top_p": 0}, Sampling(temperature=0.0, top_p=0.0)),
        ("openai", {"top_p": 0.5, "seed": -3}, Sampling(top_p=0.5, seed=-3)),
        (
            "openai",
            {"frequency_penalty": -1.5, "presence_penalty": 2},
            Sampling(1.0, 1.0, None, 0.0, -1.5, 2),
        ),
        ("openai", {"logit_bias": {"5": -100}}, Sampling(logit_bias={5: -100})),
        ("openai", {"top_k": 3, "min_p": 0.1, "repetition_penalty": 1.2}, Sampling(1, 1, 3, 0.1, 0, 0, 1.2)),
    ],
)
def test_sampling_has_the_request_s_values_and_the_version_s_defaults(
    tokenizer: Tokenizer, version: str, body: dict[str, Any], expected: Sampling
) -> None:
    assert sampled(tokenizer, version, **body) == expected


@pytest.mark.parametrize("key", ["word", "-1", "1.5", str(VOCABULARY), "٣٤٥"])
def test_a_bias_needs_a_token_of_the_vocabulary(tokenizer: Tokenizer, key: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        sampled(tokenizer, logit_bias={key: 1})
    assert refusal.value.offenders[0].loc == ("body", "logit_bias", key)


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("ab", [((), [97, 98], "ab")]),
        (["a", "b"], [((0,), [97], "a"), ((1,), [98], "b")]),
        ([97, 98], [((), [97, 98], "ab")]),
        ([[97], [98, END_OF_TEXT]], [((0,), [97], "a"), ((1,), [98, END_OF_TEXT], "b<|endoftext|>")]),
        ("", [((), [END_OF_TEXT], "")]),
        ("<|endoftext|>", [((), [END_OF_TEXT], "<|endoftext|>")]),
    ],
)
def test_every_prompt_has_its_tokens_location_and_text(
    tokenizer: Tokenizer, prompt: Any, expected: list[tuple[tuple[int, ...], list[int], str]]
) -> None:
    request = validate(CompletionRequest, {"prompt": prompt})
    prompts = [lowering.Prompt(ids, ("body", "prompt", *loc), text) for loc, ids, text in expected]
    assert lowering.encode_prompts(request, tokenizer, 512, "tiny") == prompts


@pytest.mark.parametrize(("prompt", "loc"), [([1, VOCABULARY], (1,)), ([[1], [VOCABULARY]], (1, 0))])
def test_token_ids_outside_the_vocabulary_are_refused(
    tokenizer: Tokenizer, prompt: Any, loc: tuple[int, ...]
) -> None:
    with pytest.raises(InvalidInput) as refusal:
        lowering.encode_prompts(validate(CompletionRequest, {"prompt": prompt}), tokenizer, 512, "tiny")
    assert refusal.value.offenders[0].loc == ("body", "prompt", *loc)


@pytest.mark.parametrize(("length", "fine"), [(8, True), (9, False)])
def test_a_prompt_longer_than_the_context_is_refused_with_both_numbers(length: int, fine: bool) -> None:
    def check() -> None:
        lowering.check_context_length([1] * length, ("body", "messages"), 8, "tiny")

    if fine:
        check()
        return
    with pytest.raises(ParameterNotSupported) as refusal:
        check()
    assert refusal.value.offenders[0].message == "the prompt has 9 tokens, tiny takes 8"

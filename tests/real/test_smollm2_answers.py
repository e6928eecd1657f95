"""Answers of real weights through the whole service: stop tokens, chats, several choices, tools, formats."""

import json
from typing import Any

import pytest

from inference.conformance.client import text_of, usage_of
from inference.contracts import Route
from inference.prompt.tokenizer import Tokenizer
from tests.real.conftest import Served

pytestmark = pytest.mark.real

GREEDY: dict[str, Any] = {"temperature": 0, "max_tokens": 24}
FRANCE = [{"role": "user", "content": "What is the capital of France?"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"enum": ["celsius", "fahrenheit"]}},
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
    },
}
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def france(smollm2: Served) -> str:
    """The greedy answer to FRANCE."""
    return text_of(smollm2.ask(messages=FRANCE, **GREEDY))


def test_an_answer_ends_at_the_end_of_the_turn(smollm2: Served) -> None:
    messages = [{"role": "user", "content": "Reply with the word yes."}]
    answer = smollm2.ask(messages=messages, temperature=0, max_tokens=300)
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert "<|im_end|>" not in text_of(answer)


def test_a_greedy_answer_repeats(smollm2: Served, france: str) -> None:
    assert text_of(smollm2.ask(messages=FRANCE, **GREEDY)) == france != ""


def test_a_stream_says_what_a_whole_answer_says(smollm2: Served, france: str) -> None:
    chunks = smollm2.ask(messages=FRANCE, **GREEDY, stream=True)
    parts = [
        chunk["choices"][0]["delta"].get("content") or ""
        for chunk in chunks
        if chunk["choices"] and "delta" in chunk["choices"][0]
    ]
    assert "".join(parts) == france


def test_a_stop_string_cuts_the_answer(smollm2: Served, france: str) -> None:
    stop = france.split()[2]
    answer = smollm2.ask(messages=FRANCE, **GREEDY, stop=[stop])
    assert text_of(answer) == france[: france.index(stop)]


def test_a_second_turn_takes_the_first_from_the_cache_and_says_the_same(smollm2: Served) -> None:
    long = "Here is a list of towns: " + ", ".join(f"town number {index}" for index in range(40)) + "."
    turns = [{"role": "user", "content": long}]
    answer = text_of(smollm2.ask(messages=turns, **GREEDY))
    turns += [{"role": "assistant", "content": answer}, {"role": "user", "content": "Name one of them."}]
    cached = smollm2.ask(messages=turns, **GREEDY)
    assert cached["usage"]["prompt_tokens_details"]["cached_tokens"] >= 192
    from tests.real.conftest import serving

    with serving(smollm2.folder) as fresh:
        assert text_of(fresh.ask(messages=turns, **GREEDY)) == text_of(cached)


def test_several_choices_are_those_of_their_seeds(smollm2: Served) -> None:
    body: dict[str, Any] = {"messages": FRANCE, "max_tokens": 12, "temperature": 1.0}
    together = [choice["message"]["content"] for choice in smollm2.ask(**body, n=3, seed=7)["choices"]]
    alone = [text_of(smollm2.ask(**body, seed=7 + choice)) for choice in range(3)]
    assert together == alone
    assert len(set(together)) > 1


def test_a_long_prompt_is_read_to_its_end(smollm2: Served) -> None:
    prompt = "The sea is wide. " * 220 + "The opposite of hot is"
    answer = smollm2.ask(Route.COMPLETIONS, prompt=prompt, max_tokens=4, temperature=0)
    assert usage_of(answer, "prompt_tokens") > 1000
    short = smollm2.ask(Route.COMPLETIONS, prompt="The opposite of hot is", max_tokens=4, temperature=0)
    assert "cold" in text_of(short)


def test_log_probabilities_of_a_prompt_are_the_float_model_s(
    smollm2: Served, reference: dict[str, Any]
) -> None:
    count, theirs = 64, reference["transformers"]
    tokenizer = Tokenizer.open(smollm2.folder / "tokenizer.json")
    prompt = tokenizer.decode(theirs["windows"][0][:count])
    answer = smollm2.ask(Route.COMPLETIONS, prompt=prompt, echo=True, logprobs=1, max_tokens=0, temperature=0)
    found = answer["choices"][0]["logprobs"]["token_logprobs"]
    assert found[0] is None
    differences = [abs(one - other) for one, other in zip(found[1:], theirs["logprobs"], strict=False)]
    assert len(differences) == count - 1
    assert sum(differences) / len(differences) <= 0.1


def test_an_answer_in_a_schema_is_valid(smollm2: Served) -> None:
    answer = smollm2.ask(
        messages=[{"role": "user", "content": "Invent a person. Answer in JSON."}],
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "person", "schema": PERSON, "strict": True},
        },
        temperature=0,
        max_tokens=80,
    )
    found = json.loads(text_of(answer))
    assert sorted(found) == ["age", "name"]
    assert isinstance(found["age"], int)


def test_a_forced_call_is_valid_and_named(with_tools: Served) -> None:
    answer = with_tools.ask(
        messages=[{"role": "user", "content": "How is the weather in Oslo in celsius?"}],
        tools=[WEATHER],
        tool_choice={"type": "function", "function": {"name": "get_weather"}},
        temperature=0,
        max_tokens=80,
    )
    call = answer["choices"][0]["message"]["tool_calls"][0]["function"]
    arguments = json.loads(call["arguments"])
    assert call["name"] == "get_weather"
    assert arguments["unit"] in ("celsius", "fahrenheit")
    assert isinstance(arguments["city"], str)


def test_tools_that_are_not_forced_do_no_harm(with_tools: Served) -> None:
    answer = with_tools.ask(messages=FRANCE, tools=[WEATHER], tool_choice="none", **GREEDY)
    assert text_of(answer)
    assert not answer["choices"][0]["message"].get("tool_calls")

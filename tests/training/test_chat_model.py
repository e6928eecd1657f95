"""The shipped chat model: its folder, its recorded accuracy, and prompts that it gets right."""

from __future__ import annotations

import json

import pytest

from training.chat.dialogue import Message, system, user
from training.chat.evaluate import RECORD
from training.chat.model_card import model_card
from training.chat.recipe import DEPLOYMENT, SHAPE
from training.chat.runtime import Runtime
from training.chat.template import SOURCE
from training.chat.tokenizer import END_OF_TEXT, token_id

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather in a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "name of the city"}},
            "required": ["city"],
        },
    },
}


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    return Runtime(DEPLOYMENT)


def test_the_folder_is_small() -> None:
    assert sum(file.stat().st_size for file in DEPLOYMENT.iterdir()) < 7_500_000


def test_config_tells_the_shape_and_the_ends() -> None:
    config = json.loads((DEPLOYMENT / "config.json").read_text(encoding="utf-8"))
    generation = json.loads((DEPLOYMENT / "generation_config.json").read_text(encoding="utf-8"))
    assert (config["hidden_size"], config["num_hidden_layers"]) == (SHAPE.hidden, SHAPE.layers)
    assert config["eos_token_id"] == generation["eos_token_id"]


def test_the_template_is_the_trained_one() -> None:
    shipped = (DEPLOYMENT / "chat_template.jinja").read_text(encoding="utf-8")
    assert shipped == SOURCE.read_text(encoding="utf-8")


def test_the_ends_are_the_tokenizers(runtime: Runtime) -> None:
    config = json.loads((DEPLOYMENT / "config.json").read_text(encoding="utf-8"))
    assert config["eos_token_id"] == runtime.ends
    assert config["pad_token_id"] == token_id(runtime.tokenizer, END_OF_TEXT)


def test_the_card_shows_the_recorded_accuracy() -> None:
    record = json.loads((DEPLOYMENT / RECORD).read_text(encoding="utf-8"))
    size = (DEPLOYMENT / "model.onnx").stat().st_size
    assert (DEPLOYMENT / "README.md").read_text(encoding="utf-8") == model_card(record, size)
    assert all(
        0 <= right <= asked for score in record for right, asked in (score["held_out"], score["trained"])
    )
    assert len(record) > 15


# How often it is right stands in its README; these are a few that it gets right.
ANSWERS = [
    ([user("hello there")], "Hello! How can I help you?"),
    ([user("What topics do you know?")], "I can explain the routes of this API"),
    ([user("What is the job of /embeddings?")], "turns texts into vectors"),
    ([user("help me call /info")], "curl localhost:7071/info"),
    ([user("i don't know what drop means in extra-parameters")], "removed"),
    ([user("how much is 42 + 7?")], "42 + 7 = 49"),
    ([user("express 3 hours in minutes")], "3 hours is 180 minutes."),
    ([user("tell me the rules of chess")], "I do not know that."),
    ([system("End every answer with over."), user("hi there")], " over"),
]


@pytest.mark.parametrize(("messages", "part"), ANSWERS)
def test_it_answers(runtime: Runtime, messages: list[Message], part: str) -> None:
    assert part in runtime.answer(messages, [])


def test_it_calls_a_tool_and_uses_the_result(runtime: Runtime) -> None:
    question = user("What is the weather in Kyoto?")
    answer = runtime.answer([question], [WEATHER])
    call = {"name": "get_weather", "arguments": {"city": "Kyoto"}}
    assert answer == f"<tool_call>\n{json.dumps(call)}\n</tool_call>"
    called: Message = {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"type": "function", "function": call}],
    }
    result: Message = {"role": "tool", "content": '{"temperature": 21, "sky": "sunny"}'}
    said = runtime.answer([question, called, result], [WEATHER])
    assert said == "For Kyoto, the temperature is 21 and the sky is sunny."


def test_it_needs_no_tool_to_greet(runtime: Runtime) -> None:
    assert runtime.answer([user("hello there")], [WEATHER]).startswith("Hello")


def test_it_fills_json(runtime: Runtime) -> None:
    answer = runtime.answer([user("Give me JSON with name and city: Sara lives in Oslo.")], [])
    assert json.loads(answer) == {"name": "Sara", "city": "Oslo"}


def test_it_continues_plain_text(runtime: Runtime) -> None:
    continued = runtime.complete("The api-version is", limit=30)
    assert continued.startswith(" ")
    assert "<|" not in continued


def test_the_same_prompt_gives_the_same_answer(runtime: Runtime) -> None:
    messages = [user("who is this?")]
    assert runtime.answer(messages, []) == runtime.answer(messages, [])

"""Calls of every dialect, one call where only one may be, and thoughts: over HTTP, whole and streamed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import OpenAI

from tests.http.scripts import write_script
from tests.http.servers import MESSAGES, Server, running
from tests.http.zoo import TOOL, extras
from tests.support.decoders import CARD

PARIS, OSLO = '{"city": "Paris"}', '{"city": "Oslo"}'
SCRIPTS: dict[str, tuple[bytes, ...]] = {
    "hermes": (
        b"Both. ",
        b'<tool_call>{"name": "get_weather", "arguments": {"city": "Paris"}}',
        b"</tool_call>",
        b'\n<tool_call>{"name": "get_weather", "arguments": ',
        b'{"city": "Oslo"}',
        b"}\n</tool_call>",
    ),
    "llama3": (
        b"<|python_tag|>",
        b'{"name": "get_weather", "parameters": ',
        b'{"city": "Paris"',
        b"}}",
        b'; {"name": "get_weather", "parameters": {"city": "Oslo"}}',
    ),
    "mistral": (
        b"[TOOL_CALLS]",
        b'[{"name": "get_weather", "arguments": ',
        b'{"city": "Par',
        b'is"}}',
        b', {"name": "get_weather", "arguments": {"city": "Oslo"}}',
        b"]",
    ),
    "phi": (
        b"<|tool_call|>",
        b'[{"name": "get_weather", "arguments": {"city": ',
        b'"Paris"}}, ',
        b'{"name": "get_weather", "arguments": {"city": "Oslo"}}',
        b"]",
        b"<|/tool_call|>",
    ),
}
SPECIAL = ("<|python_tag|>", "[TOOL_CALLS]", "<|tool_call|>", "<|/tool_call|>", "<think>", "</think>")
FIRST = {"hermes": 3, "llama3": 4, "mistral": 4, "phi": 3}
"""Tokens until the first call is over; one more where the model has begun the next before it is stopped."""
THOUGHTS = (b"<think>", b"\nSo ", b"hm", b"</think>", b"Hi", b"!")
TEXT = "<think>\nSo hm</think>Hi!"


@pytest.fixture(scope="module")
def speakers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("speakers")
    for dialect, script in SCRIPTS.items():
        write_script(root, script, name=dialect, card=_card(dialect), special=SPECIAL)
    write_script(root, THOUGHTS, name="thinker", card={"reasoning": {}}, special=SPECIAL)
    _open_thoughts(
        write_script(root, (b"So ", *THOUGHTS[2:]), name="opened", card={"reasoning": {}}, special=SPECIAL)
    )
    with running(root, root / "log") as server:
        yield server


def _card(dialect: str) -> dict[str, Any]:
    tools = {"tools": {"dialect": dialect}, "tool_choice": {"values": ["none", "auto"]}}
    return {"parameters": {**CARD["parameters"], **tools}, "extras": extras(parallel_tool_calls={})}


def _open_thoughts(folder: Path) -> None:
    """The template opens the thoughts, as DeepSeek's does."""
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text() + "{{ '<think>\n' }}")


def calls_of(answer: httpx.Response) -> list[tuple[str, str]]:
    assert answer.status_code == 200, answer.text
    calls = answer.json()["choices"][0]["message"]["tool_calls"]
    return [(call["function"]["name"], call["function"]["arguments"]) for call in calls]


def chunks_of(answer: httpx.Response) -> list[dict[str, Any]]:
    lines = [line[6:] for line in answer.text.split("\n") if line.startswith("data: {")]
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("dialect", SCRIPTS)
def test_parallel_calls(speakers: Server, dialect: str) -> None:
    answer = speakers.chat(dialect, tools=[TOOL])
    assert calls_of(answer) == [("get_weather", PARIS), ("get_weather", OSLO)]
    (choice,) = answer.json()["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] == ("Both." if dialect == "hermes" else None)
    ids = [call["id"] for call in choice["message"]["tool_calls"]]
    assert len(set(ids)) == 2
    assert {len(one) for one in ids} == {9 if dialect == "mistral" else 29}


@pytest.mark.parametrize("dialect", SCRIPTS)
def test_streamed_arguments_have_the_index_of_their_call(speakers: Server, dialect: str) -> None:
    chunks = chunks_of(speakers.chat(dialect, tools=[TOOL], stream=True))
    arguments = ["", ""]
    for chunk in chunks:
        for call in chunk["choices"][0]["delta"].get("tool_calls", ()):
            arguments[call["index"]] += call["function"]["arguments"]
    assert arguments == [PARIS, OSLO]
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("dialect", SCRIPTS)
def test_without_parallel_calls_the_answer_ends_with_its_first(
    speakers: Server, dialect: str, stream: bool
) -> None:
    answer = speakers.chat(dialect, extra="allow", tools=[TOOL], parallel_tool_calls=False, stream=stream)
    if stream:
        last = chunks_of(answer)[-1]
        indexes = {
            call["index"]
            for chunk in chunks_of(answer)
            for call in chunk["choices"][0]["delta"].get("tool_calls", ())
        }
        assert indexes == {0}
    else:
        assert calls_of(answer) == [("get_weather", PARIS)]
        last = answer.json()
    assert last["choices"][0]["finish_reason"] == "tool_calls"
    assert last["usage"]["completion_tokens"] < len(SCRIPTS[dialect])
    assert last["usage"]["completion_tokens"] <= FIRST[dialect]


def test_with_true_there_may_be_several(speakers: Server) -> None:
    answer = speakers.chat("hermes", extra="allow", tools=[TOOL], parallel_tool_calls=True)
    assert len(calls_of(answer)) == 2


def test_marks_stay_hidden_where_no_tools_are_offered(speakers: Server) -> None:
    message = speakers.chat("phi").json()["choices"][0]["message"]
    assert "tool_calls" not in message
    assert message["content"].startswith('[{"name": "get_weather"')


@pytest.mark.parametrize(("name", "tokens"), [("thinker", 4), ("opened", 3)])
@pytest.mark.parametrize("path", ["/chat/completions?api-version=2025-04-01", "/v1/chat/completions"])
def test_thoughts_have_their_own_place(speakers: Server, name: str, tokens: int, path: str) -> None:
    answer = speakers.post(f"/deployments/{name}{path}", {"messages": MESSAGES}).json()
    message = answer["choices"][0]["message"]
    assert (message["reasoning_content"], message["content"]) == ("So hm", "Hi!")
    assert answer["usage"]["completion_tokens_details"] == {"reasoning_tokens": tokens}


@pytest.mark.parametrize("version", ["2024-04-01-preview", "2024-05-01-preview"])
@pytest.mark.parametrize("name", ["thinker", "opened"])
def test_earlier_versions_keep_thoughts_in_the_text(speakers: Server, name: str, version: str) -> None:
    path = f"/deployments/{name}/chat/completions?api-version={version}"
    message = speakers.post(path, {"messages": MESSAGES}).json()["choices"][0]["message"]
    assert message == {"role": "assistant", "content": TEXT}


def test_streamed_thoughts(speakers: Server) -> None:
    client = OpenAI(base_url=f"{speakers.url}/openai/v1", api_key="any", max_retries=0)
    stream = client.chat.completions.create(
        model="thinker",
        messages=[{"role": "user", "content": "Say something."}],
        stream=True,
        stream_options={"include_usage": True},
    )
    thought, text = "", ""
    for chunk in stream:
        for choice in chunk.choices:
            thought += getattr(choice.delta, "reasoning_content", None) or ""
            text += choice.delta.content or ""
    assert (thought, text) == ("So hm", "Hi!")
    assert chunk.usage is not None
    assert chunk.usage.completion_tokens_details is not None
    assert chunk.usage.completion_tokens_details.reasoning_tokens == 4


def test_a_text_completion_is_left_alone(speakers: Server) -> None:
    answer = speakers.post("/openai/v1/completions", {"model": "thinker", "prompt": "x", "max_tokens": 20})
    assert answer.json()["choices"][0]["text"] == "\nSo hmHi!"

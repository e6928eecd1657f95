"""The example calls of the README and the documents, as they stand there: the starter answers them right."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from inference.api.http_types import HttpRequest, HttpResponse, resolve
from inference.auth.authority import Authenticator
from inference.registry.registry import Registry
from inference.service import Service
from inference.settings import PROJECT, Settings

ADD = "python -m inference models add hf:owner/repo:FILE.gguf"
EXAMPLES = {
    "Hello! Who are you?": f"I am the starter model of this endpoint|{ADD}",
    "What does /embeddings do?": "POST /embeddings turns texts into vectors",
    "Convert 5 km to miles.": "5 kilometres is 3.1 miles.",
    "Hello!": "Hello! How can I help you?",
}
OPENAI = "/openai/v1/chat/completions"
PATHS: dict[str, dict[str, str]] = {
    "/chat/completions": {},
    "/chat/completions?api-version=2024-04-01-preview": {},
    OPENAI: {"model": "starter-chat"},
}
PAGES = [PROJECT / "README.md", PROJECT / "docs" / "clients.md", PROJECT / "inference" / "cli" / "serve.py"]
TOOLS = [
    {
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
]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    root = tmp_path_factory.mktemp("models")
    (root / "starter-chat").symlink_to(PROJECT / "models" / "starter-chat")
    settings = Settings(models=(root,))
    made = Service(settings, Registry(settings), Authenticator.from_settings(settings, loopback=True))
    yield made
    made.close()


async def respond(service: Service, url: str, body: dict[str, Any]) -> HttpResponse:
    path, _, query = url.partition("?")
    content = json.dumps(body).encode()

    async def read(_: int) -> bytes:
        return content

    async def gone() -> bool:
        return False

    pairs = dict(pair.split("=") for pair in query.split("&") if pair)
    return await service.answer(HttpRequest("POST", path, resolve(path[1:]), {}, pairs, read, gone))


async def answer(service: Service, url: str, **body: Any) -> Any:
    response = await respond(service, url, body)
    assert isinstance(response.body, bytes)
    assert response.status == 200, response.body
    return json.loads(response.body)


async def chunks(service: Service, url: str, **body: Any) -> list[Any]:
    response = await respond(service, url, {**body, "stream": True})
    assert not isinstance(response.body, bytes)
    text = b"".join([piece async for piece in response.body]).decode()
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def streamed_arguments(pieces: list[Any]) -> list[str]:
    """The arguments of each call, put together from the chunks of a stream."""
    deltas = [choice["delta"] for piece in pieces for choice in piece["choices"]]
    arguments: dict[int, str] = {}
    for part in (part for delta in deltas for part in delta.get("tool_calls", ())):
        arguments[part["index"]] = arguments.get(part["index"], "") + part["function"].get("arguments", "")
    return list(arguments.values())


@pytest.mark.parametrize("question", EXAMPLES)
def test_an_example_stands_in_the_documents(question: str) -> None:
    assert any(f'"content": "{question}"' in page.read_text(encoding="utf-8") for page in PAGES)


@pytest.mark.parametrize("url", PATHS)
@pytest.mark.parametrize("question", EXAMPLES)
async def test_an_example_is_answered_right_every_time(service: Service, url: str, question: str) -> None:
    messages = [{"role": "user", "content": question}]
    for _ in range(3):
        said = await answer(service, url, messages=messages, **PATHS[url])
        content = said["choices"][0]["message"]["content"]
        assert all(part in content for part in EXAMPLES[question].split("|")), content


async def test_required_calls_end_after_those_the_model_wants(service: Service) -> None:
    messages = [{"role": "user", "content": "What is the weather in Kyoto?"}]
    asked: dict[str, Any] = {"messages": messages, "tools": TOOLS, "tool_choice": "required"}
    whole = await answer(service, OPENAI, model="starter-chat", **asked)
    choice, usage = whole["choices"][0], whole["usage"]
    functions = [call["function"] for call in choice["message"]["tool_calls"]]
    calls = [(one["name"], json.loads(one["arguments"])) for one in functions]
    assert choice["finish_reason"] == "tool_calls"
    assert len(calls) == len({json.dumps(call) for call in calls}) <= 8
    assert usage["completion_tokens"] < 200

    options = {"stream_options": {"include_usage": True}}
    pieces = await chunks(service, OPENAI, model="starter-chat", **asked, **options)
    assert [json.loads(text) for text in streamed_arguments(pieces)] == [given for _, given in calls]
    (counted,) = [piece["usage"] for piece in pieces if piece.get("usage")]
    assert counted["completion_tokens"] == usage["completion_tokens"]
    assert counted["total_tokens"] == usage["total_tokens"]


async def test_the_default_of_the_card_holds_where_a_request_is_silent(service: Service) -> None:
    messages = [{"role": "user", "content": "Tell me about the route for images."}]
    silent = [await answer(service, "/chat/completions", messages=messages) for _ in range(3)]
    greedy = await answer(service, "/chat/completions", messages=messages, temperature=0)
    contents = {one["choices"][0]["message"]["content"] for one in (*silent, greedy)}
    assert len(contents) == 1

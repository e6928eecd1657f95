"""Content safety around a request, in process: the service, the local judges, and how both wait."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from inference.api.chat import ChatRequest
from inference.api.http_types import HttpRequest, HttpResponse, resolve
from inference.auth.authority import Authenticator
from inference.registry.registry import Registry
from inference.service import Service
from inference.settings import PROJECT, InvalidSetting, Settings
from tests.http.filtered import INTRODUCTION, POLITE, write_filtered
from tests.support.classifiers import write_classifier
from tests.support.decoders import CARD, write_decoder

SAMPLE = "docs/content-safety-sample.txt"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_filtered(tmp_path_factory.mktemp("guarded"))
    write_classifier(folder)
    write_decoder(
        folder, name="schematic", card={"parameters": {**CARD["parameters"], "response_format": {}}}
    )
    return folder


@pytest.fixture
def serving(models: Path) -> Callable[..., Any]:
    @asynccontextmanager
    async def serve(**settings: str) -> AsyncIterator[Service]:
        given = {f"INFERENCE_CONTENT_SAFETY_{name}": value for name, value in settings.items()}
        chosen = Settings.from_environment(
            {"INFERENCE_MODELS": str(models), "INFERENCE_THREADS": "1", **given}
        )
        made = Service(chosen, Registry(chosen), Authenticator.from_settings(chosen, loopback=True))
        try:
            yield made
        finally:
            await made.content_filter.aclose()
            made.close()

    return serve


async def post(service: Service, path: str, **body: Any) -> HttpResponse:
    async def read(_: int) -> bytes:
        return json.dumps(body).encode()

    async def gone() -> bool:
        return False

    return await service.answer(HttpRequest("POST", f"/{path}", resolve(path), {}, {}, read, gone))


async def asked(service: Service, deployment: str, content: str, **body: Any) -> Any:
    messages = [{"role": "user", "content": content}]
    answer = await post(service, f"deployments/{deployment}/chat/completions", messages=messages, **body)
    assert isinstance(answer.body, bytes)
    return json.loads(answer.body)


async def test_off_the_sentence_passes_and_nothing_is_there(serving: Callable[..., Any]) -> None:
    async with serving() as service:
        answer = await asked(service, "polite", INTRODUCTION)
        assert answer["choices"][0]["message"]["content"] == POLITE
        assert "content_filter" not in json.dumps(answer)
        assert service.content_filter.describe(service.registry.get("polite")) == {"enabled": False}
        assert service.content_filter.summary.startswith("off")


async def test_the_documented_setting_blocks_the_introductions_sentence(serving: Callable[..., Any]) -> None:
    async with serving(BLOCKLIST_FILES=SAMPLE) as service:
        refused = await asked(service, "polite", INTRODUCTION)
        assert (refused["code"], refused["param"]) == ("content_filter", "messages")
        inner = refused["error"]["innererror"]["content_filter_result"]
        assert inner["violence"] == {"filtered": True, "severity": "medium"}
        assert (await asked(service, "polite", "Hello!"))["choices"][0]["finish_reason"] == "stop"


async def test_a_classifier_judges_both_ways(serving: Callable[..., Any]) -> None:
    async with serving(CLASSIFIER="tiny-judge") as service:
        assert (await asked(service, "polite", "What!"))["code"] == "content_filter"
        assert (await asked(service, "polite", "What."))["choices"][0]["message"]["content"] == POLITE
        described = service.content_filter.describe(service.registry.get("polite"))
        assert described["providers"] == ["tiny-judge"]
        assert not described["images"]


async def test_together_the_stricter_wins(serving: Callable[..., Any]) -> None:
    async with serving(CLASSIFIER="tiny-judge", BLOCKLIST_FILES=SAMPLE) as service:
        assert (await asked(service, "polite", "What!"))["code"] == "content_filter"
        assert (await asked(service, "polite", INTRODUCTION))["code"] == "content_filter"


async def test_a_classifier_that_breaks_is_nobody(serving: Callable[..., Any], models: Path) -> None:
    path = models / "tiny-judge" / "model.onnx"
    graph = path.read_bytes()
    path.write_bytes(b"no graph")
    try:
        async with serving(CLASSIFIER="tiny-judge") as service:
            assert (await asked(service, "polite", "Hello."))["code"] == "content_safety_unavailable"
    finally:
        path.write_bytes(graph)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"CLASSIFIER": "nobody"}, "Unknown model"),
        ({"CLASSIFIER": "polite"}, "no text-classification"),
        ({"BLOCKLIST_FILES": "missing.txt"}, "cannot be read"),
    ],
)
async def test_who_cannot_judge_is_known_at_the_start(
    serving: Callable[..., Any], settings: dict[str, str], problem: str
) -> None:
    with pytest.raises(InvalidSetting, match=problem):
        async with serving(**settings):
            pass


async def test_a_side_that_is_off_is_not_asked_about(serving: Callable[..., Any]) -> None:
    async with serving(BLOCKLIST_FILES=SAMPLE, INPUT="off") as service:
        assert (await asked(service, "polite", INTRODUCTION))["choices"][0]["message"]["content"] == POLITE


async def test_a_stream_is_refused_before_it_begins(serving: Callable[..., Any]) -> None:
    async with serving(BLOCKLIST_FILES=SAMPLE) as service:
        assert (await asked(service, "polite", INTRODUCTION, stream=True))["status"] == 400


async def test_embeddings_say_what_was_not_judged(serving: Callable[..., Any]) -> None:
    async with serving(BLOCKLIST_FILES=SAMPLE, ANNOTATIONS="true") as service:
        answer = await post(service, "embeddings", input=["Hello."])
        assert isinstance(answer.body, bytes)
        (prompt,) = json.loads(answer.body)["prompt_filter_results"]
        assert prompt["content_filter_results"]["hate"] == {"filtered": False, "severity": "safe"}


def schema(text: str, key: str) -> dict[str, Any]:
    """Return a schema with a text in one place."""
    value = [text] if key == "enum" else text
    return {
        "type": "object",
        "properties": {"recipe": {"type": "string", key: value}},
        "required": ["recipe"],
        "additionalProperties": False,
    }


@pytest.mark.parametrize("key", ["description", "enum"])
async def test_schemas_of_tools_are_judged(serving: Callable[..., Any], key: str) -> None:
    async with serving(BLOCKLIST_FILES=SAMPLE) as service:
        for text, code in ((INTRODUCTION, "content_filter"), ("tomato", None)):
            function = {"name": "cook", "parameters": schema(text, key)}
            tools = [{"type": "function", "function": function}]
            assert (await asked(service, "caller", "Hello.", tools=tools)).get("code") == code


@pytest.mark.parametrize("key", ["description", "enum"])
async def test_schemas_of_answers_are_judged(serving: Callable[..., Any], key: str) -> None:
    async with serving(BLOCKLIST_FILES=SAMPLE) as service:
        for text, code in ((INTRODUCTION, "content_filter"), ("tomato", None)):
            wanted = {"name": "recipe", "schema": schema(text, key)}
            form = {"type": "json_schema", "json_schema": wanted}
            answer = await asked(service, "schematic", "Hello.", response_format=form, max_tokens=4)
            assert answer.get("code") == code


@pytest.mark.parametrize(("characters", "on_the_loop"), [(10, True), (100_000, False)])
async def test_the_texts_of_a_long_body_are_gathered_in_a_thread(
    serving: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, characters: int, *, on_the_loop: bool
) -> None:
    threads: list[threading.Thread] = []
    gather = ChatRequest.filtered_texts

    def watched(request: ChatRequest, decode: Any, /) -> Any:
        threads.append(threading.current_thread())
        return gather(request, decode)

    monkeypatch.setattr(ChatRequest, "filtered_texts", watched)
    async with serving(BLOCKLIST_FILES=SAMPLE) as service:
        await asked(service, "polite", "a" * characters)
    assert [thread is threading.current_thread() for thread in threads] == [on_the_loop]


def test_off_the_sdk_is_not_imported() -> None:
    import subprocess

    script = "import sys, inference.service; print([m for m in sys.modules if m.startswith('azure.ai')])"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"

"""`x-dry-run`: what would become of a request."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from inference.api.http_types import HttpRequest, resolve
from inference.auth.authority import Authenticator
from inference.pipeline.dry_run import is_dry_run
from inference.registry.registry import Registry
from inference.service import Service
from inference.settings import Settings
from tests.support import models
from tests.support.decoders import write_decoder

CHAT = {"messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    write_decoder(tmp_path, card={"extras": {"n": {}}})
    settings = Settings(models=(tmp_path,), max_tokens=100)
    made = Service(settings, Registry(settings), Authenticator.from_settings(settings, loopback=True))
    yield made
    made.close()


async def rehearsed(service: Service, body: Any, path: str = "chat/completions", **headers: str) -> Any:
    async def read(_: int) -> bytes:
        return json.dumps(body).encode()

    async def gone() -> bool:
        return False

    given = {"x-dry-run": "true", **{name.replace("_", "-"): value for name, value in headers.items()}}
    call = HttpRequest("POST", f"/{path}", resolve(path), given, {}, read, gone)
    answer = await service.answer(call)
    assert isinstance(answer.body, bytes)
    return {"http": answer.status, **json.loads(answer.body)}


async def test_what_is_honoured_with_the_room_that_is_left(service: Service) -> None:
    report = await rehearsed(service, {**CHAT, "seed": 1, "n": 2}, extra_parameters="allow")
    assert report["http"] == report["status"] == 200
    assert report["honoured"] == {"seed": 1, "n": 2}
    assert report["dropped"] == report["refused"] == []
    [tokens] = report["prompt_tokens"]
    assert report["room"] == [report["context"] - tokens]
    assert report["max_tokens"] == 100


async def test_what_is_dropped(service: Service) -> None:
    report = await rehearsed(
        service, {**CHAT, "seed": 1, "mood": 3, "tools": _tools()}, extra_parameters="drop"
    )
    assert (report["dropped"], report["honoured"]) == (["mood", "tools"], {"seed": 1})


@pytest.mark.parametrize(
    ("body", "code", "loc"),
    [
        ({**CHAT, "response_format": "json_object"}, "parameter_not_supported", ["body", "response_format"]),
        ({**CHAT, "temperature": 3}, "Invalid input", ["body", "temperature"]),
        ({**CHAT, "mood": 3}, "extra_parameters_not_allowed", ["body", "mood"]),
        (
            {"messages": [{"role": "user", "content": "a" * 600}]},
            "parameter_not_supported",
            ["body", "messages"],
        ),
    ],
)
async def test_what_is_refused(service: Service, body: Any, code: str, loc: list[str]) -> None:
    report = await rehearsed(service, body)
    assert report["http"] == 200
    assert report["code"] == code
    assert [refusal["loc"] for refusal in report["refused"]] == [loc]


async def test_a_refusal_under_the_openai_paths_has_their_status_and_code(service: Service) -> None:
    report = await rehearsed(service, {**CHAT, "temperature": 3}, "v1/chat/completions")
    assert (report["http"], report["status"], report["code"]) == (200, 400, "decimal_above_max_value")
    [refused] = report["refused"]
    assert (refused["loc"], refused["message"]) == (["body", "temperature"], "3 is more than 2")


async def test_what_no_json_writer_takes_is_repeated_as_text(service: Service) -> None:
    report = await rehearsed(service, {**CHAT, "seed": 1, "tool_choice": "none", "n": 10**40})
    assert report["http"] == 200
    schema = {**_tools()[0]["function"], "parameters": {"most": 10**40}}
    report = await rehearsed(service, {**CHAT, "tools": [{"type": "function", "function": schema}]})
    assert str(10**40) in json.dumps(report)


async def test_several_prompts_are_counted_each(service: Service) -> None:
    report = await rehearsed(service, {"prompt": ["a", "bcd"], "max_tokens": 5}, "completions")
    assert report["prompt_tokens"] == [1, 3]
    assert report["max_tokens"] == 5


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("chat/completions", [], 400),
        ("embeddings", {"input": "a"}, 404),
        ("deployments/x/completions", {}, 404),
    ],
)
async def test_what_leaves_nothing_to_rehearse_is_refused(
    service: Service, path: str, body: Any, status: int
) -> None:
    assert (await rehearsed(service, body, path))["http"] == status


async def test_no_model_is_run(service: Service) -> None:
    await rehearsed(service, CHAT)
    opened = await service.registry.open(service.registry.get("tiny-chat"), patience=60)
    assert getattr(models.generator(opened), "_thread", "no thread") is None


def _tools() -> list[dict[str, Any]]:
    return [{"type": "function", "function": {"name": "look"}}]


@pytest.mark.parametrize("wrong", [{"mood": 3}, {"temperature": 3}])
async def test_what_nobody_judged_is_not_said_to_be_honoured(service: Service, wrong: dict[str, Any]) -> None:
    report = await rehearsed(service, {**CHAT, **wrong, "seed": 1, "modalities": ["text", "audio"]})
    assert report["honoured"] == {}


@pytest.mark.parametrize("word", ["true", "1", "yes", "on", " ON "])
def test_every_word_for_yes_is_a_dry_run(word: str) -> None:
    assert is_dry_run({"x-dry-run": word})


@pytest.mark.parametrize("headers", [{}, {"x-dry-run": ""}, {"x-dry-run": "off"}, {"x-dry-run": "false"}])
def test_every_word_for_no_is_a_run(headers: dict[str, str]) -> None:
    assert not is_dry_run(headers)


async def test_a_value_in_doubt_is_refused_and_never_run(service: Service) -> None:
    report = await rehearsed(service, CHAT, **{"x-dry-run": "enabled"})
    assert (report["http"], report["code"]) == (400, "invalid_dry_run_header")
    assert report["message"] == "x-dry-run is 'enabled': expected true or false."
    assert report["detail"]["loc"] == ["header", "x-dry-run"]

"""Tasks of embedding models whose graph reads `task_id`, by `input_type` and by `task`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from inference.auth.authority import Authenticator
from inference.backends.encoder.tasks import EncoderTasks, declared_tasks
from inference.cards.card import CardError, parse
from inference.conformance.check import probe_deployment
from inference.importer.findings import ImporterError
from inference.registry.registry import Registry
from inference.service import Service
from inference.settings import Settings
from tests.importer.models import added, bare, card
from tests.support.decoders import write_json
from tests.support.encoders import INPUTS, text_graph, write_text_encoder
from tests.support.exchanges import http_request

PASS_THROUGH = {"extra-parameters": "pass-through"}
NAMES = ["retrieval.query", "retrieval.passage", "text-matching"]
TASKS = {
    "lora_adaptations": NAMES,
    "task_instructions": {"retrieval.query": "find: ", "retrieval.passage": "", "text-matching": ""},
}


def checkpoint(folder: Path, shape: tuple[int, ...] = (), **config: Any) -> Path:
    """Write a model with a task_id of a shape, as a hub has it."""
    source = bare(write_text_encoder(folder, name="adapters"))
    onnx.save(text_graph(0, inputs=(*INPUTS, "task_id"), task_shape=shape), source / "model.onnx")
    written = json.loads((source / "config.json").read_text())
    write_json(source / "config.json", {**written, **TASKS, **config})
    return source


@pytest.fixture(scope="module")
def reports() -> list[str]:
    return []


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory, reports: list[str]) -> Path:
    return added(checkpoint(tmp_path_factory.mktemp("source")), tmp_path_factory.mktemp("models"), reports)


@pytest.fixture(scope="module")
def service(deployment: Path) -> Iterator[Service]:
    settings = Settings(models=(deployment.parent,), threads=1)
    made = Service(settings, Registry(settings), Authenticator.from_settings(settings, loopback=True))
    assert not made.registry.broken
    yield made
    made.close()


async def call(service: Service, path: str = "embeddings", **body: Any) -> tuple[int, Any]:
    response = await service.answer(http_request(path, {"input": ["fog"], **body}, headers=PASS_THROUGH))
    assert isinstance(response.body, bytes)
    return response.status, json.loads(response.body)


async def vector(service: Service, **body: Any) -> list[float]:
    status, answer = await call(service, **body)
    assert status == 200, answer
    found: list[float] = answer["data"][0]["embedding"]
    return found


def test_models_add_writes_the_tasks_and_says_them(deployment: Path, reports: list[str]) -> None:
    made = card(deployment)
    assert list(made["embedding"]["tasks"].items()) == list(TASKS["task_instructions"].items())  # type: ignore[attr-defined]
    assert made["embedding"]["task"] == "text-matching"
    assert made["extras"] == {"truncate": {}, "task": {}}
    assert (
        "The graph has the tasks retrieval.query, retrieval.passage, text-matching: `task` takes them, "
        "`input_type` stands for some (text: text-matching, query: retrieval.query, document: "
        "retrieval.passage)."
    ) in reports


async def test_an_input_type_stands_for_its_task(service: Service) -> None:
    for kind, task in (("query", NAMES[0]), ("document", NAMES[1]), ("text", NAMES[2])):
        assert await vector(service, input_type=kind) == await vector(service, task=task)
        assert await vector(service, input_type=kind, task=task) == await vector(service, task=task)
    assert await vector(service) == await vector(service, task="text-matching")
    assert len({str(await vector(service, task=task)) for task in NAMES}) == len(NAMES)


async def test_a_task_puts_its_instruction_before_the_input(service: Service) -> None:
    _, plain = await call(service, task="retrieval.passage")
    _, instructed = await call(service, task="retrieval.query")
    assert instructed["usage"]["prompt_tokens"] == plain["usage"]["prompt_tokens"] + len("find: ")


async def test_requests_of_several_tasks_do_not_mix(service: Service) -> None:
    alone = [await vector(service, task=task) for task in NAMES]
    together = await asyncio.gather(*(vector(service, task=task) for task in NAMES * 4))
    for index, found in enumerate(together):
        np.testing.assert_allclose(found, alone[index % len(NAMES)], atol=1e-6)


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({"task": "poetry"}, "parameter_not_supported", "poetry is not supported by adapters, which takes"),
        ({"task": ""}, "parameter_not_supported", "which takes retrieval.query, retrieval.passage"),
        ({"task": 1}, "Invalid input", "must be a string, not 1"),
        ({"task": NAMES[1], "input_type": "query"}, "Invalid input", "send one of the two"),
    ],
)
async def test_other_tasks_are_refused_at_their_place(
    service: Service, body: dict[str, Any], code: str, message: str
) -> None:
    status, refusal = await call(service, **body)
    assert (status, refusal["error"]["code"], refusal["detail"]["loc"]) == (422, code, ["body", "task"])
    assert message in json.dumps(refusal)


async def test_info_lists_the_tasks(service: Service) -> None:
    response = await service.answer(http_request("info", method="GET"))
    assert isinstance(response.body, bytes)
    described = json.loads(response.body)["capabilities"]["task"]
    assert described == {"supported": True, "values": NAMES, "default": "text-matching", "extra": True}


async def test_models_check_passes_on_tasks(deployment: Path) -> None:
    settings = Settings(models=(deployment.parent,), threads=1)
    results = [result async for result in probe_deployment("adapters", settings)]
    assert {result.parameter for result in results} >= {"task", "input_type"}
    assert [result for result in results if result.problem] == []


async def test_a_graph_may_read_an_array_of_one_task(tmp_path: Path) -> None:
    deployment = await asyncio.to_thread(added, checkpoint(tmp_path, (1,)), tmp_path / "models")
    settings = Settings(models=(deployment.parent,), threads=1)
    made = Service(settings, Registry(settings), Authenticator.from_settings(settings, loopback=True))
    try:
        status, answer = await call(made, input=["fog", "rain over the coast"], task="retrieval.query")
        assert (status, len(answer["data"])) == (200, 2)
    finally:
        made.close()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"lora_adaptations": None}, "config.json names none. Write the tasks' names under lora_adaptations"),
        ({"lora_adaptations": "query"}, "lora_adaptations is not a list of names"),
        ({"lora_adaptations": ["a", 5]}, "lora_adaptations is not a list of names"),
        ({"lora_adaptations": ["a", "a"]}, "lora_adaptations has a name twice"),
        ({"task_instructions": ["a"]}, "task_instructions is not an object of texts"),
    ],
)
def test_tasks_that_are_no_names_are_refused(tmp_path: Path, config: dict[str, Any], message: str) -> None:
    with pytest.raises(ImporterError, match=message):
        added(checkpoint(tmp_path, **config), tmp_path / "models")


def test_the_usual_task_is_that_of_likes_else_the_first() -> None:
    assert EncoderTasks({"a": "", "query": "q"}, "a").of_input("query") == "query"
    assert EncoderTasks({"a": "", "b": ""}, "a").of_input("document") == "a"
    assert declared_tasks({"lora_adaptations": ["a", "b"], "task_instructions": {"b": "x"}}) == {
        "a": "",
        "b": "x",
    }


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"embedding": {"task": "a"}}, "embedding.task is 'a', embedding.tasks has none"),
        ({"extras": {"task": {}}}, "extras.task needs embedding.tasks"),
        ({"default_prompt": "a"}, "default_prompt is 'a', named_prompts has none"),
    ],
)
def test_a_card_that_contradicts_itself_is_refused(fields: dict[str, Any], message: str) -> None:
    made = {"name": "a", "provider": "tests", "type": "embeddings", "backend": "onnx-text-encoder"}
    with pytest.raises(CardError, match=message):
        parse(json.dumps({**made, **fields}).encode())

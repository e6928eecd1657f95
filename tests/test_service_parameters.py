"""Every row of the table, at, below and beyond its range, of the wrong type and null, on a deployment that
declares it and on one that declares nothing."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from inference.api.http_types import HttpRequest, resolve
from inference.api.parameters import ROWS, Parameter, ParameterPlace, ValueKind
from inference.auth.authority import Authenticator
from inference.backends import BACKENDS
from inference.contracts import Route
from inference.registry.registry import Registry
from inference.service import Service
from inference.settings import Settings
from tests.conformance.test_probes import ALL_GENERATION
from tests.http.pictures import data_url
from tests.support.decoders import write_decoder
from tests.support.encoders import write_image_encoder, write_text_encoder
from tests.support.scorers import write_scorer

BODIES: dict[Route, dict[str, Any]] = {
    Route.CHAT: {"messages": [{"role": "user", "content": "hi"}]},
    Route.COMPLETIONS: {"prompt": "hi"},
    Route.EMBEDDINGS: {"input": ["hi"]},
    Route.IMAGE_EMBEDDINGS: {"input": [{"image": data_url()}]},
    Route.RERANK: {"query": "fog", "documents": ["rain"]},
    Route.CLASSIFY: {"inputs": ["fog"]},
    Route.EMBED_SPARSE: {"inputs": ["fog"]},
}
NAMES = {
    Route.CHAT: "chat",
    Route.COMPLETIONS: "chat",
    Route.EMBEDDINGS: "embed",
    Route.IMAGE_EMBEDDINGS: "images",
    Route.RERANK: "rank",
    Route.CLASSIFY: "classify",
    Route.EMBED_SPARSE: "weigh",
}
NUMBERS = (ValueKind.NUMBER, ValueKind.INTEGER)
WRONG: dict[ValueKind, tuple[Any, ...]] = {
    ValueKind.NUMBER: ("1", [1], {}, True),
    ValueKind.INTEGER: ("1", 1.5, [1], {}, True),
    ValueKind.BOOLEAN: ("true", 1, [], {}),
    ValueKind.STRING: (1, [], True),
    ValueKind.STRINGS: (1, {}, True),
    ValueKind.ARRAY: (1, {}, True),
    ValueKind.OBJECT: (1, [], True),
}
CASES = [(row, route) for row in ROWS for route in sorted(row.routes) if route in BODIES]

NEEDED = ("messages", "input", "query", "documents", "inputs")
OPTIONAL = [(row, route) for row, route in CASES if row.name not in NEEDED]
BOUNDED = [(row, route) for row, route in CASES if row.kind in NUMBERS]


def name_of(value: Parameter | Route) -> str:
    return value.name if isinstance(value, Parameter) else value.replace("/", "-")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    root: Path = tmp_path_factory.mktemp("models")
    write_decoder(root, name="chat-all", card=ALL_GENERATION)
    write_decoder(root, name="chat-bare", card={"parameters": {}, "extras": {}})
    write_text_encoder(root, name="embed-all")
    write_text_encoder(root, name="embed-bare", card={"parameters": {}, "embedding": {}})
    write_image_encoder(root, name="images-all")
    write_image_encoder(root, name="images-bare", card={"parameters": {}, "embedding": {}})
    for name, source in (("rank", "bert"), ("classify", "classifier"), ("weigh", "splade")):
        prompts = {"named_prompts": {"query": "q "}, "extras": {"prompt_name": {}}} if name != "rank" else {}
        write_scorer(root, source, name=f"{name}-all", **prompts)
        write_scorer(root, source, name=f"{name}-bare")
    settings = Settings(models=(root,), max_tokens=4, slots=2, kv_memory_mb=64)
    made = Service(settings, Registry(settings), Authenticator.from_settings(settings, loopback=True))
    assert not made.registry.broken
    yield made
    made.close()


async def answered(service: Service, route: Route, kind: str, **parameters: Any) -> tuple[int, Any]:
    """Status and body, asked of the deployment that declares `all` it can or of the `bare` one."""
    body = json.dumps({**BODIES[route], **parameters}).encode()

    async def read(_: int) -> bytes:
        return body

    async def gone() -> bool:
        return False

    path = f"deployments/{NAMES[route]}-{kind}/{route}"
    answer = await service.answer(
        HttpRequest("POST", f"/{path}", resolve(path), {"extra-parameters": "pass-through"}, {}, read, gone)
    )
    if isinstance(answer.body, bytes):
        return answer.status, json.loads(answer.body)
    return answer.status, [piece async for piece in answer.body]


def refusal(body: Any) -> tuple[str, list[str]]:
    return body["code"], body["detail"]["loc"][:2]


def beyond(row: Parameter) -> Iterator[Any]:
    """Values just outside the row's range."""
    step = 1 if row.kind is ValueKind.INTEGER else 0.001
    if row.minimum is not None:
        yield row.minimum - step if row.kind is ValueKind.NUMBER else int(row.minimum) - 1
    if row.maximum is not None:
        yield row.maximum + step if row.kind is ValueKind.NUMBER else int(row.maximum) + 1


@pytest.mark.parametrize("kind", ["all", "bare"])
@pytest.mark.parametrize(("row", "route"), CASES, ids=name_of)
async def test_wrong_types_are_refused_at_their_place(
    service: Service, row: Parameter, route: Route, kind: str
) -> None:
    for value in _wrong(row, route):
        status, body = await answered(service, route, kind, **{row.name: value})
        assert (status, *refusal(body)) == (422, "Invalid input", ["body", row.name]), value


@pytest.mark.parametrize("kind", ["all", "bare"])
@pytest.mark.parametrize(("row", "route"), OPTIONAL, ids=name_of)
async def test_null_is_absent(service: Service, row: Parameter, route: Route, kind: str) -> None:
    status, body = await answered(service, route, kind, **{row.name: None})
    assert status == 200, body


@pytest.mark.parametrize("kind", ["all", "bare"])
@pytest.mark.parametrize(("row", "route"), BOUNDED, ids=name_of)
async def test_beyond_the_range_is_refused_by_everyone(
    service: Service, row: Parameter, route: Route, kind: str
) -> None:
    for value in beyond(row):
        status, body = await answered(service, route, kind, **{row.name: value})
        assert (status, *refusal(body)) == (422, "Invalid input", ["body", row.name]), value


@pytest.mark.parametrize(
    ("row", "route"), [case for case in BOUNDED if case[0].name != "dimensions"], ids=name_of
)
async def test_the_ends_of_the_range(service: Service, row: Parameter, route: Route) -> None:
    assert row.minimum is not None
    assert row.maximum is not None
    for value in (row.minimum, row.maximum):
        if row.name == "n" and value == row.maximum:
            continue  # more choices than one request may have: 413, tested with the limits
        number = int(value) if row.kind is ValueKind.INTEGER else value
        needs = {"logprobs": True} if row.name == "top_logprobs" else {}
        status, body = await answered(service, route, "all", **{row.name: number}, **needs)
        if _honoured(row) or row.is_neutral(number):
            assert status == 200, body
        else:
            assert (status, *refusal(body)) == (422, "parameter_not_supported", ["body", row.name])
        status, body = await answered(service, route, "bare", **{row.name: number})
        if row.place is not ParameterPlace.ENVELOPE and not row.is_neutral(number):
            assert (status, *refusal(body)) == (422, "parameter_not_supported", ["body", row.name])
        else:
            assert status == 200, body


def _honoured(row: Parameter) -> bool:
    if row.place is ParameterPlace.ENVELOPE:
        return True
    vectors = ("dimensions", "encoding_format")
    declared = {*ALL_GENERATION["parameters"], *ALL_GENERATION["extras"], *vectors}
    return row.name in declared and any(row.name in backend.honours for backend in BACKENDS.values())


def _wrong(row: Parameter, route: Route) -> tuple[Any, ...]:
    if row.name == "logprobs" and route == Route.COMPLETIONS:
        return WRONG[ValueKind.INTEGER]
    if row.name in ("prompt", "input") and route != Route.IMAGE_EMBEDDINGS:
        return (1, {}, True)
    if row.name in ("response_format", "tool_choice", "function_call"):
        return (1, True)
    return WRONG[row.kind]

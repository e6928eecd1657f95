"""The recipe "A route" of CONTRIBUTING, followed by a toy: a row, a request type, parameters, a journey."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from inference.api import parameters
from inference.api.http_types import HttpRequest, HttpResponse, json_response, resolve
from inference.api.parameters import BY_NAME, Parameter, ParameterPlace, ValueKind
from inference.api.response_schemas import RESPONSES
from inference.api.routes import ROUTES, RouteRow, routes_of
from inference.api.validation import Request
from inference.auth.authority import Authenticator
from inference.backends.loaded_models import LoadedModel
from inference.contracts import FilteredText, Route, Task
from inference.pipeline.admission import ResolvedRequest
from inference.pipeline.exchange import Exchange, Journey
from inference.pipeline.openapi import document
from inference.pipeline.planner import text_embedding_model
from inference.registry.registry import Registry
from inference.service import Service
from inference.settings import Settings
from tests.support.encoders import write_text_encoder

TOY = Route("token/count")


class CountRequest(Request):
    """`POST /token/count`."""

    route: ClassVar[Route] = TOY
    text_key: ClassVar[str] = "phrase"

    phrase: str

    def filtered_texts(self, _: Callable[[Sequence[int]], str], /) -> list[list[FilteredText]]:
        return [[FilteredText(self.phrase)]]


@dataclass(frozen=True)
class Count:
    """The lowered request: the tokens of the phrase."""

    tokens: list[int]

    def room(self) -> dict[str, Any]:
        return {"prompt_tokens": [len(self.tokens)]}


class ToyService(Service):
    """The service with the journey of the toy."""

    def journeys(self) -> Mapping[Route, Journey]:
        return {**super().journeys(), TOY: Journey(self.count, self.dry(CountRequest, self._plan_count))}

    async def count(self, exchange: Exchange) -> HttpResponse:
        request, resolved = await self._resolve(CountRequest, exchange)
        async with self.content_filter.check(request, resolved) as check:
            model = await check.alongside(self.open(resolved, exchange))
            plan = await self._plan_count(request, resolved, model, exchange)
            return json_response({"count": len(plan.tokens)}, resolved.headers)

    async def _plan_count(
        self, request: CountRequest, resolved: ResolvedRequest, model: LoadedModel, _: Exchange
    ) -> Count:
        tokenizer = text_embedding_model(model, resolved.deployment.name).tokenizer
        return Count(tokenizer.encode(request.phrase, special=False))


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    phrase = Parameter("phrase", frozenset({TOY}), ValueKind.STRING, "The text.", ParameterPlace.ENVELOPE)
    row = RouteRow(
        route=TOY,
        method="POST",
        summary="The number of tokens of a text",
        response="Count",
        request=CountRequest,
        tasks=frozenset({Task.EMBEDDINGS}),
    )
    monkeypatch.setitem(ROUTES, TOY, row)
    monkeypatch.setitem(RESPONSES, "Count", {"type": "object"})
    monkeypatch.setitem(BY_NAME, "phrase", phrase)
    monkeypatch.setattr(parameters, "ROWS", (*parameters.ROWS, phrase))
    forget_rows()
    write_text_encoder(tmp_path)
    settings = Settings(models=(tmp_path,), threads=1)
    made = ToyService(settings, Registry(settings), Authenticator.from_settings(settings, loopback=True))
    yield made
    made.close()
    monkeypatch.undo()
    forget_rows()


def forget_rows() -> None:
    """Empty the caches of the tables, which no request changes."""
    routes_of.cache_clear()
    parameters.of_route.cache_clear()
    parameters.rows_of.cache_clear()


async def call(service: Service, path: str, body: dict[str, Any], **headers: str) -> tuple[int, Any]:
    async def read(_: int) -> bytes:
        return json.dumps(body).encode()

    async def gone() -> bool:
        return False

    http = HttpRequest("POST", f"/{path}", resolve(path), headers, {}, read, gone)
    response = await service.answer(http)
    assert isinstance(response.body, bytes)
    return response.status, json.loads(response.body)


@pytest.mark.parametrize("base", ["", "models/", "openai/v1/", "deployments/tiny-embeddings/"])
async def test_a_new_row_is_served_under_every_base_path(service: Service, base: str) -> None:
    assert await call(service, f"{base}token/count", {"phrase": "abc"}) == (200, {"count": 3})


async def test_a_new_row_is_dispatched_by_its_method(service: Service) -> None:
    http = HttpRequest("GET", "/token/count", resolve("token/count"), {}, {}, _never, _here)
    response = await service.answer(http)
    assert (response.status, response.headers["Allow"]) == (405, "POST, OPTIONS")


async def test_a_new_row_validates_its_body(service: Service) -> None:
    status, body = await call(service, "token/count", {"phrase": 5})
    assert (status, body["detail"]["loc"]) == (422, ["body", "phrase"])


async def test_a_new_row_can_be_run_dry(service: Service) -> None:
    status, body = await call(service, "token/count", {"phrase": "abcd"}, **{"x-dry-run": "true"})
    assert (status, body["status"], body["prompt_tokens"]) == (200, 200, [4])


async def test_a_new_row_is_in_openapi_and_in_info(service: Service) -> None:
    operation = document()["paths"]["/token/count"]["post"]
    assert operation["summary"] == "The number of tokens of a text"
    assert operation["requestBody"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/CountRequest"
    }
    http = HttpRequest("GET", "/info", resolve("info"), {}, {}, _never, _here)
    response = await service.answer(http)
    assert isinstance(response.body, bytes)
    assert json.loads(response.body)["routes"] == ["/embeddings", "/token/count"]


async def _never(_: int) -> bytes:
    raise AssertionError("a GET has no body")


async def _here() -> bool:
    return False

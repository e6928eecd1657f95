"""Answers held to a form, through the whole journey: refused before they begin, or right when they end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from inference.api.chat import ChatRequest
from inference.api.completions import CompletionRequest
from inference.api.http_types import HttpRequest, resolve
from inference.api.validation import validate
from inference.auth.authority import Authenticator
from inference.registry.registry import Registry
from inference.service import Service
from inference.settings import Settings
from tests.support.decoders import CARD, write_decoder

USER = {"role": "user", "content": "hi"}
FORMS = ("guided_regex", "guided_choice", "guided_grammar")
DECLARED: dict[str, Any] = {
    "parameters": {**CARD["parameters"], "response_format": {}},
    "extras": {**CARD["extras"], **{name: {} for name in FORMS}},
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    root = tmp_path_factory.mktemp("models")
    write_decoder(root, card=DECLARED)
    write_decoder(
        root, name="objects-only", card={"parameters": {"response_format": {"values": ["json_object"]}}}
    )
    settings = Settings(models=(root,))
    service = Service(settings, Registry(settings), Authenticator.from_settings(settings, loopback=True))
    yield service
    service.close()


async def answered(
    service: Service,
    *,
    name: str = "tiny-chat",
    route: str = "chat/completions",
    headers: dict[str, str] | None = None,
    **parameters: Any,
) -> tuple[int, Any]:
    subject = {"messages": [USER]} if route == "chat/completions" else {"prompt": "hi"}
    body = json.dumps({**subject, **parameters}).encode()

    async def read(_: int) -> bytes:
        return body

    async def gone() -> bool:
        return False

    path = f"deployments/{name}/{route}"
    sent = {"extra-parameters": "pass-through", **(headers or {})}
    answer = await service.answer(HttpRequest("POST", f"/{path}", resolve(path), sent, {}, read, gone))
    if isinstance(answer.body, bytes):
        return answer.status, json.loads(answer.body)
    return answer.status, b"".join([piece async for piece in answer.body])


def json_schema(schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "it", "schema": schema, **more}}


@pytest.mark.parametrize("stream", [False, True])
async def test_an_unsupported_keyword_is_refused_before_a_stream_begins(
    service: Service, stream: bool
) -> None:
    asked = json_schema({"properties": {"a": {"not": {"type": "null"}}}}, strict=True)
    status, body = await answered(service, response_format=asked, stream=stream)
    place = ["body", "response_format", "json_schema", "schema", "properties", "a", "not"]
    assert (status, body["code"]) == (422, "parameter_not_supported")
    assert body["detail"] == {"loc": place, "input": {"type": "null"}}


@pytest.mark.parametrize("route", ["chat/completions", "completions"])
@pytest.mark.parametrize(
    ("name", "value"),
    [("guided_regex", "a("), ("guided_grammar", "start: B"), ("guided_choice", ["a" * 200_000])],
)
async def test_a_bad_grammar_is_refused_at_its_parameter(
    service: Service, route: str, name: str, value: Any
) -> None:
    status, body = await answered(service, route=route, stream=True, **{name: value})
    assert (status, body["detail"]["loc"]) == (422, ["body", name])


async def test_two_forms_are_refused_naming_both(service: Service) -> None:
    status, body = await answered(service, guided_regex="a", response_format="json_object")
    assert status == 422
    assert [one["target"] for one in body["error"]["details"]] == ["response_format", "guided_regex"]


async def test_a_card_may_honour_some_forms_only(service: Service) -> None:
    asked = json_schema({})
    status, body = await answered(service, name="objects-only", response_format=asked)
    assert (status, body["detail"]) == (422, {"loc": ["body", "response_format"], "input": "json_schema"})
    status, _ = await answered(service, name="objects-only", guided_regex="a")
    assert status == 422


async def test_a_rehearsal_compiles_too(service: Service) -> None:
    status, body = await answered(service, headers={"x-dry-run": "true"}, guided_regex="(")
    assert (status, body["status"]) == (200, 422)
    assert body["refused"][0]["loc"] == ["body", "guided_regex"]


NODE = {
    "type": "object",
    "properties": {
        "value": {"type": "integer"},
        "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
    },
    "required": ["value", "next"],
    "additionalProperties": False,
}
SCHEMAS: list[dict[str, Any]] = [
    {"enum": ["red", 'gr"een', None, 3]},
    {"type": "object", "properties": {"name": {"type": "string", "maxLength": 9}}, "required": ["name"]},
    {"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 4},
    {"$ref": "#/$defs/node", "$defs": {"node": NODE}},
    {"type": "string", "format": "date-time"},
]


@pytest.mark.parametrize("temperature", [0, 1.5])
@pytest.mark.parametrize("schema", SCHEMAS)
async def test_every_answer_validates_or_was_cut(
    service: Service, schema: dict[str, Any], temperature: float
) -> None:
    asked = json_schema(schema)
    status, body = await answered(
        service, response_format=asked, temperature=temperature, seed=3, n=3, max_tokens=120
    )
    assert status == 200
    for choice in body["choices"]:
        if choice["finish_reason"] != "length":
            assert choice["finish_reason"] == "stop"
            jsonschema.validate(json.loads(choice["message"]["content"]), schema)


async def test_a_form_wins_over_every_bias_and_penalty(service: Service) -> None:
    status, body = await answered(
        service,
        guided_choice=["maybe"],
        logit_bias={str(ord("x")): 100, "258": 100},
        repetition_penalty=2,
        frequency_penalty=2,
    )
    assert status == 200
    assert body["choices"][0]["message"]["content"] == "maybe"


async def test_a_stop_text_still_ends_an_answer_early(service: Service) -> None:
    status, body = await answered(service, guided_choice=["one, two"], stop=[", "])
    assert status == 200
    choice = body["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("one", "stop")


async def test_a_streamed_answer_is_held_too(service: Service) -> None:
    status, stream = await answered(service, route="completions", guided_regex="ab{2}c", stream=True)
    assert status == 200
    chunks = [json.loads(line[6:]) for line in stream.split(b"\n") if line.startswith(b"data: {")]
    assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == "abbc"


async def test_a_length_cuts_the_beginning_of_a_right_answer(service: Service) -> None:
    status, body = await answered(service, guided_choice=["a long answer"], max_tokens=3)
    assert status == 200
    choice = body["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("a l", "length")


def test_the_callers_own_words_for_the_form_are_judged_with_the_rest() -> None:
    given = {"guided_regex": "one", "guided_choice": ["two", "three"], "guided_grammar": "four"}
    chat = validate(ChatRequest, {"messages": [USER], **given})
    text = validate(CompletionRequest, {"prompt": ["a", "b"], **given})
    form = ["one", "four", "two\nthree"]
    assert [[each.text for each in one] for one in chat.filtered_texts(str)] == [["hi", *form]]
    assert [[each.text for each in one] for one in text.filtered_texts(str)] == [["a", *form], ["b"]]

"""`/responses` from its body to its answer, on real models in this process."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from inference.errors import ResponseStoreUnavailable
from inference.response_store.record import StoredResponse
from inference.service import Service
from tests.http.scripts import write_script
from tests.http.zoo import CALL, GREETING, HELLO, ROUND, forms, tools
from tests.support.decoders import CARD, SHAPE, write_decoder
from tests.support.exchanges import http_request
from tests.support.responses import check_items, check_response, check_stream, events_of
from tests.support.services import request, service_of

PATH = "openai/v1/responses"
FUNCTION: dict[str, Any] = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
THOUGHT = (b"<think>", b"Two and ", b"two.", b"</think>", b"Four.")
BASES = ("openai/v1", "v1", "openai", "deployments/greeter/v1", "openai/deployments/greeter")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder: Path = tmp_path_factory.mktemp("responses")
    write_script(folder, HELLO, name="greeter")
    write_script(folder, CALL, name="caller", card={"parameters": tools()})
    write_script(folder, THOUGHT, name="thinker", card={"reasoning": {}})
    write_script(folder, (b"So ", b"far ", b"so ", b"good"), name="breaker", fails=True)
    write_script(folder, ROUND, name="endless", loops=True)
    later = {"parameters": {}, "extras": {"max_completion_tokens": {"max": 3}}}
    write_script(folder, ROUND, name="later", loops=True, card=later)
    write_decoder(folder, name="babbler", seed=3, shape=replace(SHAPE, context=4096), card=forms())
    made = service_of(folder)
    assert not made.registry.broken
    yield made
    made.close()


async def create(service: Service, model: str = "greeter", **body: Any) -> dict[str, Any]:
    """Return the response to a request that is served."""
    status, found = await request(service, PATH, {"model": model, "input": "Hi", **body})
    assert status == 200, found
    check_response(found)
    response: dict[str, Any] = found
    return response


async def stream(service: Service, model: str = "greeter", **body: Any) -> list[dict[str, Any]]:
    """Return the events of a request that is served; the last of them may be any."""
    status, found = await request(service, PATH, {"model": model, "input": "Hi", "stream": True, **body})
    assert status == 200, found
    return events_of(found)


async def refused(service: Service, model: str = "greeter", **body: Any) -> tuple[int, str, str]:
    """Return status, code and place of a refusal."""
    status, found = await request(service, PATH, {"model": model, "input": "Hi", **body})
    error = found["error"]
    assert error["message"]
    return status, error["code"], error["param"]


def text_of(response: dict[str, Any]) -> str:
    messages = [item for item in response["output"] if item["type"] == "message"]
    return "".join(part["text"] for item in messages for part in item["content"])


def calls_of(response: dict[str, Any]) -> list[tuple[str, str]]:
    return [(item["name"], item["arguments"]) for item in response["output"] if "arguments" in item]


def tokens_of(response: dict[str, Any]) -> int:
    return int(response["usage"]["input_tokens"])


# What the specification's own compliance suite asks of a text model, under its names.


async def test_compliance_basic_response(service: Service) -> None:
    response = await create(service, input=[{"type": "message", "role": "user", "content": "Say hello."}])
    assert (response["status"], text_of(response)) == ("completed", GREETING)


async def test_compliance_assistant_phase(service: Service) -> None:
    answer = {"type": "message", "role": "assistant", "content": "Looking.", "phase": "commentary"}
    response = await create(service, input=[{"role": "user", "content": "Hi"}, answer])
    assert response["status"] == "completed"


async def test_compliance_response_output_phase_schema(service: Service) -> None:
    check_items((await create(service))["output"])


async def test_compliance_streaming_response(service: Service) -> None:
    response = check_stream(await stream(service, input=[{"role": "user", "content": "Count."}]))
    assert (response["status"], text_of(response)) == ("completed", GREETING)


async def test_compliance_system_prompt(service: Service) -> None:
    messages = [{"role": "system", "content": "Be a pirate."}, {"role": "user", "content": "Hi"}]
    assert (await create(service, input=messages))["status"] == "completed"


async def test_compliance_tool_calling(service: Service) -> None:
    response = await create(service, "caller", tools=[FUNCTION])
    assert calls_of(response) == [("get_weather", '{"city": "Paris"}')]
    assert [item["type"] for item in response["output"]] == ["message", "function_call"]


async def test_compliance_multi_turn(service: Service) -> None:
    turns = [
        {"role": "user", "content": "My name is Ada."},
        {"role": "assistant", "content": "Hello Ada."},
        {"role": "user", "content": "What is my name?"},
    ]
    assert (await create(service, input=turns))["status"] == "completed"


# Streams.


async def test_a_whole_answer_is_what_a_stream_ends_with(service: Service) -> None:
    for model, more in (("greeter", {}), ("thinker", {}), ("caller", {"tools": [FUNCTION]})):
        whole = await create(service, model, **more)
        streamed = check_stream(await stream(service, model, **more))
        shown = [[_anonymous(item) for item in one["output"]] for one in (whole, streamed)]
        assert shown[0] == shown[1]
        assert tokens_of(whole) == tokens_of(streamed)


def _anonymous(item: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key not in ("id", "call_id")}


async def test_a_model_that_reasons_shows_its_reasoning_first(service: Service) -> None:
    events = await stream(service, "thinker")
    response = check_stream(events)
    assert [item["type"] for item in response["output"]] == ["reasoning", "message"]
    assert response["output"][0]["content"] == [{"type": "reasoning_text", "text": "Two and two."}]
    assert text_of(response) == "Four."
    assert response["usage"]["output_tokens_details"]["reasoning_tokens"] > 0
    assert "response.reasoning_text.delta" in [event["type"] for event in events]


async def test_an_answer_cut_by_its_limit_is_incomplete(service: Service) -> None:
    response = check_stream(await stream(service, "endless", max_output_tokens=3))
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}
    assert response["output"][-1]["status"] == "incomplete"
    assert response["usage"]["output_tokens"] == 3


async def test_the_limit_is_declared_under_either_name(service: Service) -> None:
    response = await create(service, "later", max_output_tokens=2)
    assert (response["usage"]["output_tokens"], response["status"]) == (2, "incomplete")
    refusal = (400, "unsupported_value", "max_output_tokens")
    assert await refused(service, "later", max_output_tokens=4) == refusal
    _, info = await request(service, "info", method="GET", query={"model": "later"})
    assert info["capabilities"]["max_output_tokens"]["max"] == 3


async def test_a_failure_after_the_first_event_ends_the_stream_in_order(service: Service) -> None:
    events = await stream(service, "breaker")
    error, failed = events[-2:]
    assert (error["type"], error["code"], error["error"]["code"]) == ("error", "model_failed", "model_failed")
    assert check_stream(events)["error"]["code"] == "model_failed"
    assert failed["type"] == "response.failed"


async def test_a_failure_of_a_whole_answer_has_a_status(service: Service) -> None:
    status, code, _ = await refused(service, "breaker")
    assert (status, code) == (424, "model_failed")


async def test_log_probabilities_are_asked_for_by_either_key(service: Service) -> None:
    for more in ({"top_logprobs": 2}, {"include": ["message.output_text.logprobs"]}):
        response = check_stream(await stream(service, **more))
        scores = response["output"][0]["content"][0]["logprobs"]
        assert b"".join(bytes(one["bytes"]) for one in scores).decode() == GREETING
        assert {len(one["top_logprobs"]) for one in scores} == {more.get("top_logprobs", 0)}


async def test_a_schema_is_held(service: Service) -> None:
    schema = {"type": "object", "properties": {"n": {"enum": [1, 2]}}, "required": ["n"]}
    form = {"type": "json_schema", "name": "answer", "schema": {**schema, "additionalProperties": False}}
    response = await create(service, "babbler", text={"format": {**form, "strict": True}})
    assert text_of(response) in ('{"n": 1}', '{"n": 2}')
    assert response["text"]["format"]["schema"] == form["schema"]


async def test_a_named_function_is_called_and_allowed_tools_hold(service: Service) -> None:
    tool = {"type": "function", "name": "go", "parameters": {"type": "object", "additionalProperties": False}}
    chosen = {"type": "function", "name": "go"}
    for choice in (chosen, {"type": "allowed_tools", "mode": "required", "tools": [chosen]}):
        response = await create(
            service, "babbler", tools=[FUNCTION, tool], tool_choice=choice, max_tool_calls=1
        )
        assert calls_of(response) == [("go", "{}")]
        assert (response["tool_choice"], response["parallel_tool_calls"]) == (choice, False)


@pytest.mark.parametrize("base", BASES)
async def test_every_openai_base_path_serves_it(service: Service, base: str) -> None:
    status, found = await request(service, f"{base}/responses", {"model": "greeter", "input": "Hi"})
    assert (status, found["model"]) == (200, "greeter")


async def test_the_native_path_names_the_other(service: Service) -> None:
    status, found = await request(service, "responses", {"model": "greeter", "input": "Hi"})
    assert status == 404
    assert "/openai/v1/responses" in found["message"]


# One conversation has the same tokens, however it is spelled.


async def test_every_spelling_of_a_conversation_has_the_same_tokens(service: Service) -> None:
    first = await create(service, input="Hi")
    answer = first["output"][0]
    again = {"role": "user", "content": "Again"}
    spoken = {"role": "assistant", "content": text_of(first)}
    spellings: list[dict[str, Any]] = [
        {"input": "Again", "previous_response_id": first["id"]},
        {"input": [again], "previous_response_id": first["id"]},
        {"input": [{"role": "user", "content": "Hi"}, spoken, again]},
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}, answer, again]},
        {"input": [{"role": "user", "content": "Hi"}, {"type": "item_reference", "id": answer["id"]}, again]},
        {"input": [{"role": "user", "content": "Hi"}, {"id": answer["id"]}, again]},
    ]
    found = [await create(service, **{**one, "temperature": 0}) for one in spellings]
    messages = [{"role": "user", "content": "Hi"}, spoken, again]
    _, chat = await request(service, "openai/v1/chat/completions", {"model": "greeter", "messages": messages})
    assert {tokens_of(one) for one in found} == {chat["usage"]["prompt_tokens"]}
    assert len({text_of(one) for one in found}) == 1


async def test_instructions_are_the_first_system_message_of_this_turn_alone(service: Service) -> None:
    told = await create(service, instructions="Be brief.")
    system = {"role": "system", "content": "Be brief."}
    assert tokens_of(told) == tokens_of(
        await create(service, input=[system, {"role": "user", "content": "Hi"}])
    )
    plain = await create(service)
    more = {"input": "Again"}
    continued = await create(service, previous_response_id=told["id"], **more)
    assert tokens_of(continued) == tokens_of(await create(service, previous_response_id=plain["id"], **more))


async def test_a_tool_loop_goes_on_by_items_or_by_the_id(service: Service) -> None:
    asked = {"role": "user", "content": "Weather?"}
    first = await create(service, "caller", input=[asked], tools=[FUNCTION])
    output = {
        "type": "function_call_output",
        "call_id": first["output"][1]["call_id"],
        "output": "Sunny.",
    }
    by_id = await create(
        service, "caller", input=[output], previous_response_id=first["id"], tools=[FUNCTION]
    )
    by_items = await create(service, "caller", input=[asked, *first["output"], output], tools=[FUNCTION])
    assert tokens_of(by_id) == tokens_of(by_items)
    for parts in ([{"type": "input_text", "text": "Sunny."}],):
        again = await create(
            service,
            "caller",
            input=[asked, *first["output"], {**output, "output": parts}],
            tools=[FUNCTION],
        )
        assert tokens_of(again) == tokens_of(by_items)


async def test_sealed_reasoning_is_handed_back_without_being_kept(service: Service) -> None:
    more: dict[str, Any] = {"store": False, "include": ["reasoning.encrypted_content"]}
    response = await create(service, "thinker", **more)
    reasoning = response["output"][0]
    sealed = {key: reasoning[key] for key in ("type", "id", "summary", "encrypted_content")}
    plain = {key: value for key, value in reasoning.items() if key != "encrypted_content"}
    counts = [
        tokens_of(await create(service, "thinker", input=[{"role": "user", "content": "Hi"}, one, answer]))
        for answer in response["output"][1:]
        for one in (sealed, plain, {**sealed, "encrypted_content": "of another endpoint"})
    ]
    assert counts[0] == counts[1]
    assert "encrypted_content" not in (await create(service, "thinker"))["output"][0]


# What is kept.


async def test_a_response_is_fetched_as_it_was_answered(service: Service) -> None:
    whole = await create(service, metadata={"a": "b"})
    assert await request(service, f"{PATH}/{whole['id']}", method="GET") == (200, whole)
    streamed = check_stream(await stream(service))
    assert await request(service, f"{PATH}/{streamed['id']}", method="GET") == (200, streamed)


async def test_a_response_that_is_not_to_be_kept_is_not(service: Service) -> None:
    response = await create(service, store=False)
    assert response["store"] is False
    status, found = await request(service, f"{PATH}/{response['id']}", method="GET")
    assert (status, found["error"]["code"]) == (404, "not_found")
    assert await refused(service, previous_response_id=response["id"]) == (
        400,
        "previous_response_not_found",
        "previous_response_id",
    )


async def test_deleting_one_turn_leaves_the_later_ones(service: Service) -> None:
    first = await create(service)
    second = await create(service, previous_response_id=first["id"])
    deleted = {"id": first["id"], "object": "response", "deleted": True}
    assert await request(service, f"{PATH}/{first['id']}", method="DELETE") == (200, deleted)
    assert (await request(service, f"{PATH}/{first['id']}", method="DELETE"))[0] == 404
    third = await create(service, previous_response_id=second["id"])
    assert tokens_of(third) > tokens_of(second)


async def test_the_input_of_a_turn_has_that_of_the_turns_before(service: Service) -> None:
    first = await create(service, input="One")
    second = await create(
        service, input=[{"role": "user", "content": "Two"}], previous_response_id=first["id"]
    )
    path = f"{PATH}/{second['id']}/input_items"
    _, found = await request(service, path, method="GET", query={"order": "asc"})
    check_items(found["data"])
    assert [item["content"][0]["text"] for item in found["data"]] == ["One", GREETING, "Two"]
    assert (found["first_id"], found["last_id"]) == (found["data"][0]["id"], found["data"][2]["id"])
    assert found["has_more"] is False
    _, page = await request(service, path, method="GET", query={"limit": "1"})
    assert ([item["content"][0]["text"] for item in page["data"]], page["has_more"]) == (["Two"], True)
    _, page = await request(service, path, method="GET", query={"limit": "1", "after": page["last_id"]})
    assert [item["content"][0]["text"] for item in page["data"]] == [GREETING]


@pytest.mark.parametrize(
    "query", [{"order": "up"}, {"limit": "0"}, {"limit": "101"}, {"limit": "x"}, {"after": "y"}]
)
async def test_a_wrong_page_is_refused_at_its_place(service: Service, query: dict[str, str]) -> None:
    response = await create(service)
    path = f"{PATH}/{response['id']}/input_items"
    status, found = await request(service, path, method="GET", query=query)
    assert (status, found["error"]["param"]) == (400, next(iter(query)))


async def test_nothing_runs_in_the_background(service: Service) -> None:
    response = await create(service)
    status, found = await request(service, f"{PATH}/{response['id']}/cancel", {})
    assert (status, found["error"]["code"], found["error"]["param"]) == (
        400,
        "not_cancellable",
        "response_id",
    )
    status, found = await request(service, f"{PATH}/{response['id']}", method="GET", query={"stream": "true"})
    assert (status, found["error"]["param"]) == (400, "stream")


@pytest.mark.parametrize("name", ["resp_" + "0" * 32, "resp_x", "..%2f", "compact", "{response_id}"])
async def test_what_is_not_there_is_not_found(service: Service, name: str) -> None:
    for path, method in ((name, "GET"), (name, "DELETE"), (f"{name}/input_items", "GET")):
        assert (await request(service, f"{PATH}/{path}", method=method))[0] == 404
    assert (await request(service, f"{PATH}/{name}/cancel", {}))[0] == 404


async def test_compaction_is_not_served_and_a_list_of_responses_is_none(service: Service) -> None:
    assert (await request(service, f"{PATH}/compact", {"model": "greeter", "input": "Hi"}))[0] == 404
    assert (await request(service, PATH, method="GET"))[0] == 405


async def test_a_store_that_fails_refuses_before_and_after(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await create(service)
    store = service.responses._store

    async def away(*_: object) -> StoredResponse:
        raise ResponseStoreUnavailable("The store of responses cannot be used now.")

    monkeypatch.setattr(store, "put", away)
    assert (await refused(service))[:2] == (503, "response_store_unavailable")
    events = await stream(service)
    assert check_stream(events)["error"]["code"] == "response_store_unavailable"
    assert [event["type"] for event in events[-2:]] == ["error", "response.failed"]
    monkeypatch.setattr(store, "get", away)
    assert (await refused(service, previous_response_id=first["id"]))[0] == 503
    assert (await request(service, f"{PATH}/{first['id']}", method="GET"))[0] == 503


async def test_a_stream_whose_caller_left_is_not_kept(service: Service) -> None:
    body = {"model": "endless", "input": "Hi", "stream": True}
    answer = await service.answer(http_request(PATH, body))
    assert isinstance(answer.body, AsyncGenerator)
    first = await anext(answer.body)
    await anext(answer.body)
    await answer.body.aclose()
    response_id = json.loads(first.split(b"data: ")[1])["response"]["id"]
    assert (await request(service, f"{PATH}/{response_id}", method="GET"))[0] == 404


async def test_two_instances_over_one_store_share_a_conversation(tmp_path: Path) -> None:
    write_script(tmp_path / "models", HELLO, name="greeter")
    kept = {"responses": tmp_path / "kept.sqlite3"}
    one, other = (service_of(tmp_path / "models", **kept) for _ in range(2))
    try:
        first = await create(one)
        second = await create(other, previous_response_id=first["id"], input="Again")
        assert tokens_of(second) > tokens_of(first)
        assert (await request(one, f"{PATH}/{second['id']}", method="DELETE"))[0] == 200
        assert (await request(other, f"{PATH}/{second['id']}", method="GET"))[0] == 404
    finally:
        await one.aclose()
        await other.aclose()


async def test_the_tokens_of_an_input_are_those_of_its_answer(service: Service) -> None:
    body: dict[str, Any] = {
        "model": "caller",
        "input": "Hi",
        "tools": [FUNCTION],
        "instructions": "Be brief.",
    }
    status, found = await request(service, f"{PATH}/input_tokens", body)
    assert status == 200
    assert found == {
        "object": "response.input_tokens",
        "input_tokens": tokens_of(await create(service, **body)),
    }


async def test_a_dry_run_reports_in_the_words_of_the_route(service: Service) -> None:
    body = {"model": "greeter", "input": "Hi", "max_output_tokens": 5, "reasoning": {"effort": "low"}}
    status, found = await request(service, PATH, body, headers={"x-dry-run": "true"})
    assert (status, found["status"], found["refused"][0]["target"]) == (200, 400, "reasoning.effort")
    assert found["honoured"] == {"max_output_tokens": 5}
    del body["reasoning"]
    _, found = await request(service, PATH, body, headers={"x-dry-run": "true"})
    assert (found["status"], found["max_tokens"]) == (200, 5)


@pytest.mark.parametrize(("word", "dropped"), [("auto", None), ("concise", "x"), ("detailed", "x")])
@pytest.mark.parametrize("key", ["summary", "generate_summary"])
async def test_a_summary_of_some_length_is_reported_and_not_refused(
    service: Service, key: str, word: str, dropped: str | None
) -> None:
    body = {"model": "thinker", "input": "Hi", "reasoning": {key: word}}
    answer = await service.answer(http_request(PATH, body))
    assert isinstance(answer.body, bytes)
    assert json.loads(answer.body)["reasoning"]["summary"] == "auto"
    assert answer.headers.get("x-ms-dropped-parameters") == (dropped and f"reasoning.{key}")


# A conversation that is too long.


def _turns(count: int) -> list[dict[str, Any]]:
    spoken = ("user", "assistant")
    return [{"role": spoken[number % 2], "content": f"{number:03} " + "x" * 60} for number in range(count)]


async def test_a_conversation_that_is_too_long_is_refused_with_both_numbers(service: Service) -> None:
    status, found = await request(service, PATH, {"model": "greeter", "input": _turns(21)})
    assert (status, found["error"]["code"], found["error"]["param"]) == (
        400,
        "context_length_exceeded",
        "input",
    )
    assert "512 tokens" in found["error"]["message"]


async def test_truncation_drops_the_oldest_and_spares_what_must_stay(service: Service) -> None:
    system = {"role": "system", "content": "Be brief."}
    response = await create(service, input=[system, *_turns(21)], truncation="auto", store=True)
    assert tokens_of(response) == tokens_of(await create(service, input=[system, *_turns(21)[-4:]]))
    _, found = await request(
        service, f"{PATH}/{response['id']}/input_items", method="GET", query={"limit": "100"}
    )
    assert len(found["data"]) == 22


async def test_truncation_takes_a_call_and_its_output_together(service: Service) -> None:
    call = {"type": "function_call", "call_id": "c", "name": "get_weather", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "c", "output": "y" * 60}
    response = await create(
        service, "caller", input=[_turns(1)[0], call, output, *_turns(9)], truncation="auto"
    )
    assert response["truncation"] == "auto"


async def test_truncation_does_not_help_a_message_that_is_too_long(service: Service) -> None:
    assert (await refused(service, input="x" * 600, truncation="auto"))[:2] == (
        400,
        "context_length_exceeded",
    )


# Refusals.


@pytest.mark.parametrize(
    ("body", "code", "place"),
    [
        ({"input": None}, "missing_required_parameter", "input"),
        ({"input": ""}, "empty_string", "input"),
        ({"input": []}, "empty_array", "input"),
        ({"input": 5}, "invalid_type", "input"),
        ({"instructions": 5}, "invalid_type", "instructions"),
        ({"temperature": 3}, "decimal_above_max_value", "temperature"),
        ({"max_output_tokens": 0}, "integer_below_min_value", "max_output_tokens"),
        ({"top_logprobs": 21}, "integer_above_max_value", "top_logprobs"),
        ({"messages": []}, "unknown_parameter", "messages"),
        ({"max_tokens": 5}, "unknown_parameter", "max_tokens"),
        ({"response_format": {"type": "text"}}, "unknown_parameter", "response_format"),
        ({"n": 1}, "unknown_parameter", "n"),
        ({"mood": 1}, "unknown_parameter", "mood"),
        ({"input": [{"role": "user", "content": "x", "mood": 1}]}, "unknown_parameter", "input[0].mood"),
        ({"input": [{"content": "x"}]}, "missing_required_parameter", "input[0].role"),
        ({"input": [{"role": "user"}]}, "missing_required_parameter", "input[0].content"),
        ({"input": [{"role": "dog", "content": "x"}]}, "invalid_value", "input[0].role"),
        ({"input": [{"type": "web_search_call", "id": "ws"}]}, "invalid_value", "input[0].type"),
        (
            {"input": [{"role": "user", "content": [{"type": "output_text", "text": "x"}]}]},
            "invalid_value",
            "input[0].content[0].type",
        ),
        (
            {"input": [{"role": "assistant", "content": [{"type": "input_text", "text": "x"}]}]},
            "invalid_value",
            "input[0].content[0].type",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]},
            "unsupported_value",
            "input[0].content[0]",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
            "unsupported_value",
            "input[0].content[0].file_id",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "data:,x"}]}]},
            "unsupported_value",
            "input[0].content[0]",
        ),
        (
            {"input": [{"type": "function_call", "name": "f", "arguments": "{}"}]},
            "missing_required_parameter",
            "input[0].call_id",
        ),
        (
            {"input": [{"type": "function_call_output", "call_id": "c", "output": "x"}]},
            "invalid_value",
            "input[0].call_id",
        ),
        ({"input": [{"type": "item_reference", "id": "msg_x"}]}, "item_not_found", "input[0].id"),
        ({"tools": [FUNCTION]}, "unsupported_parameter", "tools"),
        ({"tools": [{"type": "web_search"}]}, "unsupported_value", "tools[0].type"),
        ({"tools": [{"type": "hammer"}]}, "invalid_value", "tools[0].type"),
        (
            {"tools": [{"type": "function", "function": {"name": "f"}}]},
            "missing_required_parameter",
            "tools[0].name",
        ),
        ({"tool_choice": "required"}, "invalid_value", "tool_choice"),
        ({"tool_choice": {"type": "function", "name": "f"}}, "invalid_value", "tool_choice.name"),
        ({"tool_choice": {"type": "file_search"}}, "unsupported_value", "tool_choice.type"),
        ({"text": {"format": {"type": "json_object"}}}, "unsupported_parameter", "text.format"),
        ({"text": {"format": {"type": "json_schema"}}}, "missing_required_parameter", "text.format.name"),
        ({"text": {"verbosity": "low"}}, "unsupported_parameter", "text.verbosity"),
        ({"reasoning": {"effort": "low"}}, "unsupported_parameter", "reasoning.effort"),
        ({"include": ["file_search_call.results"]}, "unsupported_value", "include[0]"),
        ({"include": ["everything"]}, "invalid_value", "include[0]"),
        ({"truncation": "some"}, "invalid_value", "truncation"),
        (
            {"stream_options": {"include_obfuscation": True}},
            "unsupported_value",
            "stream_options.include_obfuscation",
        ),
        ({"metadata": {"a": "x" * 513}}, "string_above_max_length", "metadata.a"),
        ({"metadata": {str(number): "" for number in range(17)}}, "object_above_max_properties", "metadata"),
        ({"service_tier": "flex"}, "unsupported_value", "service_tier"),
        ({"prompt_cache_retention": "24h"}, "unsupported_value", "prompt_cache_retention"),
        ({"background": True}, "unsupported_parameter", "background"),
        ({"conversation": "conv_1"}, "unsupported_parameter", "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "unsupported_parameter", "prompt"),
        ({"max_tool_calls": 3}, "unsupported_value", "max_tool_calls"),
        ({"previous_response_id": "resp_x"}, "invalid_value", "previous_response_id"),
    ],
)
async def test_every_refusal_is_at_its_place(
    service: Service, body: dict[str, Any], code: str, place: str
) -> None:
    status = 404 if code == "item_not_found" else 400
    assert await refused(service, **body) == (status, code, place)
    assert await refused(service, **body, stream=True) == (status, code, place)


@pytest.mark.parametrize(
    "body",
    [
        {"include": [], "tools": [], "tool_choice": "auto", "stream": False},
        {"include": ["reasoning.encrypted_content"]},
        {"text": {"format": {"type": "text"}, "verbosity": "medium"}},
        {"reasoning": {"effort": None, "summary": "auto"}, "service_tier": "default"},
        {"parallel_tool_calls": True, "truncation": "disabled", "background": False, "metadata": {}},
        {
            "user": "u",
            "safety_identifier": "s",
            "prompt_cache_key": "k",
            "prompt_cache_retention": "in_memory",
        },
        {"stream_options": {"include_obfuscation": False}, "temperature": None, "top_logprobs": 0},
        {"stop": [], "logit_bias": {}, "frequency_penalty": 0, "presence_penalty": 0},
    ],
)
async def test_what_asks_for_nothing_is_never_refused(service: Service, body: dict[str, Any]) -> None:
    assert (await create(service, **body))["status"] == "completed"


async def test_parameters_of_engines_are_honoured_where_the_card_declares_them(service: Service) -> None:
    response = await create(service, "babbler", seed=1, top_k=1, max_output_tokens=2, stop=["zzz"])
    again = await create(service, "babbler", seed=2, top_k=1, max_output_tokens=2)
    assert text_of(response) == text_of(again)


@pytest.mark.parametrize("more", [{"store": True}, {"previous_response_id": "resp_" + "0" * 32}])
async def test_without_a_store_nothing_is_promised(tmp_path: Path, more: dict[str, Any]) -> None:
    write_script(tmp_path, HELLO, name="greeter")
    service = service_of(tmp_path, responses="off")
    try:
        assert (await create(service))["store"] is False
        name = next(iter(more))
        assert await refused(service, **more) == (400, "unsupported_parameter", name)
        reference = [{"type": "item_reference", "id": "msg_1"}]
        assert await refused(service, input=reference) == (400, "unsupported_parameter", "input[0]")
        _, info = await request(service, "info", method="GET", query={"model": "greeter"})
        assert (info["responses"], "/responses" in info["routes"]) == ({"store": "off"}, True)
        assert info["capabilities"]["max_output_tokens"]["supported"] is True
        assert info["capabilities"]["background"] == {"supported": False}
    finally:
        service.close()


def test_the_card_of_these_tests_declares_no_tools() -> None:
    assert "tools" not in CARD["parameters"]

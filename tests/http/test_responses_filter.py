"""`/responses` behind the content filter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.http.filtered import FORBIDDEN, POLITE, Filtered, filtering, write_filtered
from tests.support.responses import check_response, check_stream, events_of

PATH = "/openai/v1/responses"


@pytest.fixture(scope="module")
def filtered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filtered]:
    folder: Path = tmp_path_factory.mktemp("filtered")
    options = {"INFERENCE_CONTENT_SAFETY_ANNOTATIONS": "true"}
    with filtering(write_filtered(folder / "models"), folder / "log", **options) as made:
        yield made


def post(filtered: Filtered, model: str, **body: Any) -> Any:
    return filtered.server.http.post(PATH, json={"model": model, "input": "Hi", **body})


def test_a_blocked_input_is_refused_as_azure_does_and_leaves_nothing(filtered: Filtered) -> None:
    for more in ({"input": FORBIDDEN}, {"instructions": FORBIDDEN}, {"stream": True, "input": FORBIDDEN}):
        answer = post(filtered, "polite", **more)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["param"]) == (400, "content_filter", "prompt")
        assert error["innererror"]["code"] == "ResponsibleAIPolicyViolation"


def test_the_text_of_a_tool_is_judged(filtered: Filtered) -> None:
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "c", "output": FORBIDDEN}
    answer = post(filtered, "polite", input=[{"role": "user", "content": "Hi"}, call, output])
    assert answer.json()["error"]["code"] == "content_filter"


def test_what_passes_has_its_findings(filtered: Filtered) -> None:
    whole = post(filtered, "polite").json()
    check_response(whole)
    streamed = check_stream(events_of(post(filtered, "polite", stream=True).content))
    for response in (whole, streamed):
        assert response["output"][0]["content"][0]["text"] == POLITE
        kinds = [(one["source_type"], one["blocked"]) for one in response["content_filters"]]
        assert kinds == [("prompt", False), ("completion", False)]
        assert response["content_filters"][1]["content_filter_offsets"]["end_offset"] == len(POLITE)
        assert "violence" in response["content_filters"][1]["content_filter_results"]


def test_a_filtered_stream_ends_incomplete_and_shows_nothing_of_it(filtered: Filtered) -> None:
    events = events_of(post(filtered, "rude", stream=True).content)
    assert events[0]["response"]["content_filters"] is None
    response = check_stream(events)
    assert response["incomplete_details"] == {"reason": "content_filter"}
    # A model that is faster than the first check has shown nothing yet.
    assert [message["status"] for message in response["output"]] in ([], ["incomplete"])
    assert "forbid" not in str(response["output"])
    assert response["content_filters"][-1]["blocked"] is True
    kept = filtered.server.http.get(f"{PATH}/{response['id']}").json()
    assert kept == response


def test_a_filtered_whole_answer_has_no_output(filtered: Filtered) -> None:
    response = post(filtered, "rude").json()
    check_response(response)
    assert (response["status"], response["output"]) == ("incomplete", [])
    assert response["content_filters"][-1]["blocked"] is True


def test_arguments_of_a_call_are_held_back(filtered: Filtered) -> None:
    tool = {"type": "function", "name": "get_weather", "parameters": {"type": "object"}}
    response = check_stream(events_of(post(filtered, "caller", stream=True, tools=[tool]).content))
    assert response["incomplete_details"] == {"reason": "content_filter"}
    assert all("forbidden" not in item.get("arguments", "") for item in response["output"])


def test_a_kept_turn_is_continued_behind_the_filter(filtered: Filtered) -> None:
    first = post(filtered, "polite", input="Tell me a story.").json()
    assert first["status"] == "completed"
    answer = post(filtered, "polite", input=FORBIDDEN, previous_response_id=first["id"])
    assert answer.json()["error"]["code"] == "content_filter"
    assert post(filtered, "polite", previous_response_id=first["id"]).status_code == 200

"""A service on a bad day: what clients see, what they never see, and that nobody waits for ever."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from inference.safety.emulator.server import Fault
from tests.http.filtered import FORBIDDEN, INTRODUCTION, POLITE, Filtered, filtering, write_filtered
from tests.safety.emulating import Emulator, emulator, self_signed, server_of

FAULTS = [fault for fault in Fault if fault is not Fault.NONE]
SAY: list[Any] = [{"role": "user", "content": "Say something."}]
MODES = ("input", "whole", "stream")


@pytest.fixture(scope="module")
def models(workplace: Path) -> Path:
    return write_filtered(workplace / "faulty")


@pytest.fixture(scope="module")
def closed(models: Path, workplace: Path) -> Iterator[Filtered]:
    with filtering(models, workplace / "closed.log", INFERENCE_CONTENT_SAFETY_SECONDS="1") as both:
        yield both


@pytest.fixture(scope="module")
def opened(models: Path, workplace: Path) -> Iterator[Filtered]:
    settings = {"INFERENCE_CONTENT_SAFETY_SECONDS": "1", "INFERENCE_CONTENT_SAFETY_FAIL": "open"}
    with filtering(models, workplace / "open.log", **settings) as both:
        yield both


def asked(filtered: Filtered, mode: str, fault: Fault) -> Any:
    """The answer of a deployment that would say what is forbidden, with the fault where the mode says."""
    # The service is well while it judges the request, and ill when it judges the answer.
    filtered.azure.behave(fault, skip=0 if mode == "input" else 1)
    filtered.azure.server.retry_after = 1.5 if mode == "stream" else 9  # streams take the rest they are told
    deployment = "polite" if mode == "input" else "rude"
    content = f"{fault} {mode} {INTRODUCTION if mode == 'input' else 'Hello.'}"
    try:
        messages = [{"role": "user", "content": content}]
        return filtered.server.chat(deployment, messages=messages, stream=mode == "stream")
    finally:
        filtered.azure.behave()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_is_shown_that_nobody_judged(closed: Filtered, fault: Fault, mode: str) -> None:
    answer = asked(closed, mode, fault)
    assert FORBIDDEN[:9] not in answer.text
    assert answer.status_code == 503
    assert answer.json()["code"] == "content_safety_unavailable"
    assert answer.headers["Retry-After"] == ("9" if fault is Fault.LIMITED and mode != "stream" else "2")
    assert "sentence" not in answer.text


@pytest.fixture(scope="module")
def beating(models: Path, workplace: Path) -> Iterator[Filtered]:
    """An endpoint whose heartbeats come every second."""
    with filtering(models, workplace / "beating.log", INFERENCE_HEARTBEAT_SECONDS="1") as both:
        yield both


@pytest.mark.parametrize("seconds", [4, 20])
def test_a_stream_that_waits_for_its_first_verdict_sends_no_heartbeat(
    beating: Filtered, seconds: float
) -> None:
    beating.azure.behave(Fault.LIMITED, skip=1)
    beating.azure.server.retry_after = seconds
    messages = [{"role": "user", "content": f"limited {seconds}"}]
    answer = beating.server.chat("polite", messages=messages, stream=True)
    beating.azure.behave()
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, str(seconds))
    assert answer.json()["code"] == "content_safety_unavailable"


@pytest.mark.parametrize("fault", FAULTS)
def test_after_the_first_byte_the_rest_is_withheld(closed: Filtered, fault: Fault) -> None:
    # The request and the first window are judged well.
    closed.azure.behave(fault, skip=2)
    closed.azure.server.retry_after = 1.5
    hello = [{"role": "user", "content": f"{fault} later"}]
    answer = closed.server.chat("endless", messages=hello, stream=True, max_tokens=3500)
    closed.azure.behave()
    assert answer.status_code == 200
    *events, done = [line for line in answer.text.split("\n") if line]
    assert done == "data: [DONE]"
    last = json.loads(events[-1].removeprefix("data: "))["choices"][0]
    assert last["finish_reason"] == "content_filter"
    assert last["content_filter_results"]["error"]["code"] == "content_filter_error"
    assert 0 < len("".join(_texts(answer.text))) < 3 * 3500


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("fault", [Fault.RESET, Fault.BROKEN, Fault.NO_SEVERITY])
def test_open_everything_passes_with_its_mark(opened: Filtered, fault: Fault, mode: str) -> None:
    answer = asked(opened, mode, fault)
    assert answer.status_code == 200
    assert "content_filter_error" in answer.text
    said = (
        "".join(_texts(answer.text))
        if mode == "stream"
        else answer.json()["choices"][0]["message"]["content"]
    )
    assert said == POLITE if mode == "input" else FORBIDDEN in said


def _texts(text: str) -> Iterator[str]:
    for line in text.split("\n"):
        if line.startswith("data: {"):
            for choice in json.loads(line.removeprefix("data: "))["choices"]:
                yield choice["delta"].get("content") or ""


def test_the_endpoint_is_well_when_the_service_is_again(closed: Filtered) -> None:
    asked(closed, "whole", Fault.RESET)
    assert closed.server.chat("polite", messages=SAY).json()["choices"][0]["message"]["content"] == POLITE


@pytest.fixture(scope="module")
def unknown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with emulator(server_of(), self_signed(tmp_path_factory.mktemp("tls"))) as azure:
        yield azure


def test_a_certificate_that_nobody_knows(models: Path, workplace: Path, unknown: Emulator) -> None:
    by = {"INFERENCE_CONTENT_SAFETY_ENDPOINT": unknown.url}
    with filtering(models, workplace / "tls.log", **by) as both:
        for stream in (False, True):
            answer = both.server.chat("rude", messages=SAY, stream=stream)
            assert (answer.status_code, answer.json()["code"]) == (503, "content_safety_unavailable")

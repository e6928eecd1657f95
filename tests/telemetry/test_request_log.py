"""The id of a request and its line in the log."""

import logging
import re

import pytest

from inference.contracts import Usage
from inference.telemetry.request_log import MAX_CHARACTERS, RequestTrace

FORGED = "POST /completions -> 200 ok deployment=forged id=forged"
LINE = re.compile(
    r"GET (?P<path>\S+) -> 404 not_found deployment=- tokens=0\+0 dropped=(?P<dropped>\S+) label=-"
    r" \d+\.\d ms id=[0-9a-f-]{36}"
)
CONTROL_CHARACTERS = [*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0)), "\u2028", "\u2029", "\ud800"]


def line_of(trace: RequestTrace, caplog: pytest.LogCaptureFixture) -> str:
    """End a request with 404 and return the message of its only log record."""
    caplog.clear()
    trace.outcome = "not_found"
    with caplog.at_level(logging.INFO, "inference.requests"):
        trace.finish(404)
    (record,) = caplog.records
    return record.getMessage()


def test_the_id_of_the_caller_is_kept() -> None:
    trace = RequestTrace.start("GET", "/info", {"x-ms-client-request-id": "abc-1"})
    names = ("x-request-id", "x-ms-request-id", "apim-request-id")
    assert trace.headers == dict.fromkeys(names, "abc-1")


@pytest.mark.parametrize(
    "client_id",
    ["", "a b", "a\r\nSet-Cookie: x", "abc\n", f"abc\r\n{FORGED}", "\x1b[2Kabc", "abc\x00", "a" * 129, "é"],
)
def test_an_id_of_the_caller_with_other_characters_is_replaced(client_id: str) -> None:
    trace = RequestTrace.start("GET", "/info", {"x-ms-client-request-id": client_id})
    assert re.fullmatch(r"[0-9a-f-]{36}", trace.id)


def test_the_line_has_the_outcome_and_the_usage(caplog: pytest.LogCaptureFixture) -> None:
    trace = RequestTrace.start("POST", "/embeddings", {})
    trace.deployment = "tiny"
    trace.dropped = ("n", "user")
    trace.record_usage(Usage(3, 4))
    with caplog.at_level(logging.INFO, "inference.requests"):
        trace.finish(200)
    assert "POST /embeddings -> 200 ok deployment=tiny tokens=3+4 dropped=n,user" in caplog.text
    assert caplog.text.count("\n") == 1


@pytest.mark.parametrize("character", CONTROL_CHARACTERS, ids=ascii)
def test_a_control_character_in_a_path_or_a_parameter_is_escaped(
    character: str, caplog: pytest.LogCaptureFixture
) -> None:
    trace = RequestTrace.start("GET", f"/chat{character}{FORGED}", {})
    trace.dropped = (f"top{character}{FORGED}",)
    line = line_of(trace, caplog)
    assert line.isascii()
    assert line.isprintable()
    assert LINE.fullmatch(line)


def test_escaped_text_is_readable(caplog: pytest.LogCaptureFixture) -> None:
    match = LINE.fullmatch(line_of(RequestTrace.start("GET", "/a\r\n\x1b[31m b\\n", {}), caplog))
    assert match
    assert match["path"] == r"/a\r\n\x1b[31m\x20b\\n"


def test_a_method_with_a_line_break_is_escaped(caplog: pytest.LogCaptureFixture) -> None:
    line = line_of(RequestTrace.start(f"GET\n{FORGED}", "/info", {}), caplog)
    assert line.startswith(r"GET\nPOST\x20/completions")
    assert line.isprintable()


def test_a_long_path_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    match = LINE.fullmatch(line_of(RequestTrace.start("GET", "/" + "\n" * MAX_CHARACTERS, {}), caplog))
    assert match
    assert len(match["path"]) == MAX_CHARACTERS


def test_labels_are_recorded_as_a_digest(caplog: pytest.LogCaptureFixture) -> None:
    trace = RequestTrace.start("GET", "/info", {})
    trace.record_labels({"user": f"someone\n{FORGED}"})
    line = line_of(trace, caplog)
    assert re.search(r" label=[0-9a-f]{12} ", line)
    assert "someone" not in line

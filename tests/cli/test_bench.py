"""`python -m inference bench`: bounded load, measurements, and consent for other machines."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any

import pytest

from inference.__main__ import main
from inference.cli.bench import LoadAnswer, LoadBounds, LoadResult, load, percentile, report
from inference.cli.chat_client import AnswerPiece, Refusal
from tests.http.servers import Server


class CountingClient:
    """A client that refuses every third request, and counts those that are open at once."""

    def __init__(self) -> None:
        self.requests = self.open = self.most_open = 0

    async def answer(self, body: Mapping[str, Any]) -> AsyncGenerator[AnswerPiece, None]:
        self.requests += 1
        number = self.requests
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            if number % 3 == 0:
                raise Refusal("busy")
            yield AnswerPiece("a")
            yield AnswerPiece("b", "length", {"completion_tokens": 7})
        finally:
            self.open -= 1

    async def close(self) -> None: ...


async def test_the_load_has_no_more_requests_than_its_bounds() -> None:
    client = CountingClient()
    result = await load(client, LoadBounds(streams=4, requests=9, seconds=60, max_tokens=8))
    assert client.requests == len(result.answers) == 9
    assert client.most_open <= 4
    assert sorted(answer.tokens for answer in result.answers) == [0, 0, 0, *[7] * 6]


async def test_no_request_starts_after_the_time_is_over() -> None:
    result = await load(CountingClient(), LoadBounds(streams=2, requests=9, seconds=0, max_tokens=8))
    assert result.answers == ()


def test_a_percentile_is_one_of_the_values() -> None:
    values = [float(number) for number in range(1, 101)]
    assert [percentile(values, percent) for percent in (50, 90, 99)] == [50, 90, 99]
    assert percentile([3.0], 99) == 3.0


def test_the_report_has_totals_percentiles_and_reasons() -> None:
    answers = (LoadAnswer(0.1, 1.0, 10), LoadAnswer(0.3, 2.0, 10), LoadAnswer(0, 0.5, 0, "busy"))
    lines = list(report(LoadResult(answers, 4.0)))
    assert lines[0] == "2 answers, 1 refused, 4.0 s"
    assert lines[1] == "20 tokens, 5.0 tokens/s in all, 0.50 answers/s"
    assert lines[4].split()[-3:] == ["100.0", "300.0", "300.0"]
    assert lines[6].split()[-3:] == ["10.0", "5.0", "5.0"]
    assert lines[-1] == "refused 1 times: busy"
    assert list(report(LoadResult((), 0.0))) == ["0 answers, 0 refused, 0.0 s"]


def test_an_endpoint_is_measured(endpoint: Server, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["bench", endpoint.url, "--model", "greeter", "--streams", "2", "--requests", "4"]
    assert main(arguments) == 0
    assert "4 answers, 0 refused" in capsys.readouterr().out
    assert main([*arguments[:2], "--model", "none", "--requests", "1"]) == 1
    assert "refused 1 times: Unknown model: none" in capsys.readouterr().out


def test_another_machine_is_refused_without_yes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "https://example.invalid"]) == 1
    assert "example.invalid is another machine: add --yes" in capsys.readouterr().err


def test_a_count_below_1_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["bench", "http://127.0.0.1", "--streams", "0"])
    assert "--streams: expected a whole number of at least 1" in capsys.readouterr().err

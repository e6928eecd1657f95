"""`python -m inference bench`: bounded load, honest numbers, nobody else's machine by accident."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any

import pytest

from inference.__main__ import main
from inference.cli.bench import Load, LoadAnswer, LoadBounds, load, percentile, report
from inference.cli.chat_client import AnswerPiece, Refusal
from tests.http.servers import Server


class Counting:
    """Answers every third request with a refusal; keeps how many were open at once."""

    def __init__(self) -> None:
        self.asked = self.open = self.most = 0

    async def answer(self, body: Mapping[str, Any]) -> AsyncGenerator[AnswerPiece, None]:
        self.asked += 1
        mine = self.asked
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            if mine % 3 == 0:
                raise Refusal("busy")
            yield AnswerPiece("a")
            yield AnswerPiece("b", "length", {"completion_tokens": 7})
        finally:
            self.open -= 1

    async def close(self) -> None: ...


async def test_no_more_is_asked_than_was_said() -> None:
    speaker = Counting()
    found = await load(speaker, LoadBounds(streams=4, requests=9, seconds=60, max_tokens=8))
    assert speaker.asked == len(found.answered) == 9
    assert speaker.most <= 4
    assert sorted(one.tokens for one in found.answered) == [0, 0, 0, *[7] * 6]
    nothing = await load(Counting(), LoadBounds(streams=2, requests=9, seconds=0, max_tokens=8))
    assert nothing.answered == ()


def test_percentiles_are_values_that_were_seen() -> None:
    values = [float(number) for number in range(1, 101)]
    assert [percentile(values, percent) for percent in (50, 90, 99)] == [50, 90, 99]
    assert percentile([3.0], 99) == 3.0


def test_the_report_adds_up() -> None:
    answered = (LoadAnswer(0.1, 1.0, 10), LoadAnswer(0.3, 2.0, 10), LoadAnswer(0, 0.5, 0, "busy"))
    lines = list(report(Load(answered, 4.0)))
    assert lines[0] == "2 answers, 1 refused, 4.0 s"
    assert lines[1] == "20 tokens, 5.0 tokens/s in all, 0.50 answers/s"
    assert lines[4].split()[-3:] == ["100.0", "300.0", "300.0"]
    assert lines[6].split()[-3:] == ["10.0", "5.0", "5.0"]
    assert lines[-1] == "refused 1 times: busy"
    assert list(report(Load((), 0.0))) == ["0 answers, 0 refused, 0.0 s"]


def test_an_endpoint_is_measured(endpoint: Server, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["bench", endpoint.url, "--model", "greeter", "--streams", "2", "--requests", "4"]
    assert main(asked) == 0
    assert "4 answers, 0 refused" in capsys.readouterr().out
    assert main([*asked[:2], "--model", "none", "--requests", "1"]) == 1
    assert "refused 1 times: Unknown model: none" in capsys.readouterr().out


def test_another_machine_is_asked_only_with_yes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "https://example.invalid"]) == 1
    assert "example.invalid is another machine: say --yes" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["bench", "http://127.0.0.1", "--streams", "0"])

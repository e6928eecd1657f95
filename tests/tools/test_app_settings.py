from __future__ import annotations

import pytest

from tools.app_settings import EXAMPLE, main, problems

NO_VALUE = "Expecting value: line 1 column 1 (char 0)"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("{}", id="nothing"),
        pytest.param(EXAMPLE, id="the example"),
        pytest.param('{"OTEL_SERVICE_NAME": "chat"}', id="of another program"),
    ],
)
def test_settings_that_the_app_can_use_have_no_problem(text: str) -> None:
    assert list(problems(text)) == []


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        pytest.param(
            "INFERENCE_SLOTS=4",
            [f"APP_SETTINGS is not JSON ({NO_VALUE}). It is an object of names and texts: {EXAMPLE}."],
            id="not JSON",
        ),
        pytest.param(
            "[]",
            [f"APP_SETTINGS is not an object of names and texts: {EXAMPLE}."],
            id="not an object",
        ),
        pytest.param(
            '{"INFERENCE_SLOT": "4", "INFERENCE_SLOTS": "none"}',
            [
                "INFERENCE_SLOT is not a setting and has no effect; the nearest setting is INFERENCE_SLOTS.",
                "INFERENCE_SLOTS is 'none': expected a whole number of at least 1.",
            ],
            id="an unknown name and a value that cannot be parsed",
        ),
        pytest.param(
            '{"INFERENCE_SLOTS": 4}',
            ['INFERENCE_SLOTS is 4: the value of a setting is a text, "4".'],
            id="a number",
        ),
    ],
)
def test_every_problem_is_a_sentence(text: str, sentences: list[str]) -> None:
    assert list(problems(text)) == sentences


def test_the_command_ends_with_1_where_a_setting_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("APP_SETTINGS", '{"INFERENCE_SLOTS": "0"}')
    assert main() == 1
    assert capsys.readouterr().err.startswith("INFERENCE_SLOTS is '0': ")
    monkeypatch.delenv("APP_SETTINGS")
    assert main() == 0

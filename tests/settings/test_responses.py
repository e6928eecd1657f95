"""The settings of the responses that are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference.settings import PROJECT, Container, InvalidSetting, Settings
from inference.settings.responses import runs_on_azure


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("off", "off"),
        (" Memory ", "memory"),
        ("/srv/kept.sqlite3", Path("/srv/kept.sqlite3")),
        ("kept.sqlite3", PROJECT / "kept.sqlite3"),
        (
            "https://a.blob.core.windows.net/responses/app",
            Container("https://a.blob.core.windows.net", "responses", "app"),
        ),
        ("http://127.0.0.1:10000/dev/responses", Container("http://127.0.0.1:10000/dev", "responses")),
    ],
)
def test_a_place_is_a_word_a_file_or_a_container(text: str, place: object) -> None:
    assert Settings.from_environment({"INFERENCE_RESPONSES": text}).response_place == place


def test_a_signature_of_the_container_is_not_shown() -> None:
    url = "https://a.blob.core.windows.net/responses?sig=secret"
    assert "secret" not in repr(Settings.from_environment({"INFERENCE_RESPONSES": url}))


@pytest.mark.parametrize(
    ("variable", "text", "sentence"),
    [
        ("INFERENCE_RESPONSES", "models", "is a folder: name a file in it"),
        ("INFERENCE_RESPONSES", "http://example.com/responses", "http:// only for localhost"),
        ("INFERENCE_RESPONSES", "https://a.blob.core.windows.net", "expected the name of a container"),
        ("INFERENCE_RESPONSES_DAYS", "0", "expected a whole number of at least 1"),
        ("INFERENCE_RESPONSES_DAYS", "36501", "expected at most 36500 days"),
        ("INFERENCE_RESPONSES_MAX_BYTES", "1023", "expected a whole number of at least 1024"),
    ],
)
def test_another_text_is_refused_with_what_is_allowed(variable: str, text: str, sentence: str) -> None:
    with pytest.raises(InvalidSetting, match=sentence):
        Settings.from_environment({variable: text})


def test_an_app_on_azure_is_known_by_the_variables_of_its_instances() -> None:
    assert runs_on_azure({"WEBSITE_INSTANCE_ID": "7"})
    assert runs_on_azure({"CONTAINER_APP_NAME": "app"})
    assert not runs_on_azure({"WEBSITE_INSTANCE_ID": "", "FUNCTIONS_WORKER_RUNTIME": "python"})

"""The settings: parsed from environment variables, refused with the name of the variable."""

import json
from dataclasses import fields
from pathlib import Path

import pytest

from inference.settings import PROJECT, InvalidSetting, Settings, unknown_variables

VARIABLES = {setting.metadata["variable"]: setting for setting in fields(Settings)}


def test_an_empty_environment_gives_the_defaults() -> None:
    assert Settings.from_environment({}) == Settings()
    assert Settings().models == (PROJECT / "models",)


def test_blank_variables_give_the_defaults() -> None:
    assert Settings.from_environment(dict.fromkeys(VARIABLES, " ")) == Settings()


def test_variables_are_parsed() -> None:
    settings = Settings.from_environment(
        {
            "INFERENCE_MODELS": "models, /srv/models",
            "INFERENCE_API_KEYS": "one, two",
            "INFERENCE_ANONYMOUS": "Yes",
            "INFERENCE_SLOTS": "3",
        }
    )
    assert settings.models == (PROJECT / "models", Path("/srv/models"))
    assert settings.api_keys == ("one", "two")
    assert settings.anonymous
    assert settings.slots == 3


@pytest.mark.parametrize(
    ("variable", "text"),
    [("INFERENCE_SLOTS", "0"), ("INFERENCE_SLOTS", "many"), ("INFERENCE_ANONYMOUS", "perhaps")],
)
def test_text_that_cannot_be_parsed_is_refused_with_the_name_of_the_variable(
    variable: str, text: str
) -> None:
    with pytest.raises(InvalidSetting, match=rf"{variable} is '{text}': expected"):
        Settings.from_environment({variable: text})


def test_a_secret_that_cannot_be_parsed_is_refused_without_its_text() -> None:
    with pytest.raises(InvalidSetting) as refused:
        Settings.from_environment({"INFERENCE_STORAGE_SAS": "s3cret"})
    assert str(refused.value) == (
        "INFERENCE_STORAGE_SAS is not valid: expected a shared access signature, which contains sig="
    )


def test_every_setting_is_described_in_sentences() -> None:
    for setting in fields(Settings):
        assert setting.metadata["description"].endswith(".")


def test_the_sample_for_core_tools_names_every_setting_at_its_default() -> None:
    sample = json.loads((PROJECT / "local.settings.sample.json").read_text(encoding="utf-8"))["Values"]
    ours = {name: value for name, value in sample.items() if name.startswith("INFERENCE_")}
    assert set(ours) == set(VARIABLES)
    assert Settings.from_environment(ours) == Settings()


def test_keys_are_not_printed() -> None:
    assert "secret" not in repr(Settings(api_keys=("secret",)))


def test_unknown_variables_are_named_with_the_nearest_setting() -> None:
    environment = {
        "INFERENCE_API_KEY": "secret",
        "inference_slots": "2",
        "INFERENCE_ZZZZZZZZZZZZ": "1",
        "INFERENCE_SLOTS": "2",
        "OTHER": "1",
    }
    assert unknown_variables(environment) == [
        "INFERENCE_API_KEY is not a setting and has no effect; the nearest setting is INFERENCE_API_KEYS.",
        "INFERENCE_ZZZZZZZZZZZZ is not a setting and has no effect.",
        "inference_slots is not a setting and has no effect; the nearest setting is INFERENCE_SLOTS.",
    ]


def test_unknown_variables_are_named_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    Settings.from_environment({"INFERENCE_API_KEY": "secret"})
    assert "the nearest setting is INFERENCE_API_KEYS" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("below", ["", "folder/below"])
def test_a_cache_that_is_a_file_is_refused(tmp_path: Path, below: str) -> None:
    file = tmp_path / "cache"
    file.write_text("")
    with pytest.raises(InvalidSetting, match=f"INFERENCE_CACHE is .*: expected a folder, and {file} is a"):
        Settings.from_environment({"INFERENCE_CACHE": str(file / below)})


def test_a_cache_need_not_exist(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "cache"
    assert Settings.from_environment({"INFERENCE_CACHE": str(folder)}).cache == folder

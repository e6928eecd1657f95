"""Settings: one variable each, read once, refused by name."""

import json
from dataclasses import fields
from pathlib import Path

import pytest

from inference.settings import PROJECT, InvalidSetting, Settings

VARIABLES = {setting.metadata["variable"]: setting for setting in fields(Settings)}


def test_nothing_set_gives_the_defaults() -> None:
    assert Settings.from_environment({}) == Settings()
    assert Settings().models == (PROJECT / "models",)


def test_blank_is_not_set() -> None:
    assert Settings.from_environment(dict.fromkeys(VARIABLES, " ")) == Settings()


def test_values_are_read() -> None:
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
def test_unreadable_text_is_refused_by_name(variable: str, text: str) -> None:
    with pytest.raises(InvalidSetting, match=rf"{variable} is '{text}'"):
        Settings.from_environment({variable: text})


def test_every_setting_has_its_sentence() -> None:
    for setting in fields(Settings):
        assert setting.metadata["meaning"].endswith(".")


def test_the_sample_for_core_tools_names_every_setting_at_its_default() -> None:
    sample = json.loads((PROJECT / "local.settings.sample.json").read_text(encoding="utf-8"))["Values"]
    ours = {name: value for name, value in sample.items() if name.startswith("INFERENCE_")}
    assert set(ours) == set(VARIABLES)
    assert Settings.from_environment(ours) == Settings()


def test_keys_are_not_printed() -> None:
    assert "secret" not in repr(Settings(api_keys=("secret",)))

"""Addresses of containers in INFERENCE_MODELS."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference.settings import PROJECT, Container, InvalidSetting, Settings

AZURE = "https://acct.blob.core.windows.net"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{AZURE}/models", Container(AZURE, "models")),
        (f"{AZURE}/models/", Container(AZURE, "models")),
        (f"{AZURE}/models/a/b%20c/", Container(AZURE, "models", "a/b c")),
        (f"{AZURE}/models?sv=1&sig=a%2Fb", Container(AZURE, "models", "", "sv=1&sig=a%2Fb")),
        (
            "http://127.0.0.1:10000/devstoreaccount1/models/chat",
            Container("http://127.0.0.1:10000/devstoreaccount1", "models", "chat"),
        ),
        ("https://azurite:10000/acct/models", Container("https://azurite:10000/acct", "models")),
        ("https://acct.blob.local.cloud/models/x", Container("https://acct.blob.local.cloud", "models", "x")),
    ],
)
def test_an_address_has_account_name_prefix_and_signature(text: str, expected: Container) -> None:
    assert Container.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "http://acct.blob.core.windows.net/models?sig=s3cret",
        f"{AZURE}?sig=s3cret",
        "ftp://acct/models?sig=s3cret",
        "https://user:s3cret@acct.blob.core.windows.net/models",
        "http://127.0.0.1:10000/devstoreaccount1?sig=s3cret",
    ],
)
def test_an_invalid_address_is_refused_without_its_signature(text: str) -> None:
    with pytest.raises(InvalidSetting, match="INFERENCE_MODELS is ") as refused:
        Settings.from_environment({"INFERENCE_MODELS": text})
    assert "sig=s3cret" not in str(refused.value)


def test_folders_and_containers_can_be_mixed() -> None:
    settings = Settings.from_environment({"INFERENCE_MODELS": f"models, {AZURE}/models/x, /srv"})
    assert settings.models == (PROJECT / "models", Container(AZURE, "models", "x"), Path("/srv"))


def test_secrets_are_not_printed() -> None:
    settings = Settings.from_environment(
        {
            "INFERENCE_MODELS": f"{AZURE}/models?sv=1&sig=s3cret",
            "INFERENCE_STORAGE_KEY": "s3cret",
            "INFERENCE_STORAGE_SAS": "?sv=1&sig=s3cret",
        }
    )
    assert "s3cret" not in repr(settings)
    assert "s3cret" not in str(settings.models[0])
    assert settings.storage_sas == "sv=1&sig=s3cret"


def test_an_invalid_signature_is_not_repeated() -> None:
    with pytest.raises(InvalidSetting, match="INFERENCE_STORAGE_SAS is not valid: expected") as refused:
        Settings.from_environment({"INFERENCE_STORAGE_SAS": "s3cret"})
    assert "s3cret" not in str(refused.value)

"""The store of the settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference.response_store import opening
from inference.response_store.blob import BlobStore
from inference.response_store.memory import MemoryStore
from inference.response_store.opening import describe_store, expiry, open_store
from inference.response_store.sqlite import SqliteStore
from inference.settings import Container, Settings
from inference.settings.responses import AZURE_VARIABLES
from tests.response_store.records import DAY, NOW, record

CONTAINER = Container("https://account.blob.core.windows.net", "responses")


@pytest.mark.parametrize(
    ("settings", "kind", "word"),
    [
        (Settings(responses="off"), type(None), "off"),
        (Settings(responses="memory"), MemoryStore, "memory"),
        (Settings(responses=Path("/srv/responses.sqlite3")), SqliteStore, "file"),
        (Settings(responses=CONTAINER), BlobStore, "container"),
    ],
)
async def test_the_setting_chooses_the_store(settings: Settings, kind: type[object], word: str) -> None:
    store = open_store(settings)
    assert isinstance(store, kind)
    assert describe_store(settings) == word
    if store is not None:
        await store.aclose()


async def test_responses_are_kept_in_the_cache_folder_where_nothing_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in AZURE_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "cache" / "responses.sqlite3"
    store, kept = open_store(Settings(cache=file.parent)), record()
    assert store is not None
    assert not file.exists()
    await store.put(kept)
    assert file.exists()
    await store.aclose()


@pytest.mark.parametrize("name", AZURE_VARIABLES)
def test_nothing_is_kept_on_azure_where_nothing_is_set(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "something")
    assert open_store(Settings()) is None
    assert describe_store(Settings()) == "off"


def test_nothing_is_kept_where_nothing_is_set_and_the_cache_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in AZURE_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(opening, "is_usable", lambda _: False)
    assert open_store(Settings(cache=tmp_path)) is None
    assert describe_store(Settings(cache=tmp_path)) == "off"
    assert f"No responses are kept: {tmp_path / 'responses.sqlite3'} cannot be written." in caplog.text
    assert open_store(Settings(responses=tmp_path / "responses.sqlite3")) is not None


async def test_a_place_that_other_instances_do_not_see_is_named_in_the_log_on_azure(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WEBSITE_INSTANCE_ID", "7")
    assert isinstance(open_store(Settings(responses="memory")), MemoryStore)
    assert "INFERENCE_RESPONSES is memory, which other instances do not see" in caplog.text


def test_a_response_expires_after_the_days_of_the_setting() -> None:
    assert expiry(NOW, Settings(responses_days=2)) == NOW + 2 * DAY

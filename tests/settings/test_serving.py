"""The settings of the endpoint that follow from others."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest

from inference.settings import Settings


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, False),
        ({"anonymous": True}, False),
        ({"entra_audiences": ("https://a.test",), "entra_roles": ("Caller",)}, False),
        ({"api_keys": ("one",)}, True),
        ({"entra_tenant": "0b1e2c3d-4f56-7890-abcd-ef0123456789"}, True),
    ],
)
def test_callers_can_authenticate_with_keys_or_a_tenant(settings: dict[str, Any], *, expected: bool) -> None:
    assert Settings(**settings).has_credentials is expected


def test_the_cache_is_the_folder_of_the_setting_or_one_for_temporary_files() -> None:
    assert Settings(cache=Path("/srv/cache")).cache_folder == Path("/srv/cache")
    assert Settings().cache_folder == Path(tempfile.gettempdir()) / "model-inference"

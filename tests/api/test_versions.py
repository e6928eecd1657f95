"""`api-version`."""

import pytest

from inference.api.http_types import version_of
from inference.contracts import ApiStyle
from inference.errors import MissingApiVersion, UnsupportedApiVersion


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("2024-04-01-preview", "2024-04-01-preview"),
        ("2024-05-01-preview", "2024-05-01-preview"),
        ("2025-04-01", "2025-04-01"),
        ("2025-08-28", "2024-05-01-preview"),
        (None, "2024-05-01-preview"),
    ],
)
def test_dates(text: str | None, version: str) -> None:
    query = {} if text is None else {"api-version": text}
    assert version_of(query, ApiStyle.NATIVE, required=False) == version


@pytest.mark.parametrize("text", ["latest", "2024-5-1", "2024-05-01-beta", "2024-05-01-preview "])
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(UnsupportedApiVersion) as refusal:
        version_of({"api-version": text}, ApiStyle.NATIVE, required=False)
    assert refusal.value.offenders[0].loc == ("query", "api-version")
    assert refusal.value.offenders[0].input == text


def test_the_operator_may_require_one() -> None:
    with pytest.raises(MissingApiVersion):
        version_of({}, ApiStyle.NATIVE, required=True)


def test_the_openai_paths_have_none() -> None:
    assert version_of({"api-version": "latest"}, ApiStyle.OPENAI, required=True) == "openai"


@pytest.mark.parametrize("required", [True, False])
def test_an_empty_version_is_refused(required: bool) -> None:
    with pytest.raises(UnsupportedApiVersion, match="Unsupported api-version ''"):
        version_of({"api-version": ""}, ApiStyle.NATIVE, required=required)

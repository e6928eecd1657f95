"""Origins of web pages, as an operator writes them and as browsers send them."""

import pytest

from inference.settings import InvalidSetting, Settings


@pytest.mark.parametrize(
    ("text", "origins"),
    [
        ("https://app.example.com", ("https://app.example.com",)),
        (
            " https://App.Example.com/ , http://localhost:3000 ",
            ("https://app.example.com", "http://localhost:3000"),
        ),
        ("https://a.example:443,http://a.example:80", ("https://a.example", "http://a.example")),
        ("https://a.example:8443", ("https://a.example:8443",)),
        ("http://[::1]:5173", ("http://[::1]:5173",)),
        ("*", ("*",)),
        ("", ()),
    ],
)
def test_origins_are_kept_as_browsers_write_them(text: str, origins: tuple[str, ...]) -> None:
    assert Settings.from_environment({"INFERENCE_CORS_ORIGINS": text}).cors_origins == origins


@pytest.mark.parametrize(
    "text",
    [
        "app.example.com",
        "https://a.example/path",
        "https://*.example.com",
        "ftp://a.example",
        "null",
        "https://",
    ],
)
def test_what_is_no_origin_is_refused(text: str) -> None:
    with pytest.raises(InvalidSetting, match=r"INFERENCE_CORS_ORIGINS is .* expected origins such as"):
        Settings.from_environment({"INFERENCE_CORS_ORIGINS": text})

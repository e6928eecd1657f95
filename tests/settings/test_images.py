"""The allowlist of hosts that images may be fetched from."""

import pytest

from inference.settings import InvalidSetting, Settings
from inference.settings.images import AllowedHost


@pytest.mark.parametrize(
    ("entry", "scheme", "host", "port"),
    [
        ("cdn.example.com", "https", "cdn.example.com", 443),
        ("CDN.Example.com", "https", "cdn.example.com", 443),
        ("https://cdn.example.com/", "https", "cdn.example.com", 443),
        ("http://cdn.example.com", "http", "cdn.example.com", 80),
        ("cdn.example.com:8443", "https", "cdn.example.com", 8443),
        ("*.example.com", "https", "*.example.com", 443),
        ("http://127.0.0.1:8080", "http", "127.0.0.1", 8080),
        ("http://[0:0::1]:8080", "http", "::1", 8080),
    ],
)
def test_an_entry_is_parsed_with_the_defaults_of_its_scheme(
    entry: str, scheme: str, host: str, port: int
) -> None:
    assert AllowedHost.parse(entry) == AllowedHost(scheme, host, port)


@pytest.mark.parametrize(
    "entry",
    [
        "*",
        "*.com",
        "ftp://a.example",
        "a.example/images",
        "https://u:p@a.example",
        "a b.example",
        "https://",
        "a.*.example.com",
        "bücher.example",
        "a.example:99999",
        "https://a.example?x",
        "-a.example",
    ],
)
def test_an_entry_that_is_not_a_host_is_refused_with_the_name_of_the_setting(entry: str) -> None:
    with pytest.raises(InvalidSetting, match="INFERENCE_IMAGE_HOSTS"):
        Settings.from_environment({"INFERENCE_IMAGE_HOSTS": f"fine.example, {entry}"})


@pytest.mark.parametrize(
    ("entry", "url_parts", "allowed"),
    [
        ("a.example", ("https", "a.example", 443), True),
        ("a.example", ("http", "a.example", 80), False),
        ("a.example", ("https", "a.example", 444), False),
        ("a.example", ("https", "b.a.example", 443), False),
        ("*.example.com", ("https", "a.example.com", 443), True),
        ("*.example.com", ("https", "a.b.example.com", 443), True),
        ("*.example.com", ("https", "example.com", 443), False),
        ("*.example.com", ("https", "evilexample.com", 443), False),
        ("http://a.example", ("https", "a.example", 443), False),
        ("127.0.0.1", ("https", "127.0.0.1", 443), True),
    ],
)
def test_an_entry_allows_its_own_scheme_host_and_port(
    entry: str, url_parts: tuple[str, str, int], allowed: bool
) -> None:
    assert AllowedHost.parse(entry).matches(*url_parts) is allowed


def test_only_an_ip_address_counts_as_one() -> None:
    assert AllowedHost.parse("http://127.0.0.1").is_address
    assert not AllowedHost.parse("http://localhost").is_address

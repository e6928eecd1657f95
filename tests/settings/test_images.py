"""The setting that names the hosts."""

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
def test_entries(entry: str, scheme: str, host: str, port: int) -> None:
    assert AllowedHost.read(entry) == AllowedHost(scheme, host, port)


@pytest.mark.parametrize(
    "entry",
    [
        "*",
        "*.com",
        "ftp://a.example",
        "a.example/pictures",
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
def test_what_is_no_host_is_refused_by_name(entry: str) -> None:
    with pytest.raises(InvalidSetting, match="INFERENCE_IMAGE_HOSTS"):
        Settings.from_environment({"INFERENCE_IMAGE_HOSTS": f"fine.example, {entry}"})


@pytest.mark.parametrize(
    ("entry", "place", "held"),
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
def test_what_an_entry_holds(entry: str, place: tuple[str, str, int], held: bool) -> None:
    assert AllowedHost.read(entry).holds(*place) is held


def test_only_an_address_may_be_private() -> None:
    assert AllowedHost.read("http://127.0.0.1").is_address
    assert not AllowedHost.read("http://localhost").is_address

"""The parsers of the variables' texts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inference.settings import PROJECT
from inference.settings.setting import (
    at_least,
    base_url,
    boolean,
    comma_separated,
    one_of,
    path,
    paths,
    shared_access_signature,
    tenant_id,
)

Parser = Callable[[str], Any]
TENANT = "0b1e2c3d-4f56-7890-abcd-ef0123456789"


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (comma_separated, " a, b ,,c d ,", ("a", "b", "c d")),
        (comma_separated, "", ()),
        (path, "models", PROJECT / "models"),
        (path, " ../models ", PROJECT.parent / "models"),
        (path, "/srv/a/../b", Path("/srv/b")),
        (path, "~/models", Path("~/models").expanduser()),
        (paths, "a, /b", (PROJECT / "a", Path("/b"))),
        (one_of("on", "off"), " ON ", "on"),
        (at_least(0), "0", 0),
        (at_least(1), " 12 ", 12),
        (boolean, "Yes", True),
        (boolean, " 0 ", False),
        (boolean, "off", False),
        (shared_access_signature, " ?sv=1&sig=abc ", "sv=1&sig=abc"),
        (shared_access_signature, "sig=abc", "sig=abc"),
        (tenant_id, f" {TENANT.upper()} ", TENANT),
        (tenant_id, TENANT.replace("-", ""), TENANT),
        (base_url, " https://a.test/ ", "https://a.test"),
        (base_url, "https://a.test:8443/path//", "https://a.test:8443/path"),
        (base_url, "http://localhost:7072", "http://localhost:7072"),
        (base_url, "http://127.0.0.1", "http://127.0.0.1"),
        (base_url, "http://[::1]:1", "http://[::1]:1"),
    ],
)
def test_a_text_is_parsed(parse: Parser, text: str, value: Any) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(
    ("parse", "text", "allowed"),
    [
        (one_of("on", "off"), "maybe", "expected one of on, off"),
        (at_least(1), "0", "expected a whole number of at least 1"),
        (at_least(0), "-1", "expected a whole number of at least 0"),
        (at_least(1), "1.5", "expected a whole number of at least 1"),
        (boolean, "2", "expected true or false"),
        (shared_access_signature, "sv=1", "expected a shared access signature, which contains sig="),
        (tenant_id, "common", "expected a tenant id, such as 00000000-0000-0000-0000-000000000000"),
        *(
            (base_url, text, "expected https://HOST; http:// only for localhost, 127.0.0.1 and [::1]")
            for text in (
                "a.test",
                "http://a.test",
                "http://localhost.a.test",
                "ftp://a.test",
                "https://",
                "https://a.test?x=1",
                "https://a.test#x",
                "https://user@a.test",
            )
        ),
    ],
)
def test_a_text_that_cannot_be_parsed_is_refused_with_the_texts_that_can(
    parse: Parser, text: str, allowed: str
) -> None:
    with pytest.raises(ValueError) as refusal:  # noqa: PT011  the whole message is compared
        parse(text)
    assert str(refusal.value) == allowed

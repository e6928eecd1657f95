"""A single setting: its dataclass field, and the parsers of its variable's text."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

PROJECT = Path(__file__).resolve().parent.parent.parent
"""The folder that holds `function_app.py` and the starter deployments in `models/`."""

LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""Hosts that credentials may be sent to over plain http: the traffic stays on this machine."""

BOOLEANS = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}


class InvalidSetting(ValueError):
    """A variable's text that cannot be parsed; the message names the variable and shows the text."""


def setting(
    variable: str, parse: Callable[[str], Any], default: Any, description: str, *, secret: bool = False
) -> Any:
    """Return a dataclass field for the setting of an environment variable.

    Args:
        variable: Name of the environment variable.
        parse: Parser of the variable's text; raises `ValueError` with what is allowed.
        default: Value where the variable is absent or blank.
        description: The sentences that `docs/settings.md` prints.
        secret: True for a value that neither messages nor `repr` may show.
    """
    metadata = {"variable": variable, "parse": parse, "description": description, "secret": secret}
    return field(default=default, metadata=metadata, repr=not secret)


def comma_separated(text: str) -> tuple[str, ...]:
    """Return the items of a comma-separated list, without blanks around them and without empty ones."""
    return tuple(item for item in (part.strip() for part in text.split(",")) if item)


ANY_NAME = "*"
"""The alias that stands for every name that no deployment has."""


def aliases(text: str) -> tuple[tuple[str, str], ...]:
    """Return the pairs of alias and deployment of a list such as `gpt-4o=my-chat,*=my-chat`."""
    pairs = [tuple(part.strip() for part in item.split("=", 1)) for item in comma_separated(text)]
    for pair in pairs:
        if len(pair) != 2 or not all(pair):
            raise ValueError("expected ALIAS=DEPLOYMENT, several separated by commas")
        if pair[0] != ANY_NAME and ANY_NAME in pair[0]:
            raise ValueError("* stands alone, for any name: *=DEPLOYMENT")
    return tuple((alias, target) for alias, target in pairs)


def path(text: str) -> Path:
    """Return an absolute path; a relative one starts at the project's folder."""
    return (PROJECT / Path(text.strip()).expanduser()).resolve()


def folder(text: str) -> Path:
    """Return the absolute path of a folder, which need not exist; a file is refused."""
    wanted = path(text)
    found = next(part for part in (wanted, *wanted.parents) if part.exists())
    if not found.is_dir():
        raise ValueError(f"expected a folder, and {found} is a file")
    return wanted


def paths(text: str) -> tuple[Path, ...]:
    """Return the absolute paths of a comma-separated list."""
    return tuple(path(item) for item in comma_separated(text))


def one_of(*words: str) -> Callable[[str], str]:
    """Return a parser that accepts some words, in any case."""

    def parse(text: str) -> str:
        if text.strip().lower() not in words:
            raise ValueError(f"expected one of {', '.join(words)}")
        return text.strip().lower()

    return parse


def at_least(minimum: int) -> Callable[[str], int]:
    """Return a parser of whole numbers that are not below a minimum."""

    def parse(text: str) -> int:
        with suppress(ValueError):
            if (number := int(text)) >= minimum:
                return number
        raise ValueError(f"expected a whole number of at least {minimum}")

    return parse


def boolean(text: str) -> bool:
    """Return the truth value of a word such as true, no, on or 0."""
    if text.strip().lower() not in BOOLEANS:
        raise ValueError("expected true or false")
    return BOOLEANS[text.strip().lower()]


def shared_access_signature(text: str) -> str:
    """Return a shared access signature without a question mark before it."""
    if "sig=" not in text:
        raise ValueError("expected a shared access signature, which contains sig=")
    return text.strip().lstrip("?")


def tenant_id(text: str) -> str:
    """Return the id of a Microsoft Entra tenant in small letters."""
    try:
        return str(UUID(text.strip()))
    except ValueError:
        raise ValueError("expected a tenant id, such as 00000000-0000-0000-0000-000000000000") from None


def base_url(text: str) -> str:
    """Return a URL without a slash at its end; plain http is for hosts of `LOOPBACK` only."""
    parts = urlsplit(text.strip())
    trusted = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    if not (trusted and parts.hostname) or parts.query or parts.fragment or parts.username:
        raise ValueError("expected https://HOST; http:// only for localhost, 127.0.0.1 and [::1]")
    return text.strip().rstrip("/")

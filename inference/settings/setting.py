"""What a setting is: its variable's name, how its text is read, its default, its sentence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

PROJECT = Path(__file__).resolve().parent.parent.parent
"""The folder that holds `function_app.py` and the starter deployments in `models/`."""

LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""Hosts that may be asked over plain http: nobody stands between."""


class InvalidSetting(ValueError):
    """A variable holds text that cannot be read; the message names the variable and the text."""


def setting(
    variable: str, read: Callable[[str], Any], default: Any, meaning: str, *, secret: bool = False
) -> Any:
    metadata = {"variable": variable, "read": read, "meaning": meaning, "secret": secret}
    return field(default=default, metadata=metadata, repr=not secret)


def names(text: str) -> tuple[str, ...]:
    return tuple(name for name in (part.strip() for part in text.split(",")) if name)


def folder(text: str) -> Path:
    return (PROJECT / Path(text.strip()).expanduser()).resolve()


def folders(text: str) -> tuple[Path, ...]:
    return tuple(folder(name) for name in names(text))


def one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text.strip().lower() not in words:
            raise ValueError(f"expected one of {', '.join(words)}")
        return text.strip().lower()

    return read


def signature(text: str) -> str:
    if "sig=" not in text:
        raise ValueError("expected a shared access signature, which has sig=")
    return text.strip().lstrip("?")


def flag(text: str) -> bool:
    words = {
        "1": True,
        "true": True,
        "yes": True,
        "on": True,
        "0": False,
        "false": False,
        "no": False,
        "off": False,
    }
    if text.strip().lower() not in words:
        raise ValueError("expected true or false")
    return words[text.strip().lower()]


def tenant(text: str) -> str:
    try:
        return str(UUID(text.strip()))
    except ValueError:
        raise ValueError("expected a tenant's id, such as 00000000-0000-0000-0000-000000000000") from None


def authority(text: str) -> str:
    parts = urlsplit(text.strip())
    trusted = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    if not (trusted and parts.hostname) or parts.query or parts.fragment or parts.username:
        raise ValueError("expected https://HOST; http:// only for localhost, 127.0.0.1 and [::1]")
    return text.strip().rstrip("/")


def at_least(minimum: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        number = int(text)
        if number < minimum:
            raise ValueError(f"expected a whole number from {minimum}")
        return number

    return read

"""Locations of deployments: folders, and blob containers with a prefix."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import TypeAlias
from urllib.parse import quote, unquote, urlsplit

from inference.settings.setting import LOOPBACK, comma_separated, path


@dataclass(frozen=True, slots=True)
class Container:
    """A blob container, or a folder in it: `https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX`."""

    account: str
    """URL of the storage account, without a slash at its end."""
    name: str
    prefix: str = ""
    """Folder in the container, without slashes around it; empty: the whole container."""
    sas: str = field(default="", repr=False)
    """Shared access signature, without the question mark."""

    @property
    def url(self) -> str:
        """URL of the container and the prefix, without the signature."""
        return "/".join(part for part in (self.account, self.name, quote(self.prefix)) if part)

    def __str__(self) -> str:
        return self.url

    @classmethod
    def parse(cls, text: str) -> Container:
        """Return the container of a URL.

        The account is the host, or in URLs of emulators, whose host is an IP address or a single label, the
        host and the first part of the path. Raises `ValueError`, whose message never has the signature.
        """
        parts = urlsplit(text.strip())
        host = parts.hostname or ""
        trusted = parts.scheme == "https" or (parts.scheme == "http" and host in LOOPBACK)
        if not trusted or not host or parts.username or parts.fragment:
            raise ValueError(
                "expected https://HOST/CONTAINER/PREFIX; http:// only for localhost, 127.0.0.1 and [::1]"
            )
        segments = [unquote(segment) for segment in parts.path.split("/") if segment]
        index = 1 if _has_account_in_path(host) else 0
        if len(segments) <= index:
            raise ValueError("expected the name of a container after the host")
        account = "/".join([f"{parts.scheme}://{parts.netloc}", *segments[:index]])
        return cls(account, segments[index], "/".join(segments[index + 1 :]), parts.query)


Location: TypeAlias = Path | Container


def is_url(text: str) -> bool:
    """Return True if the text is a URL rather than a path."""
    return "://" in text


def locations(text: str) -> tuple[Location, ...]:
    """Return the folders and blob containers of a comma-separated list. Raises `ValueError`."""
    return tuple(Container.parse(item) if is_url(item) else path(item) for item in comma_separated(text))


def _has_account_in_path(host: str) -> bool:
    try:
        return bool(ip_address(host))
    except ValueError:
        return "." not in host

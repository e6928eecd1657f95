"""Where deployments lie: a folder, or a blob container with a prefix."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import TypeAlias
from urllib.parse import quote, unquote, urlsplit

from inference.settings.setting import LOOPBACK, folder, names


@dataclass(frozen=True, slots=True)
class Container:
    """A blob container and the folder in it: `https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX`."""

    account: str
    """URL of the account, without a slash at its end."""
    name: str
    prefix: str = ""
    """Folder in the container, without slashes around it; empty: the whole container."""
    sas: str = field(default="", repr=False)
    """Shared access signature, without the question mark."""

    @property
    def url(self) -> str:
        """The address without what opens it."""
        path = "/".join(part for part in (self.name, quote(self.prefix)) if part)
        return f"{self.account}/{path}"

    def __str__(self) -> str:
        return self.url

    @classmethod
    def parse(cls, text: str) -> Container:
        """Raises `ValueError` with a sentence that does not repeat the signature.

        The account is the host's first label, or where the host is an address or has one label only, the
        first part of the path: as emulators have it.
        """
        parts = urlsplit(text.strip())
        host = parts.hostname or ""
        trusted = parts.scheme == "https" or (parts.scheme == "http" and host in LOOPBACK)
        if not trusted or not host or parts.username or parts.fragment:
            raise ValueError("expected https://HOST/CONTAINER/PREFIX; http:// only for this machine")
        steps = [unquote(step) for step in parts.path.split("/") if step]
        taken = 1 if _in_path(host) else 0
        if len(steps) <= taken:
            raise ValueError("expected a container behind the host")
        account = "/".join([f"{parts.scheme}://{parts.netloc}", *steps[:taken]])
        return cls(account, steps[taken], "/".join(steps[taken + 1 :]), parts.query)


Location: TypeAlias = Path | Container


def is_url(text: str) -> bool:
    return "://" in text


def locations(text: str) -> tuple[Location, ...]:
    """Folders, relative ones inside the project, and blob containers. Raises `ValueError`."""
    return tuple(Container.parse(name) if is_url(name) else folder(name) for name in names(text))


def _in_path(host: str) -> bool:
    try:
        return bool(ip_address(host))
    except ValueError:
        return "." not in host

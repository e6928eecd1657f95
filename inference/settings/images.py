"""The settings of pictures: how large they may be, and the hosts they may be fetched from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from inference.settings.serving import ServingSettings
from inference.settings.setting import at_least, names, setting

PORTS = {"https": 443, "http": 80}
LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
NAME = re.compile(rf"{LABEL}(?:\.{LABEL})*", re.ASCII)
BELOW = "*."
"""Before a name it stands for every name that ends in it."""


@dataclass(frozen=True, slots=True)
class AllowedHost:
    """One place that pictures may be fetched from."""

    scheme: str
    host: str
    """A name in small letters, an address in its shortest form, or `*.` and a name of two labels or more."""
    port: int

    @classmethod
    def read(cls, text: str) -> AllowedHost:
        """Reads `[https://|http://]HOST[:PORT]`. Raises `ValueError`."""
        parts = urlsplit(text if "://" in text else f"https://{text}")
        host = normal_host(parts.hostname or "")
        if parts.scheme not in PORTS or parts.path.strip("/") or parts.query or parts.fragment or "@" in text:
            raise ValueError(
                f"{text!r} is not a host such as cdn.example.com, with https:// or http:// before"
            )
        if not _is_address(host) and not NAME.fullmatch(host.removeprefix(BELOW)):
            raise ValueError(f"{text!r} names no host; names of other scripts are written as xn--...")
        if host.startswith(BELOW) and "." not in host.removeprefix(BELOW):
            raise ValueError(f"{text!r} stands for all hosts of a top-level domain")
        return cls(parts.scheme, host, parts.port or PORTS[parts.scheme])

    def holds(self, scheme: str, host: str, port: int) -> bool:
        """Whether a URL's parts lie in it; `host` as `normal_host` gives it."""
        if (scheme, port) != (self.scheme, self.port):
            return False
        if self.host.startswith(BELOW):
            return host.endswith(self.host[1:]) and not _is_address(host)
        return host == self.host

    @property
    def is_address(self) -> bool:
        """Whether the operator named an address itself: it may be a private one."""
        return _is_address(self.host)


def normal_host(host: str) -> str:
    """A host in the one form in which two that are the same are equal."""
    return str(ip_address(host)) if _is_address(host) else host.lower()


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def allowed_hosts(text: str) -> Sequence[AllowedHost]:
    return tuple(AllowedHost.read(name) for name in names(text))


@dataclass(frozen=True, slots=True)
class ImageSettings(ServingSettings):
    """What pictures a request may bring."""

    max_image_pixels: int = setting(
        "INFERENCE_MAX_IMAGE_PIXELS", at_least(1), 24_000_000, "The largest picture, in pixels."
    )
    max_request_pixels: int = setting(
        "INFERENCE_MAX_REQUEST_PIXELS",
        at_least(1),
        96_000_000,
        "The most pixels of all pictures of one request together.",
    )
    max_image_bytes: int = setting(
        "INFERENCE_MAX_IMAGE_BYTES",
        at_least(1),
        20 * 1024 * 1024,
        "The largest file of a picture, in bytes, whether it is sent or fetched. What one request fetches "
        "together is bounded by `INFERENCE_MAX_BODY_BYTES`, as what it sends is.",
    )
    image_hosts: tuple[AllowedHost, ...] = setting(
        "INFERENCE_IMAGE_HOSTS",
        allowed_hosts,
        (),
        "Hosts, separated by commas, that pictures are fetched from when a request gives their URL: "
        "`cdn.example.com`, `*.example.com`, `host:8443`; with `http://` before for plain http. Names must "
        "resolve to public addresses only; to fetch from a private one, name the address itself, such as "
        "`http://127.0.0.1:8080`. Without any, pictures are taken as data URLs only.",
    )
    image_seconds: int = setting(
        "INFERENCE_IMAGE_SECONDS",
        at_least(1),
        10,
        "How long all pictures of one request may take to be fetched.",
    )

"""The settings of images: their largest sizes, and the hosts they may be fetched from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from inference.settings.connections import ConnectionSettings
from inference.settings.setting import at_least, comma_separated, setting

DEFAULT_PORTS = {"https": 443, "http": 80}
"""The port of each scheme where a URL names none."""
LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
NAME = re.compile(rf"{LABEL}(?:\.{LABEL})*", re.ASCII)
WILDCARD = "*."
"""The prefix of an entry that matches every subdomain of the name after it."""


@dataclass(frozen=True, slots=True)
class AllowedHost:
    """A host that images may be fetched from, or all subdomains of a name."""

    scheme: str
    host: str
    """A name in small letters, an IP address in its shortest form, or `*.` before a name with a dot."""
    port: int

    @classmethod
    def parse(cls, text: str) -> AllowedHost:
        """Return the host of an entry `[https://|http://]HOST[:PORT]`. Raises `ValueError`."""
        parts = urlsplit(text if "://" in text else f"https://{text}")
        host = normalize_host(parts.hostname or "")
        if (
            parts.scheme not in DEFAULT_PORTS
            or parts.path.strip("/")
            or parts.query
            or parts.fragment
            or "@" in text
        ):
            raise ValueError(
                f"{text!r} is not a host: write it as cdn.example.com, with https:// or http:// before it "
                "and :PORT after it where needed"
            )
        if not _is_address(host) and not NAME.fullmatch(host.removeprefix(WILDCARD)):
            raise ValueError(f"{text!r} is not a host name: write names of other scripts as xn--...")
        if host.startswith(WILDCARD) and "." not in host.removeprefix(WILDCARD):
            raise ValueError(f"{text!r} covers a whole top-level domain: name a domain below it")
        return cls(parts.scheme, host, parts.port or DEFAULT_PORTS[parts.scheme])

    def matches(self, scheme: str, host: str, port: int) -> bool:
        """Return True if a URL of these parts may be fetched; `host` as `normal_host` returns it."""
        if (scheme, port) != (self.scheme, self.port):
            return False
        if self.host.startswith(WILDCARD):
            return host.endswith(self.host[1:]) and not _is_address(host)
        return host == self.host

    @property
    def is_address(self) -> bool:
        """True if the operator named an IP address itself, which may then be a private one."""
        return _is_address(self.host)


def normalize_host(host: str) -> str:
    """Return a host in its normal form, in which equal hosts are equal strings."""
    return str(ip_address(host)) if _is_address(host) else host.lower()


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def allowed_hosts(text: str) -> Sequence[AllowedHost]:
    """Return the hosts of a comma-separated list. Raises `ValueError`."""
    return tuple(AllowedHost.parse(entry) for entry in comma_separated(text))


@dataclass(frozen=True, slots=True)
class ImageSettings(ConnectionSettings):
    """The settings of the images that requests bring."""

    max_image_pixels: int = setting(
        "INFERENCE_MAX_IMAGE_PIXELS", at_least(1), 25_000_000, "The largest image, in pixels."
    )
    max_request_pixels: int = setting(
        "INFERENCE_MAX_REQUEST_PIXELS",
        at_least(1),
        100_000_000,
        "The most pixels that all images of one request may have together.",
    )
    max_image_bytes: int = setting(
        "INFERENCE_MAX_IMAGE_BYTES",
        at_least(1),
        20 * 1024 * 1024,
        "The largest image file, in bytes, sent or fetched. All that one request fetches is limited by "
        "`INFERENCE_MAX_BODY_BYTES`, as is all that it sends.",
    )
    image_hosts: tuple[AllowedHost, ...] = setting(
        "INFERENCE_IMAGE_HOSTS",
        allowed_hosts,
        (),
        "Hosts, separated by commas, from which the image URLs of requests are fetched: "
        "`cdn.example.com`, `*.example.com`, `host:8443`; for plain http with `http://` before the host. "
        "Names must resolve to public addresses only; to fetch from a private one, give the address itself, "
        "such as `http://127.0.0.1:8080`. Empty: images are accepted as data URLs only.",
    )
    image_seconds: int = setting(
        "INFERENCE_IMAGE_SECONDS",
        at_least(1),
        10,
        "The longest, in seconds, that fetching all images of one request may take.",
    )

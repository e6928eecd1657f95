"""The settings of connections: the origins of web pages, how long a client may take, and the shutdown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from inference.settings.serving import ServingSettings
from inference.settings.setting import at_least, comma_separated, setting

ANY_ORIGIN = "*"
ORIGIN = re.compile(r"https?://(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(:[0-9]{1,5})?")
DEFAULT_PORTS = {"http": ":80", "https": ":443"}
"""Ports that a browser leaves out of an origin."""


def origins(text: str) -> tuple[str, ...]:
    """Return the origins of a comma-separated list as browsers write them: small letters, no default port."""
    return tuple(_origin(item) for item in comma_separated(text))


def _origin(text: str) -> str:
    if text == ANY_ORIGIN:
        return text
    origin = text.lower().removesuffix("/")
    if not ORIGIN.fullmatch(origin):
        raise ValueError(f"expected origins such as https://app.example.com, or {ANY_ORIGIN}, not {text!r}")
    return origin.removesuffix(DEFAULT_PORTS[urlsplit(origin).scheme])


@dataclass(frozen=True, slots=True)
class ConnectionSettings(ServingSettings):
    """The settings of connections and of their end."""

    cors_origins: tuple[str, ...] = setting(
        "INFERENCE_CORS_ORIGINS",
        origins,
        (),
        "Origins of web pages, separated by commas, whose scripts may read answers "
        "(`https://app.example.com`); `*`: every page. Empty: none.",
    )
    max_connections: int = setting(
        "INFERENCE_MAX_CONNECTIONS",
        at_least(1),
        1000,
        "The most connections of the local host, fewer where the process may not open as many files; more "
        "are answered with 503 and closed.",
    )
    header_seconds: int = setting(
        "INFERENCE_HEADER_SECONDS",
        at_least(1),
        15,
        "The longest, in seconds, that a client of the local host may take to send the head of a request.",
    )
    body_seconds: int = setting(
        "INFERENCE_BODY_SECONDS",
        at_least(1),
        120,
        "The longest, in seconds, that a client may take to send the body of a request; then it is refused "
        "with 408.",
    )
    idle_seconds: int = setting(
        "INFERENCE_IDLE_SECONDS",
        at_least(1),
        75,
        "Seconds after which the local host closes a connection on which no request comes, or whose client "
        "takes nothing of its answer.",
    )
    shutdown_seconds: int = setting(
        "INFERENCE_SHUTDOWN_SECONDS",
        at_least(0),
        20,
        "The longest, in seconds, that running answers may take to finish after SIGTERM or SIGINT; then "
        "streams end with an error event. Requests that wait are refused at once with 503 and "
        "`Retry-After`.",
    )

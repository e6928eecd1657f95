"""From a host to the addresses that may be connected to."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address

from inference.images.addresses import Address, is_public
from inference.images.fetch_refused import FetchRefused

Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]
"""All addresses of a name. Raises `OSError`."""


async def resolve(host: str, port: int) -> Sequence[Address]:
    """Asks the system's resolver, in asyncio's own thread for that."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    # A link-local IPv6 address carries its interface behind a percent sign.
    return list(dict.fromkeys(ip_address(str(where[0]).partition("%")[0]) for *_, where in found))


async def reachable(host: str, port: int, asking: Resolve) -> Sequence[Address]:
    """The addresses of a name, in the order to try them. Raises `FetchRefused`.

    One address that is not public spoils the name: whoever can put it there can put it first.
    """
    try:
        addresses = await asking(host, port)
    except (OSError, UnicodeError):
        addresses = []
    if not addresses:
        raise FetchRefused("The host is not known.")
    if not all(is_public(address) for address in addresses):
        raise FetchRefused("The host is not on the public internet.")
    return addresses


def literal(host: str) -> Address | None:
    """The address that a host is itself, None for a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None

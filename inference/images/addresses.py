"""Why a URL is not fetched."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address


class FetchRefused(ValueError):
    """The URL may not be fetched, or gave no file; the message is a sentence for the caller.

    It names no address, and not what a redirect led to.
    """


Address = IPv4Address | IPv6Address

UNICAST = IPv6Network("2000::/3")
"""All of IPv6 that is assigned for the public (RFC 4291, IANA). Mapped and translated IPv4 lies outside."""
TUNNELS = (IPv6Network("2001::/32"), IPv6Network("2002::/16"))
"""Teredo and 6to4 (RFC 4380, RFC 3056): the IPv4 address inside would be reached unseen."""
RELAYS = IPv4Network("192.88.99.0/24")
"""6to4's relays (RFC 7526)."""
PLATFORM = IPv4Address("168.63.129.16")
"""Azure's own agent of every virtual machine: a public number that only the machine itself can reach."""


def is_public(address: Address) -> bool:
    """Whether an address belongs to somebody on the internet, and not to this machine or its network.

    Not public are loopback, private, link-local (the clouds' metadata service 169.254.169.254 among them),
    shared (100.64.0.0/10), multicast, reserved and documentation addresses, and IPv4 inside IPv6.
    """
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    if isinstance(address, IPv4Address):
        return address != PLATFORM and address not in RELAYS
    return address in UNICAST and not any(address in tunnel for tunnel in TUNNELS)


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

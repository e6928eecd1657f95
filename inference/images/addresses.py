"""Resolution of a URL's host to addresses of the public internet, the only ones that a name may lead to."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address


class FetchRefused(ValueError):
    """A URL that may not be fetched, or that gave no file; the message is a sentence for the caller.

    It names no address and no target of a redirect.
    """


Address = IPv4Address | IPv6Address

GLOBAL_UNICAST = IPv6Network("2000::/3")
"""All of IPv6 that is assigned for the public (RFC 4291, IANA). Mapped and translated IPv4 lies outside."""
TUNNELS = (IPv6Network("2001::/32"), IPv6Network("2002::/16"))
"""Teredo and 6to4 (RFC 4380, RFC 3056): the IPv4 address inside would be reached unchecked."""
RELAY_ANYCAST = IPv4Network("192.88.99.0/24")
"""6to4's relays (RFC 7526)."""
AZURE_WIRE_SERVER = IPv4Address("168.63.129.16")
"""The agent of every virtual machine of Azure: a public number that only the machine itself can reach."""


def is_public(address: Address) -> bool:
    """Return True for an address on the public internet, not of this machine or its network.

    Not public are loopback, private, link-local (the clouds' metadata service 169.254.169.254 among them),
    shared (100.64.0.0/10), multicast, reserved and documentation addresses, and IPv4 inside IPv6.
    """
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    if isinstance(address, IPv4Address):
        return address != AZURE_WIRE_SERVER and address not in RELAY_ANYCAST
    return address in GLOBAL_UNICAST and not any(address in tunnel for tunnel in TUNNELS)


Resolver = Callable[[str, int], Awaitable[Sequence[Address]]]
"""A function from a host's name and port to all its addresses. Raises `OSError`."""


async def resolve(host: str, port: int) -> Sequence[Address]:
    """Return all addresses of a host, by the system's resolver on a thread. Raises `OSError`."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    # A link-local IPv6 address carries its interface after a percent sign.
    return list(dict.fromkeys(ip_address(str(location[0]).partition("%")[0]) for *_, location in found))


async def public_addresses(host: str, port: int, resolver: Resolver) -> Sequence[Address]:
    """Return the addresses of a host in the order to try them.

    Raises:
        FetchRefused: The name is unknown, or one of its addresses is not public. One refuses them all,
            because an attacker who can add an address can also put it first.
    """
    try:
        addresses = await resolver(host, port)
    except (OSError, UnicodeError):
        addresses = []
    if not addresses:
        raise FetchRefused("The host is not known.")
    if not all(is_public(address) for address in addresses):
        raise FetchRefused("The host is not on the public internet.")
    return addresses


def ip_literal(host: str) -> Address | None:
    """Return the address that a host is itself, or None for a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None

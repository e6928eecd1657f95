"""Which addresses a name of the allow-list may lead to: those of the public internet."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

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

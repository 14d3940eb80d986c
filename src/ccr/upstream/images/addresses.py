"""Which addresses images may be fetched from: public ones of single machines, and no others. Pure.

Whoever names an image's address may not be whoever runs ccr: a page that a tool has read, say. So nothing on
this machine, in its network, or of its cloud may be reached that way (reliability-security.md §1b, SSRF).
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

_UNICAST_6: Final = IPv6Network("2000::/3")
_NAT64: Final = IPv6Network("64:ff9b::/96")
"""IPv4 addresses as networks without IPv4 write them (RFC 6052)."""
_TUNNELS_6: Final = (IPv6Network("2002::/16"), IPv6Network("2001::/32"))
"""6to4 and Teredo: an IPv4 address inside, delivered by whoever is near."""
_SPECIAL_4: Final = (
    IPv4Network("168.63.129.16/32"),  # Azure's host of each of its machines: public by number only
    IPv4Network("192.0.0.0/24"),  # for protocols; Oracle's cloud has its metadata there
    IPv4Network("192.88.99.0/24"),  # relays of 6to4
)
"""What Python's tables call global, or did in some version."""


def is_public(address: str) -> bool:
    """Tell whether an address is a public one of a single machine.

    Shortened and numeric spellings (``127.1``, ``2130706433``) and addresses with a zone are none.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return _is_public_4(parsed) if isinstance(parsed, IPv4Address) else _is_public_6(parsed)


def _is_public_4(address: IPv4Address) -> bool:
    return (
        address.is_global
        and not (address.is_multicast or address.is_reserved or address.is_unspecified)
        and not any(address in network for network in _SPECIAL_4)
    )


def _is_public_6(address: IPv6Address) -> bool:
    if address.scope_id is not None:
        return False
    inner = address.ipv4_mapped
    if inner is None and address in _NAT64:
        inner = IPv4Address(int(address) & 0xFFFF_FFFF)
    if inner is not None:
        return _is_public_4(inner)
    is_unicast = address in _UNICAST_6 and not any(address in tunnel for tunnel in _TUNNELS_6)
    return is_unicast and address.is_global

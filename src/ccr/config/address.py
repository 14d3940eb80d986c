"""Loopback or not: decides where a key is needed and where TLS is not. Never asks the network."""

from __future__ import annotations

import re

LOOPBACK = re.compile(r"localhost|127(\.[0-9]{1,3}){3}|\[?::1\]?", re.IGNORECASE)


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address stays on this machine, by its spelling alone."""
    return LOOPBACK.fullmatch(host) is not None


def address_from(host: str, port: int) -> str:
    """Return the URL of a listening address."""
    name = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return f"http://{name}:{port}"

"""Which proxy is on the way to a URL, if any. Pure.

This machine is never asked for through a proxy. NO_PROXY as curl and Python's tools read it: names with all
below them (a dot before makes no difference), addresses, networks (``10.0.0.0/8``), ``*`` for everything;
each with a port if it is meant for that port alone.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from ccr.config.model import Secret
from ccr.upstream.urls import is_local

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ccr.config.model import Proxy

SOCKS: Final = ("socks5://", "socks5h://")
_PORTS: Final = {"https": 443, "http": 80}


def proxy_for(url: str, own: Proxy, common: Secret | None, no_proxy: Iterable[str]) -> str | None:
    """Return the URL of the proxy to ask, None for none. It may hold credentials.

    own: what the provider says, which goes before what all say. no_proxy: counts for both.
    """
    said = common if own is None else own
    if not isinstance(said, Secret) or is_local(url):
        return None
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme)
    return None if any(_covers(entry, host.lower(), port) for entry in no_proxy) else said.reveal()


def is_socks(proxy: str) -> bool:
    """Tell whether the proxy speaks SOCKS."""
    return proxy.lower().startswith(SOCKS)


def _covers(entry: str, host: str, port: int | None) -> bool:
    name = entry.lower()
    if name == "*":
        return True
    if "/" in name:
        return _is_in_network(host, name)
    name, wanted = _without_port(name)
    if wanted is not None and wanted != port:
        return False
    name = name.removeprefix("*").removeprefix(".").rstrip(".")
    host = host.rstrip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _without_port(name: str) -> tuple[str, int | None]:
    if name.startswith("["):
        address, _, rest = name[1:].partition("]")
        return address, int(rest[1:]) if rest[1:].isdecimal() else None
    head, _, port = name.rpartition(":")
    if head and ":" not in head and port.isdecimal():
        return head, int(port)
    return name, None


def _is_in_network(host: str, network: str) -> bool:
    try:
        return ip_address(host) in ip_network(network, strict=False)
    except ValueError:
        return False

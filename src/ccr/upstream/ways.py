"""How a provider is reached: directly or through a proxy, with which certificates, and within which time.

Providers that say the same share connections; a connection is never used for another proxy, other
certificates or another time limit. Names are resolved anew after `DNS_TTL_S`, and at once after a connection
failed; of several addresses the next is tried 0.25 s after the one before (happy eyeballs, RFC 8305).
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import aiohttp

from ccr.config.model import Secret
from ccr.errors import ConfigError
from ccr.upstream.exchange import Target
from ccr.upstream.proxies import is_socks, proxy_for
from ccr.upstream.socks import has_socks, missing, socks_connector

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ccr.config.model import Config, Provider
    from ccr.upstream.retry import Attempt

KEEP_ALIVE_S: Final = 15.0
"""Less than what servers and load balancers use, so that they seldom close a connection first."""
DNS_TTL_S: Final = 60
READ_BYTES: Final = 64 * 1024
"""Reading pauses when twice this waits for a slow client."""
MAX_TARGETS: Final = 256

current_attempt: ContextVar[Attempt] = ContextVar("attempt")
"""The attempt that the running task makes."""


@dataclass(frozen=True)
class Reach:
    """How something beside the models of a provider is reached: its token endpoint, its REST API."""

    proxy_url: Secret | None = None
    no_proxy: tuple[str, ...] = ()
    ca_files: tuple[str, ...] = ()

    @classmethod
    def of(cls, config: Config, provider: Provider) -> Reach:
        """Return how what belongs to a provider is reached."""
        network = provider.network
        proxy = config.proxy_url if network.proxy is None else network.proxy
        own = () if network.ca_file is None else (network.ca_file,)
        return cls(proxy if isinstance(proxy, Secret) else None, config.no_proxy, (*config.ca_files, *own))

    def session(self, url: str, timeout: aiohttp.ClientTimeout) -> tuple[aiohttp.ClientSession, str | None]:
        """Return connections to a URL, and the proxy to name with each request.

        Raises ConfigError for a SOCKS proxy without the extra.
        """
        proxy = proxy_for(url, None, self.proxy_url, self.no_proxy)
        connector = _connector(proxy, context_with(self.ca_files), force_close=True)
        session = aiohttp.ClientSession(
            connector=connector, timeout=timeout, trust_env=False, cookie_jar=aiohttp.DummyCookieJar()
        )
        return session, None if proxy is None or is_socks(proxy) else proxy


class Way:
    """The connections of one way. proxy: of an HTTP proxy, which has to be named with every request."""

    def __init__(self, proxy: str | None, ca_files: Iterable[str], connect_s: float) -> None:
        context = context_with(ca_files)
        self.proxy = None if proxy is None or is_socks(proxy) else proxy
        self.pooled = _session(proxy, context, connect_s, force_close=False)
        self.fresh = _session(proxy, context, connect_s, force_close=True)
        self._targets: dict[tuple[str, bool], Target] = {}

    def target(self, url: str, session: aiohttp.ClientSession) -> Target:
        """Return a URL, prepared for one of the two sessions."""
        key = (url, session is self.pooled)
        target = self._targets.get(key)
        if target is None:
            if len(self._targets) == MAX_TARGETS:
                self._targets.clear()  # a transformer may give every request a URL of its own
            target = self._targets[key] = Target(url, session)
        return target

    def forget_addresses(self, url: str) -> None:
        """Resolve the URL's name anew for the next connection."""
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        for session in (self.pooled, self.fresh):
            connector = session.connector
            if isinstance(connector, aiohttp.TCPConnector):
                connector.clear_dns_cache(parts.hostname, port)

    async def close(self) -> None:
        """Close all connections."""
        await self.pooled.close()
        await self.fresh.close()


class Ways:
    """The ways to all providers of a configuration. Needs a running loop; ``close`` it.

    Raises ConfigError when a way cannot be made.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._ways: dict[tuple[str | None, tuple[str, ...], float], Way] = {}
        check_proxies(config)

    def to(self, provider: Provider, url: str) -> Way:
        """Return the way to a URL of a provider."""
        network, config = provider.network, self._config
        proxy = proxy_for(url, network.proxy, config.proxy_url, config.no_proxy)
        own = () if network.ca_file is None else (network.ca_file,)
        key = (proxy, (*config.ca_files, *own), network.timeouts.connect_s)
        way = self._ways.get(key)
        if way is None:
            way = self._ways[key] = Way(*key)
        return way

    async def close(self) -> None:
        """Close all connections."""
        await asyncio.gather(*(way.close() for way in self._ways.values()))


def check_proxies(config: Config) -> None:
    """Raise ConfigError where a SOCKS proxy is named and what it needs is not installed."""
    if has_socks():
        return
    problems = []
    for provider in config.providers:
        proxy = proxy_for(provider.url, provider.network.proxy, config.proxy_url, config.no_proxy)
        if proxy is not None and is_socks(proxy):
            where = "PROXY_URL" if provider.network.proxy is None else f"proxy of provider {provider.name}"
            problems.append(missing(where))
    if problems:
        raise ConfigError(*dict.fromkeys(problems))


def context_with(ca_files: Iterable[str]) -> ssl.SSLContext | None:
    """Return what certificates are checked with; None for the system's certificates alone.

    Those are OpenSSL's, or what SSL_CERT_FILE and SSL_CERT_DIR name. Raises OSError on a bad file.
    """
    files = tuple(ca_files)
    if not files:
        return None
    context = ssl.create_default_context()
    for file in files:
        context.load_verify_locations(file)
    context.set_alpn_protocols(("http/1.1",))
    return context


def _session(
    proxy: str | None, context: ssl.SSLContext | None, connect_s: float, *, force_close: bool
) -> aiohttp.ClientSession:
    connector = _connector(proxy, context, force_close=force_close)
    return aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=None, connect=connect_s, sock_connect=connect_s),
        auto_decompress=False,
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        read_bufsize=READ_BYTES,
    )


def _connector(
    proxy: str | None, context: ssl.SSLContext | None, *, force_close: bool
) -> aiohttp.TCPConnector:
    settings: dict[str, Any] = {
        "limit": 0,
        "ttl_dns_cache": DNS_TTL_S,
        "force_close": force_close,
        "keepalive_timeout": None if force_close else KEEP_ALIVE_S,
        "ssl": True if context is None else context,
    }
    if proxy is not None and is_socks(proxy):
        return socks_connector(proxy, on_new=_note_new, **settings)
    return aiohttp.TCPConnector(socket_factory=_new_socket, **settings)


def _note_new() -> None:
    """Note that the running attempt goes out on a new connection."""
    attempt = current_attempt.get(None)
    if attempt is not None:
        attempt.is_reused = False


def _new_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    _note_new()
    family, kind, protocol, _, _ = address
    return socket.socket(family, kind, protocol)

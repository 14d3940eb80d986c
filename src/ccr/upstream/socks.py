"""Connections through a SOCKS5 proxy: aiohttp's connector with aiohttp-socks (the extra ``[socks]``) in it.

With ``socks5`` names are resolved here, with ``socks5h`` by the proxy. The library is imported when there is
such a proxy, and only then.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from ccr.errors import ConfigError, Problem
from ccr.upstream.failures import HostUnreachableError, ProxyRefusedError, ProxyUnreachableError

if TYPE_CHECKING:
    import asyncio
    import ssl
    from collections.abc import Callable

    import aiohttp
    from aiohttp.client_proto import ResponseHandler

INSTALL: Final = 'pip install "ccr-proxy[socks]"'
DEFAULT_PORT: Final = 1080
UNREACHABLE_CODES: Final = frozenset({3, 4, 5, 6})
"""Network or host unreachable, connection refused, too many hops (RFC 1928 §6)."""


def has_socks() -> bool:
    """Tell whether aiohttp-socks is installed; imports nothing."""
    return find_spec("aiohttp_socks") is not None


def missing(where: str) -> Problem:
    """Return what to say of a SOCKS proxy named at a place when aiohttp-socks is not installed."""
    return Problem(
        "config.json", where, "a SOCKS proxy", f"a SOCKS proxy only with the extra [socks]: {INSTALL}"
    )


def socks_connector(proxy: str, *, on_new: Callable[[], None], **settings: Any) -> aiohttp.TCPConnector:
    """Return a connector whose connections go through the proxy. on_new: called when it makes one.

    settings: of aiohttp's connector. Raises ConfigError when aiohttp-socks is not installed.
    """
    if not has_socks():
        raise ConfigError(missing("PROXY_URL"))
    import python_socks  # imported here: an extra, and only for those who have such a proxy
    from aiohttp_socks import ProxyConnector, ProxyType

    class Connector(ProxyConnector):
        async def _connect_via_proxy(
            self,
            host: str,
            port: int,
            ssl: ssl.SSLContext | None = None,
            timeout: float | None = None,  # noqa: ASYNC109 - theirs
        ) -> tuple[asyncio.Transport, ResponseHandler]:
            on_new()
            try:
                return await super()._connect_via_proxy(host, port, ssl, timeout)
            except python_socks.ProxyTimeoutError as error:
                raise TimeoutError from error
            except python_socks.ProxyConnectionError as error:
                raise ProxyUnreachableError from error
            except python_socks.ProxyError as error:
                if error.error_code in UNREACHABLE_CODES:
                    raise HostUnreachableError from error
                raise ProxyRefusedError from error

    parts = urlsplit(proxy)
    return Connector(
        host=parts.hostname or "",
        port=parts.port or DEFAULT_PORT,
        proxy_type=ProxyType.SOCKS5,
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        rdns=parts.scheme.lower() == "socks5h",
        **settings,
    )

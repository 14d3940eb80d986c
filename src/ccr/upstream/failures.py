"""What a failure of the network becomes for the client: one table, from exceptions to UpstreamErrors.

The message names the provider and the host, never a key or a proxy's password. Statuses are chosen for how
the client retries: 502 and 504 it repeats, and ``should_retry`` False stops it where only a person can mend
the cause.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import aiohttp

from ccr.errors import UpstreamError

if TYPE_CHECKING:
    from ccr.upstream.retry import Fault

CA_HINT = (
    "If a company proxy or a private certificate authority signs it, give its certificate in ca_file (or "
    "SSL_CERT_FILE); the check is never turned off."
)


class ProxyUnreachableError(OSError):
    """There is no connection to the SOCKS proxy, or not in time."""


class ProxyRefusedError(OSError):
    """The SOCKS proxy does not connect to the host, or does not know us."""


class HostUnreachableError(OSError):
    """The SOCKS proxy finds no way to the host."""


class UnansweredError(UpstreamError):
    """No answer came. fault: what that says about sending again."""

    def __init__(self, status: int, message: str, *, fault: Fault, should_retry: bool | None = None) -> None:
        super().__init__(status, message, should_retry=should_retry)
        self.fault: Fault = fault


NetworkError = aiohttp.ClientError | OSError | ValueError
"""What aiohttp raises when a request cannot be sent or its answer cannot be read (timeouts are OSErrors)."""


def unreachable(error: NetworkError, *, provider: str, host: str) -> UnansweredError:
    """Return the error for a request that got no answer: nothing of one was received."""
    for kinds, status, fault, sentence in _TABLE:
        if isinstance(error, kinds):
            message = sentence.format(provider=provider, host=host)
            should_retry = False if fault == "unusable" else None
            return UnansweredError(status, message, fault=fault, should_retry=should_retry)
    message = f"{provider}: the connection to {host} failed ({type(error).__name__})"
    return UnansweredError(502, message, fault="unanswered")


def silent(seconds: float, *, provider: str, host: str, is_own: bool = False) -> UnansweredError:
    """Return the error for an upstream that accepted the request and did not begin to answer in time.

    is_own: the time is the provider's own, not that of all.
    """
    where = "timeouts.first_byte of this provider" if is_own else "API_TIMEOUT_MS in config.json"
    return UnansweredError(
        504,
        f"{provider}: {host} did not begin to answer within {seconds:.0f} s ({where} sets this time)",
        fault="unanswered",
    )


def broken(error: NetworkError, *, provider: str, host: str) -> UpstreamError:
    """Return the error for an answer that ended before it was complete."""
    del error  # its text says how many bytes were missing, which helps nobody
    return UpstreamError(502, f"{provider}: {host} closed the connection before its answer was complete")


_TABLE: tuple[tuple[type[Exception] | tuple[type[Exception], ...], int, Fault, str], ...] = (
    (
        (aiohttp.ClientConnectorCertificateError, ssl.SSLCertVerificationError),
        502,
        "unusable",
        "{provider}: the TLS certificate of {host} cannot be verified. " + CA_HINT,
    ),
    (
        (aiohttp.ClientSSLError, ssl.SSLError),
        502,
        "unusable",
        "{provider}: no TLS connection to {host}. Is api_base_url right (https, port)? " + CA_HINT,
    ),
    (aiohttp.ClientConnectorDNSError, 502, "unconnected", "{provider}: the name {host} cannot be resolved"),
    (
        (aiohttp.ClientProxyConnectionError, ProxyUnreachableError),
        502,
        "unconnected",
        "{provider}: the proxy (PROXY_URL) on the way to {host} cannot be reached",
    ),
    (
        (aiohttp.ClientHttpProxyError, ProxyRefusedError),
        502,
        "unusable",
        "{provider}: the proxy (PROXY_URL) refused to connect to {host}; check its address and credentials",
    ),
    (HostUnreachableError, 502, "unconnected", "{provider}: the proxy finds no way to {host}"),
    (TimeoutError, 504, "unanswered", "{provider}: no connection to {host} in time"),
    (aiohttp.ClientConnectorError, 502, "unconnected", "{provider}: {host} refused the connection"),
    (
        aiohttp.ServerDisconnectedError,
        502,
        "unanswered",
        "{provider}: {host} closed the connection without an answer",
    ),
    (
        (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError, ValueError),
        502,
        "unusable",
        "{provider}: the request to {host} cannot be written; check api_base_url, api_key and PROXY_URL",
    ),
    (
        aiohttp.ClientResponseError,
        502,
        "unanswered",
        "{provider}: {host} answered with something that is not HTTP",
    ),
    (aiohttp.ClientOSError, 502, "unanswered", "{provider}: {host} reset the connection before its answer"),
)

"""What a failure of the network becomes for the client: one table, from exceptions to UpstreamErrors.

The message names the provider and the host, never a key or a proxy's password. Statuses are chosen for how
the client retries: 502 and 504 it repeats, and ``should_retry`` False stops it where only a person can mend
the cause.
"""

from __future__ import annotations

import ssl

import aiohttp

from ccr.errors import UpstreamError

CA_HINT = (
    "If a company proxy or a private certificate authority signs it, give its certificate in SSL_CERT_FILE; "
    "the check is never turned off."
)

NetworkError = aiohttp.ClientError | OSError | ValueError
"""What aiohttp raises when a request cannot be sent or its answer cannot be read (timeouts are OSErrors)."""


def unreachable(error: NetworkError, *, provider: str, host: str) -> UpstreamError:
    """Return the error for a request that got no answer: nothing of one was received."""
    for kinds, status, should_retry, sentence in _TABLE:
        if isinstance(error, kinds):
            return UpstreamError(
                status, sentence.format(provider=provider, host=host), should_retry=should_retry
            )
    return UpstreamError(502, f"{provider}: the connection to {host} failed ({type(error).__name__})")


def silent(seconds: float, *, provider: str, host: str) -> UpstreamError:
    """Return the error for an upstream that accepted the request and did not begin to answer in time."""
    return UpstreamError(
        504,
        f"{provider}: {host} did not begin to answer within {seconds:.0f} s "
        "(API_TIMEOUT_MS in config.json sets this time)",
    )


def broken(error: NetworkError, *, provider: str, host: str) -> UpstreamError:
    """Return the error for an answer that ended before it was complete."""
    del error  # its text says how many bytes were missing, which helps nobody
    return UpstreamError(502, f"{provider}: {host} closed the connection before its answer was complete")


_TABLE: tuple[tuple[type[Exception] | tuple[type[Exception], ...], int, bool | None, str], ...] = (
    (
        (aiohttp.ClientConnectorCertificateError, ssl.SSLCertVerificationError),
        502,
        False,
        "{provider}: the TLS certificate of {host} cannot be verified. " + CA_HINT,
    ),
    (
        (aiohttp.ClientSSLError, ssl.SSLError),
        502,
        False,
        "{provider}: no TLS connection to {host}. Is api_base_url right (https, port)? " + CA_HINT,
    ),
    (aiohttp.ClientConnectorDNSError, 502, None, "{provider}: the name {host} cannot be resolved"),
    (
        aiohttp.ClientProxyConnectionError,
        502,
        None,
        "{provider}: the proxy (PROXY_URL) on the way to {host} cannot be reached",
    ),
    (
        aiohttp.ClientHttpProxyError,
        502,
        False,
        "{provider}: the proxy (PROXY_URL) refused to connect to {host}; check its address and credentials",
    ),
    (TimeoutError, 504, None, "{provider}: no connection to {host} in time"),
    (aiohttp.ClientConnectorError, 502, None, "{provider}: {host} refused the connection"),
    (
        aiohttp.ServerDisconnectedError,
        502,
        None,
        "{provider}: {host} closed the connection without an answer",
    ),
    (
        (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError, ValueError),
        502,
        False,
        "{provider}: the request to {host} cannot be written; check api_base_url, api_key and PROXY_URL",
    ),
    (aiohttp.ClientResponseError, 502, None, "{provider}: {host} answered with something that is not HTTP"),
    (aiohttp.ClientOSError, 502, None, "{provider}: {host} reset the connection before its answer"),
)

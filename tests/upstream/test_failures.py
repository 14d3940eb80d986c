from __future__ import annotations

import ssl

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.http_exceptions import BadStatusLine

from ccr.upstream.failures import NetworkError, broken, silent, unreachable

_KEY = ConnectionKey("adb.test", 443, True, True, None, None, None)
_INFO = aiohttp.RequestInfo(None, "POST", None, None)  # type: ignore[arg-type] # only shown by aiohttp
_CERTIFICATE = ssl.SSLCertVerificationError(1, "self-signed")


@pytest.mark.parametrize(
    ("error", "status", "should_retry", "said"),
    [
        (aiohttp.ClientConnectorCertificateError(_KEY, _CERTIFICATE), 502, False, "SSL_CERT_FILE"),
        (aiohttp.ClientConnectorSSLError(_KEY, ssl.SSLError(1, "x")), 502, False, "no TLS connection"),
        (aiohttp.ClientConnectorDNSError(_KEY, OSError(-2, "x")), 502, None, "cannot be resolved"),
        (aiohttp.ClientProxyConnectionError(_KEY, OSError(111, "x")), 502, None, "proxy (PROXY_URL)"),
        (aiohttp.ClientHttpProxyError(_INFO, (), status=407), 502, False, "refused to connect"),
        (aiohttp.ConnectionTimeoutError(), 504, None, "no connection"),
        (aiohttp.ClientConnectorError(_KEY, OSError(111, "x")), 502, None, "refused the connection"),
        (aiohttp.ServerDisconnectedError(), 502, None, "without an answer"),
        (aiohttp.ClientOSError(104, "x"), 502, None, "reset the connection"),
        (aiohttp.ClientResponseError(_INFO, (), message="x"), 502, None, "not HTTP"),
        (aiohttp.InvalidURL("nonsense"), 502, False, "cannot be written"),
        (ValueError("Newline in header"), 502, False, "cannot be written"),
        (aiohttp.ClientPayloadError(str(BadStatusLine("x"))), 502, None, "failed (ClientPayloadError)"),
    ],
)
def test_each_failure_has_its_words(
    error: NetworkError, status: int, should_retry: bool | None, said: str
) -> None:
    made = unreachable(error, provider="databricks", host="adb.test")
    assert (made.status, made.should_retry) == (status, should_retry)
    assert said in made.message
    assert made.message.startswith("databricks")
    assert "adb.test" in made.message


def test_a_silent_upstream_names_the_setting() -> None:
    error = silent(600, provider="p", host="h")
    assert (error.status, error.error_type) == (504, "timeout_error")
    assert "600 s" in error.message
    assert "API_TIMEOUT_MS" in error.message
    assert "timeouts.first_byte" in silent(5, provider="p", host="h", is_own=True).message


def test_a_broken_answer_is_a_bad_gateway() -> None:
    error = broken(aiohttp.ClientPayloadError(), provider="p", host="h")
    assert error.status == 502
    assert "p: h closed the connection" in error.message

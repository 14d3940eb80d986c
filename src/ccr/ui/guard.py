"""Who may ask the pages' server: decided on the raw head of a request. Pure.

In this order, the first that applies decides:

* Host: exactly one, 127.0.0.1 or localhost with the port listened on; a name bound by DNS is refused.
* target: a path of the two tables, byte for byte; never normalised, so that no file can be named.
* method: the path's own.
* browser: what ``Sec-Fetch-Site`` says must be ``same-origin``, or ``none`` for a page (typed, or opened by
  a program); ``Origin`` must be ours, and a POST must bring it.
* framing: no upgrade, no transfer encoding; a POST is JSON of an announced, bounded length.
* key: on every call but the one that gives it; in a header, never in a cookie: cookies of 127.0.0.1 go to
  every port of it, whoever listens there.

Every answer carries `HEADERS`: nothing is cached, framed, guessed or loaded from elsewhere, and no script but
our own files runs, whatever a text on a page holds.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final, Protocol

from ccr.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from ccr.config.model import Secret

KEY_HEADER: Final = "x-ccr-ui-key"
SESSION: Final = "/api/session"
"""The one call without a key: it gives one for the code that `ccr ui` has opened the browser with."""
MAX_BODY_BYTES: Final = 8 * 1024 * 1024
LOOPBACK_NAMES: Final = ("127.0.0.1", "localhost")
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Server": "ccr",
}


class Headers(Protocol):
    """The headers of a request; names in any case."""

    def getall(self, key: str, default: list[str]) -> list[str]:
        """Return every value of a header."""
        ...

    def __contains__(self, key: object) -> bool: ...


class Guard:
    """The checks for one server. pages: paths of files; calls: path of the API -> its method."""

    def __init__(self, port: int, key: Secret, pages: Container[str], calls: Mapping[str, str]) -> None:
        self._hosts = frozenset(f"{name}:{port}" for name in LOOPBACK_NAMES)
        self._key = key.reveal().encode()
        self._pages = pages
        self._calls = calls

    def path_of(self, method: str, target: str, headers: Headers) -> str:
        """Return the path of a request that may be answered. Raises RequestError."""
        hosts = headers.getall("Host", [])
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            raise RequestError(
                "the pages of ccr are asked by 127.0.0.1 or localhost, and their port", status=403
            )
        path, mark, _ = target.partition("?")
        is_page = path in self._pages
        if not (is_page or path in self._calls) or (is_page and mark):
            raise RequestError("there is nothing of that name here", status=404)
        wanted = "GET" if is_page else self._calls[path]
        if method != wanted:
            raise RequestError(f"this takes {wanted} alone", status=405)
        _check_origin(method, hosts[0].lower(), headers, is_page=is_page)
        _check_framing(method, headers)
        if not is_page and path != SESSION:
            self._check_key(headers)
        return path

    def _check_key(self, headers: Headers) -> None:
        keys = headers.getall(KEY_HEADER, [])
        given = keys[0].encode("utf-8", "surrogateescape") if len(keys) == 1 else b""
        if not hmac.compare_digest(given, self._key):
            raise RequestError(
                "this page is of another run: open the address that `ccr ui` printed", status=401
            )


def _check_origin(method: str, host: str, headers: Headers, *, is_page: bool) -> None:
    allowed = ("same-origin", "none") if is_page else ("same-origin",)
    if any(value.strip().lower() not in allowed for value in headers.getall("Sec-Fetch-Site", [])):
        raise RequestError("other pages are not answered", status=403)
    origins = headers.getall("Origin", [])
    if any(origin.lower() != f"http://{host}" for origin in origins) or (method == "POST" and not origins):
        raise RequestError("other pages are not answered", status=403)


def _check_framing(method: str, headers: Headers) -> None:
    if "Upgrade" in headers or "Transfer-Encoding" in headers or "Content-Encoding" in headers:
        raise RequestError("requests come as they are, and by their length")
    lengths = headers.getall("Content-Length", [])
    if method != "POST":
        if lengths not in ([], ["0"]):
            raise RequestError("a GET has no body")
        return
    types = headers.getall("Content-Type", [])
    if len(types) != 1 or types[0].partition(";")[0].strip().lower() != "application/json":
        raise RequestError("content-type must be application/json", status=415)
    if len(lengths) != 1 or not (lengths[0].isascii() and lengths[0].isdecimal()):
        raise RequestError("a body comes with its length", status=411)
    if int(lengths[0]) > MAX_BODY_BYTES:
        raise RequestError(f"a request may have {MAX_BODY_BYTES} bytes", status=413)

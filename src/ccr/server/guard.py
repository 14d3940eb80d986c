"""Who may ask at all: decided on the raw head of a request, before anything is read or looked up.

In this order, the first that applies decides:

* target: a path from the route table, byte for byte; never normalised, so nothing is smuggled past it.
* framing: HTTP/1.0 or 1.1; a body that is not announced by its length comes in plain chunks, of 1.1 alone.
* Host: exactly one, and one of ours: a name that a web page was bound to by DNS is refused (rebinding).
* browser: a request with ``Origin`` or ``Sec-Fetch-Site`` comes from a web page; none has business here.
* method: one of the route's.
* key: on every route but the two that say nothing; compared in constant time.
* body: JSON by its content type, and not compressed: a "simple" cross-site post is neither.

Pure: headers in, None or an error out. No route sends CORS headers, so that no page can read an answer
either.
"""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from ccr.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

    from ccr.config.model import Secret

LOOPBACK_NAMES: Final = ("127.0.0.1", "localhost", "[::1]")
HTTP_PORT: Final = 80
HTTP_1_0: Final = (1, 0)
HTTP_1_1: Final = (1, 1)
OF_PROXIES: Final = ("CONNECT", "TRACE")
_ID: Final = "{id}"
PRESETS: Final = "a preset has a service of its own, and `ccr NAME` runs it"
"""The npm router serves presets below this path."""
PAGES: Final = "`ccr ui` opens the pages of ccr, at an address of their own"
"""The npm router serves its pages here; this process has none."""
REMEDY: Final = (
    "Start the client with `ccr code`, or set the variables that `ccr env` prints; "
    "`env` and `apiKeyHelper` in Claude Code's settings.json go before them."
)


class Headers(Protocol):
    """The headers of a request; names in any case."""

    def getall(self, key: str, default: list[str]) -> list[str]:
        """Return every value of a header."""
        ...

    def __contains__(self, key: object) -> bool: ...


@dataclass(frozen=True)
class Endpoint:
    """What the route table says of a path. is_open: no key is needed for it."""

    methods: tuple[str, ...]
    is_open: bool = False


OF_PLUGINS: Final = Endpoint(("POST",))
"""Every path that is not in the table and is let through all the same."""


@dataclass(frozen=True)
class Hosts:
    """The values of ``Host`` that name this service."""

    names: frozenset[str]
    any_address: frozenset[int] = frozenset()
    """Ports on which any IP address is a name too (the service listens on all of them)."""

    @classmethod
    def of(cls, host: str, ports: Iterable[int]) -> Hosts:
        """Return what is allowed for a service listening on ``host`` (as configured) and ``ports``."""
        ports = frozenset(ports)
        own = host.lower()
        if ":" in own and not own.startswith("["):
            own = f"[{own}]"
        is_wildcard = _is_unspecified(own)
        hosts = {*LOOPBACK_NAMES} | (set() if is_wildcard else {own})
        names = {f"{name}:{port}" for name in hosts for port in ports}
        if HTTP_PORT in ports:
            names |= hosts
        return cls(frozenset(names), ports if is_wildcard else frozenset())

    def allow(self, host: str) -> bool:
        """Tell whether a value of ``Host`` names this service."""
        host = host.lower()
        if host in self.names:
            return True
        if not self.any_address:
            return False
        # Listening everywhere: DNS cannot bind an address to another site, so it is as good as our name.
        name, _, port = host.rpartition(":")
        return port.isascii() and port.isdigit() and int(port) in self.any_address and _is_address(name)


class Guard:
    """The checks for one service. key: None when no key is asked for (``"AUTH": "none"``)."""

    def __init__(self, hosts: Hosts, key: Secret | None, endpoints: Mapping[str, Endpoint]) -> None:
        self._hosts = hosts
        self._key = key.reveal().encode() if key is not None else None
        self._endpoints = endpoints
        self._beginnings = {key.removesuffix(_ID): key for key in endpoints if key.endswith(_ID)}

    def path_of(self, target: str, end_points: Container[str] = ()) -> str:
        """Return the path of a raw request target, as the table or ``end_points`` has it.

        A path of the table that ends in ``/{id}`` stands for all with something in that place. end_points:
        further paths, the routes of plugins. Raises RequestError: 400 for anything but a path (``http://…``,
        ``*``, ``host:port``), 404 for one that is not served.
        """
        if not target.startswith("/"):
            raise RequestError("the request target must be a path", status=400)
        path = target.partition("?")[0]
        for beginning, key in self._beginnings.items():
            if path.startswith(beginning) and path != beginning:
                return key
        if path not in self._endpoints and path not in end_points:
            remedy = f"ccr serves {', '.join(self._endpoints)}"
            if path.startswith("/preset/"):
                remedy = PRESETS
            elif path in ("/ui", "/ui/"):
                remedy = PAGES
            raise RequestError(f"there is no {_shown(path)} here; {remedy}", status=404)
        return path

    def check(self, method: str, path: str, headers: Headers, version: tuple[int, int] = HTTP_1_1) -> None:
        """Let a request through, or raise RequestError. version: of HTTP, as the request line has it."""
        _check_framing(headers, version)
        self._check_host(headers)
        if "Origin" in headers or any(
            value.strip().lower() != "none" for value in headers.getall("Sec-Fetch-Site", [])
        ):
            raise RequestError("requests of web pages are not answered", status=403)
        endpoint = self._endpoints.get(path, OF_PLUGINS)
        if method not in endpoint.methods:
            raise RequestError(
                f"{_shown(method)} is not possible on {path}; use {' or '.join(endpoint.methods)}", status=405
            )
        if "Upgrade" in headers:
            raise RequestError("protocol upgrades are not possible here")
        if not endpoint.is_open and self._key is not None:
            self._check_key(self._key, headers)
        if method == "POST":
            _check_body_headers(headers)

    def _check_host(self, headers: Headers) -> None:
        hosts = headers.getall("Host", [])
        if len(hosts) != 1:
            raise RequestError("exactly one Host header is required")
        if not self._hosts.allow(hosts[0]):
            raise RequestError(
                f"Host `{_shown(hosts[0])}` is not a name of ccr; use 127.0.0.1 or localhost, and its port",
                status=403,
            )

    @staticmethod
    def _check_key(key: bytes, headers: Headers) -> None:
        authorizations = headers.getall("Authorization", [])
        api_keys = headers.getall("x-api-key", [])
        if len(authorizations) > 1 or len(api_keys) > 1:
            raise RequestError("Authorization and x-api-key may be given once each")
        # not by the header's name: after that word the client says "Invalid API key" and hides the sentence
        given: dict[str, str] = {}
        if api_keys:
            given["the API key"] = api_keys[0].strip()
        if authorizations:
            given["the bearer token"] = _bearer_token(authorizations[0])
        if not given:
            raise RequestError(f"this needs the local key of ccr. {REMEDY}", status=403)
        wrong = [name for name, value in given.items() if not hmac.compare_digest(_bytes(value), key)]
        if not wrong:
            return
        if len(wrong) < len(given):
            raise RequestError(
                f"{wrong[0]} is not the local key of ccr, while the other key that came with it is. "
                "It may come from ANTHROPIC_API_KEY, ANTHROPIC_AUTH_TOKEN, or `env` or `apiKeyHelper` in "
                "Claude Code's settings.json: take it out there.",
                status=403,
            )
        raise RequestError(f"{wrong[0]} is not the local key of ccr. {REMEDY}", status=403)


def is_last(method: str, headers: Headers, version: tuple[int, int] = HTTP_1_1) -> bool:
    """Tell whether its sender may mean what follows on the connection otherwise than it would be read."""
    return method in OF_PROXIES or "Upgrade" in headers or _framing_fault(headers, version) is not None


def _check_framing(headers: Headers, version: tuple[int, int]) -> None:
    fault = _framing_fault(headers, version)
    if fault is not None:
        raise RequestError(fault)


def _framing_fault(headers: Headers, version: tuple[int, int]) -> str | None:
    if version not in (HTTP_1_0, HTTP_1_1):
        return "ccr speaks HTTP/1.1"
    encodings = [value.strip().lower() for value in headers.getall("Transfer-Encoding", [])]
    if encodings and (encodings != ["chunked"] or version == HTTP_1_0):
        return "the only transfer encoding that is taken is chunked, of HTTP/1.1"
    return None


def _check_body_headers(headers: Headers) -> None:
    types = headers.getall("Content-Type", [])
    media_type = types[0].partition(";")[0].strip().lower() if len(types) == 1 else ""
    if media_type != "application/json":
        raise RequestError("content-type must be application/json", status=415)
    if any(value.strip().lower() != "100-continue" for value in headers.getall("Expect", [])):
        raise RequestError("the only expectation that can be met is 100-continue", status=417)
    encodings = [value.strip().lower() for value in headers.getall("Content-Encoding", [])]
    if any(encoding != "identity" for encoding in encodings):
        raise RequestError("compressed requests are not accepted", status=415)


def _bearer_token(value: str) -> str:
    """Return the token of ``Bearer <token>`` (scheme in any case), "" for anything else."""
    scheme, _, token = value.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _bytes(value: str) -> bytes:
    return value.encode("utf-8", "surrogateescape")


def _is_unspecified(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_unspecified
    except ValueError:
        return False


def _is_address(name: str) -> bool:
    if name.startswith("[") != name.endswith("]"):
        return False
    try:
        address = ipaddress.ip_address(name[1:-1] if name.startswith("[") else name)
    except ValueError:
        return False
    return not address.is_unspecified and (address.version == 4 or name.startswith("["))


def _shown(text: str) -> str:
    """Return a text of the client as it may stand in a message: short, printable."""
    return "".join(char if char.isprintable() else "?" for char in text[:80])

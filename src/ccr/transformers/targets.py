"""Where a transformer may send a request: what a URL and headers have to be. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from ccr.config.address import is_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.transformers.base import Target

_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_NOT_IN_A_VALUE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_NOT_IN_A_URL: Final = re.compile(r"[^\x21-\x7e]")
_PORTS: Final = {"https": 443, "http": 80}


def fault_of(target: Target) -> str | None:
    """Return why no request can go there, None when it can. Quotes neither the URL nor a header's value."""
    return _fault_of_url(target.url) or _fault_of_headers(target.headers)


def origin_of(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port: what a key that is meant for one of them may be sent to."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme)


def _fault_of_url(url: object) -> str | None:
    if not isinstance(url, str) or _NOT_IN_A_URL.search(url):
        return "the URL is not a text of visible ASCII characters"
    try:
        scheme, host, _ = origin_of(url)
    except ValueError:
        return "the URL cannot be read"
    if scheme not in _PORTS or not host:
        return "the URL does not begin with https:// and a host"
    if scheme == "http" and not is_loopback(host):
        return "the URL is http, to another machine"
    return "the URL holds credentials" if "@" in urlsplit(url).netloc else None


def _fault_of_headers(headers: Mapping[Any, Any]) -> str | None:
    for name, value in headers.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            return f"{name!r} is no name of a header"
        if value is None:
            continue
        if not isinstance(value, str) or not value.isascii() or _NOT_IN_A_VALUE.search(value):
            return f"the header {name} is not one line of ASCII text"
    return None

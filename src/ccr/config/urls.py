"""URLs that ccr sends something to: https, or http on this machine, without credentials."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from ccr.config.address import is_loopback

NOT_IN_A_URL: Final = re.compile(r"[^\x21-\x7e]")


def fault_of_url(text: str, *, needs_path: bool = True) -> str | None:
    """Return what is wrong with a URL, None for nothing. It is never quoted: people paste keys into it."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "a URL that cannot be read"
    faults = {
        "a placeholder in <…> that was not replaced": "<" in text or ">" in text,
        "characters that a URL cannot hold": NOT_IN_A_URL.search(text) is not None,
        "a text without https:// at its start": parts.scheme not in ("http", "https"),
        "a URL without a host": not host,
        "a URL with credentials": "@" in parts.netloc,
        "a URL with a #fragment": "#" in text,
        "a host without a path": needs_path and parts.path in ("", "/"),
        "http to another machine": parts.scheme == "http" and not is_loopback(host or ""),
    }
    return next((fault for fault, is_there in faults.items() if is_there), None)

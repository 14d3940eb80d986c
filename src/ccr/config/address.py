"""Addresses by their spelling: loopback or not, which workspace is meant. Never asks the network."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

LOOPBACK = re.compile(r"localhost|127(\.[0-9]{1,3}){3}|\[?::1\]?", re.IGNORECASE)


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address stays on this machine, by its spelling alone."""
    return LOOPBACK.fullmatch(host) is not None


def address_from(host: str, port: int) -> str:
    """Return the URL of a listening address."""
    name = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return f"http://{name}:{port}"


def workspace_url(text: str) -> str:
    """Return ``https://host[:port]`` for what people paste: without scheme, with a path, with ``?o=…``.

    Raises ValueError (a sentence that does not quote the text: it may hold a password) when there is no host
    in it, or http to another machine, over which a token would travel in the clear.
    """
    written = text.strip()
    try:
        parts = urlsplit(written if "://" in written else f"https://{written}")
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise ValueError("this is no URL") from error
    if parts.scheme not in {"http", "https"} or not host or not host.isascii() or "@" in parts.netloc:
        raise ValueError("this is not the URL of a workspace, like https://<workspace>.cloud.databricks.com")
    if any(character.isspace() or not character.isprintable() for character in parts.netloc):
        raise ValueError("a URL holds no spaces")
    if "<" in parts.netloc or ">" in parts.netloc:
        raise ValueError("<…> in a URL is a placeholder: write the name of the workspace there")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError("http would send the token in the clear; write https")
    name = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{name}:{port}" if port else f"{parts.scheme}://{name}"

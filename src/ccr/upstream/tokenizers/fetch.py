"""Fetching a vocabulary, once: by the proxies and certificates that all use, within a size and a time.

No key is sent, so redirects are followed, to https alone: the hub keeps large files elsewhere.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin, urlsplit

import aiohttp

from ccr import __version__
from ccr.upstream.failures import unreachable
from ccr.upstream.tokenizers.errors import TokenizerError
from ccr.upstream.urls import host_of

if TYPE_CHECKING:
    from ccr.upstream.ways import Reach

CONNECT_S: Final = 10.0
TOTAL_S: Final = 120.0
MAX_REDIRECTS: Final = 5
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_HEADERS: Final = {"Accept-Encoding": "identity", "User-Agent": f"ccr/{__version__}"}


async def fetched(url: str, reach: Reach, *, max_bytes: int, total_s: float = TOTAL_S) -> bytes:
    """Return what is at a URL. Raises TokenizerError."""
    try:
        async with asyncio.timeout(total_s):
            for _ in range(MAX_REDIRECTS + 1):
                data, url = await _one(url, reach, max_bytes)
                if data is not None:
                    return data
    except TimeoutError as error:
        raise TokenizerError(f"{host_of(url)} did not send it within {total_s:g} s") from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise TokenizerError(str(unreachable(error, provider="the vocabulary", host=host_of(url)))) from error
    raise TokenizerError(f"{host_of(url)} redirects too often")


async def _one(url: str, reach: Reach, max_bytes: int) -> tuple[bytes | None, str]:
    """Return the content, or None and where it is instead."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=CONNECT_S * 3)
    session, proxy = reach.session(url, timeout)
    async with session, session.get(url, headers=_HEADERS, proxy=proxy, allow_redirects=False) as response:
        if response.status in _REDIRECTS:
            other = urljoin(url, response.headers.get("location", ""))
            if urlsplit(other).scheme != urlsplit(url).scheme:
                raise TokenizerError(f"{host_of(url)} redirects to something that is not fetched")
            return None, other
        if response.status != 200:
            raise TokenizerError(f"{host_of(url)} answered {response.status}")
        data = bytearray()
        async for piece in response.content.iter_any():
            data += piece
            if len(data) > max_bytes:
                raise TokenizerError(f"{host_of(url)} sends more than {max_bytes} bytes")
        return bytes(data), url

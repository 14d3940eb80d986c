"""Images fetched from the web for models that take no addresses: only when a provider allows it.

What is fetched is named by whoever wrote the conversation, so nothing is taken on trust: https alone, no
redirects, no credentials, no proxy (it would look the name up itself), public addresses only, a size and a
time limit, and the four formats that models take, told by their first bytes. All addresses of a name are
checked before any is used, and each once more when its socket is made: what is connected to is what was
checked, however often the name changes its mind.

What a URL gave is remembered, also that it gave nothing: the next turn of the conversation must have the same
bytes, or the prompt's cache is lost.
"""

from __future__ import annotations

import asyncio
import socket
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from ccr import __version__
from ccr.protocol.images import InlineImage
from ccr.upstream.images.addresses import is_public
from ccr.upstream.images.cache import BoundedCache

MAX_BYTES: Final = 5_000_000
TIMEOUT_S: Final = 10.0
MAX_AT_ONCE: Final = 4
MAX_OF_REQUEST: Final = 20
"""Addresses of one request that are fetched; with the limits above, it waits for at most 50 s."""
MAX_URL_CHARS: Final = 2048
MAX_HELD_BYTES: Final = 32 * 1024 * 1024
MEDIA_TYPES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
OTHER_NAMES: Final = {"image/jpg": "image/jpeg"}
HEADERS: Final = {
    "Accept": ", ".join(sorted(MEDIA_TYPES)),
    "Accept-Encoding": "identity",
    "User-Agent": f"ccr/{__version__}",
}

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""Name and port to all addresses of the name; raises OSError when there is none."""


async def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a name, as the system knows them."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class ImageFetcher:
    """Fetches images, and remembers what each address gave.

    scheme, is_allowed, resolve: other than the default only in tests.
    """

    def __init__(
        self,
        *,
        scheme: str = "https",
        is_allowed: Callable[[str], bool] = is_public,
        resolve: Resolve = resolve,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._scheme = scheme
        self._is_allowed = is_allowed
        self._resolve = resolve
        self._timeout_s = timeout_s
        self._held: BoundedCache[str, InlineImage | str] = BoundedCache(MAX_HELD_BYTES)
        self._turns = asyncio.Semaphore(MAX_AT_ONCE)

    async def fetch(self, urls: Iterable[str]) -> dict[str, InlineImage | str]:
        """Return, for the addresses of one request, the image of each, or why there is none."""
        wanted = list(dict.fromkeys(urls))
        images = {url: held for url in wanted if (held := self._held.get(url)) is not None}
        missing = [url for url in wanted if url not in images]
        fetched = await asyncio.gather(*(self._one(url) for url in missing[:MAX_OF_REQUEST]))
        images.update(zip(missing, fetched, strict=False))
        for url in missing[MAX_OF_REQUEST:]:
            images[url] = self._kept(url, f"more than {MAX_OF_REQUEST} addresses of images at once")
        return images

    async def _one(self, url: str) -> InlineImage | str:
        fault = self._fault_of(url)
        if fault is not None:
            return self._kept(url, fault)
        async with self._turns:
            return self._kept(url, await self._fetched(URL(url)))

    def _kept(self, url: str, image: InlineImage | str) -> InlineImage | str:
        """Return what the address stands for from now on: what it gave first."""
        held = self._held.get(url)
        if held is not None:
            return held
        self._held.put(url, image, len(url) + sum(map(len, image)))
        return image

    def _fault_of(self, url: str) -> str | None:
        if len(url) > MAX_URL_CHARS:
            return "its address is too long"
        try:
            parsed = URL(url)
        except ValueError:
            return "its address cannot be read"
        if parsed.scheme != self._scheme:
            return f"only {self._scheme} addresses are fetched"
        if not parsed.host:
            return "its address has no host"
        return "its address holds credentials" if parsed.user or parsed.password else None

    async def _fetched(self, url: URL) -> InlineImage | str:
        guard = _Guard(self._is_allowed, self._resolve)
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                _session(guard) as session,
                session.get(url, headers=HEADERS, allow_redirects=False) as response,
            ):
                return await _image_from(response)
        except TimeoutError:
            return f"its server took longer than {self._timeout_s:.0f} s"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if guard.has_refused:
                return "its address is not a public one"
            return f"it could not be fetched ({type(error).__name__})"


class _Guard(AbstractResolver):
    """Lets one fetch connect to allowed addresses only: as its resolver, and as the maker of its sockets."""

    def __init__(self, is_allowed: Callable[[str], bool], resolve: Resolve) -> None:
        self.has_refused = False
        self._is_allowed = is_allowed
        self._resolve = resolve

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002 - the signature is aiohttp's
    ) -> list[ResolveResult]:
        """Return the addresses of a name. Raises OSError when one of them is not allowed."""
        addresses = await self._resolve(host, port)
        for address in addresses:
            self._check(address)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Do nothing: there is nothing open."""

    def new_socket(self, info: aiohttp.AddrInfoType) -> socket.socket:
        """Make the socket for an address, which is checked also when nobody had to look it up."""
        family, kind, protocol, _, address = info
        self._check(str(address[0]))
        return socket.socket(family, kind, protocol)

    def _check(self, address: str) -> None:
        if not self._is_allowed(address):
            self.has_refused = True
            raise PermissionError("not a public address")


def _session(guard: _Guard) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(
        resolver=guard, socket_factory=guard.new_socket, use_dns_cache=False, force_close=True
    )
    return aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=None),
        auto_decompress=False,
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
    )


async def _image_from(response: aiohttp.ClientResponse) -> InlineImage | str:
    if response.status != 200:
        return f"its server answered with status {response.status}"
    said = OTHER_NAMES.get(response.content_type, response.content_type)
    if said not in MEDIA_TYPES:
        return "its server says that it is no PNG, JPEG, GIF or WebP"
    too_large = f"it is larger than {MAX_BYTES // 1_000_000} MB"
    if (response.content_length or 0) > MAX_BYTES:
        return too_large
    data = bytearray()
    async for piece in response.content.iter_any():
        data += piece
        if len(data) > MAX_BYTES:
            return too_large
    media_type = media_type_of(bytes(data[:12]))
    if media_type is None:
        return "it is no PNG, JPEG, GIF or WebP"
    return InlineImage(media_type, b64encode(data).decode("ascii"))


def media_type_of(start: bytes) -> str | None:
    """Return the media type of an image by its first 12 bytes, None when it is none of the four."""
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if start.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if start.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    is_webp = start.startswith(b"RIFF") and start[8:12] == b"WEBP"
    return "image/webp" if is_webp else None

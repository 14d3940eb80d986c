"""Counting by a web service of the person's: one request, within a short time, the same content once.

As with providers: https or this machine, the proxies and certificates of the provider, no redirects, no
cookies, nothing from the environment, and the key to this URL alone.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import msgspec

from ccr import __version__
from ccr.errors import ConfigError
from ccr.protocol.native_json import OBJECT, decoded
from ccr.protocol.token_texts import texts_from_body
from ccr.upstream.failures import unreachable
from ccr.upstream.tokenizers.errors import TokenizerError
from ccr.upstream.urls import host_of

if TYPE_CHECKING:
    from ccr.config.tokenizers import TokenizerApi
    from ccr.upstream.ways import Reach

CONNECT_S: Final = 1.5
MAX_ANSWER_BYTES: Final = 64 * 1024
MAX_REMEMBERED: Final = 1000
_KEYS: Final = ("messages", "system", "tools")


class ApiTokenizer:
    """Counts the tokens of requests for one model. Needs a running loop; ``close`` it."""

    def __init__(self, api: TokenizerApi, model: str, reach: Reach) -> None:
        self._api = api
        self._model = model
        self._reach = reach
        self._host = host_of(api.url)
        self._session: aiohttp.ClientSession | None = None
        self._proxy: str | None = None
        self._remembered: OrderedDict[bytes, int] = OrderedDict()

    async def prepare(self) -> None:
        """Open the connections. Raises TokenizerError where the proxy needs what is not installed."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S)
        try:
            self._session, self._proxy = self._reach.session(self._api.url, timeout)
        except ConfigError as error:
            raise TokenizerError(str(error), is_final=True) from error

    async def count(self, body: bytes) -> int:
        """Return the tokens of a request, once it is prepared. Raises TokenizerError, RequestError."""
        asked = api_request(body, self._api.format, self._model)
        key = hashlib.blake2b(asked, digest_size=16).digest()
        known = self._remembered.get(key)
        if known is None:
            known = count_in(await self._answer(asked), self._api.field, self._host)
            self._remembered[key] = known
            if len(self._remembered) > MAX_REMEMBERED:
                self._remembered.popitem(last=False)
        return known

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _answer(self, asked: bytes) -> bytes:
        assert self._session is not None  # noqa: S101 - whoever counts has prepared it
        headers = {"Content-Type": "application/json", "User-Agent": f"ccr/{__version__}"}
        if self._api.key is not None:
            headers["Authorization"] = f"Bearer {self._api.key.reveal()}"
        headers |= {name: value.reveal() for name, value in self._api.headers}
        try:
            async with self._session.post(
                self._api.url, data=asked, headers=headers, proxy=self._proxy, allow_redirects=False
            ) as response:
                if response.status != 200:
                    raise TokenizerError(f"{self._host} answered {response.status}")
                data = await response.content.read(MAX_ANSWER_BYTES)
                while not response.content.at_eof() and len(data) < MAX_ANSWER_BYTES:
                    data += await response.content.read(MAX_ANSWER_BYTES)
                return data
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise TokenizerError(
                str(unreachable(error, provider="the tokenizer", host=self._host))
            ) from error


def api_request(body: bytes, form: str, model: str) -> bytes:
    """Return what a service is asked for a request, in its form. Raises RequestError.

    ``standard`` and ``anthropic`` get the request's own messages, system prompt and tools, the latter with
    the model; ``openai`` gets texts alone, ``custom`` one text. Source: the npm router's api-tokenizer.ts.
    """
    texts = texts_from_body(body)
    if form == "custom":
        return msgspec.json.encode({"text": " ".join(texts.texts)})
    values = decoded(OBJECT, body)
    kept: dict[str, Any] = {key: values[key] for key in _KEYS if key in values}
    if form == "anthropic":
        kept = {"model": model, **kept}
    elif form == "openai":
        messages = msgspec.json.decode(values["messages"])
        kept = {"model": model, "messages": [_plain(message) for message in messages]}
    return msgspec.json.encode(kept)


def count_in(answer: bytes, field: tuple[str, ...], host: str) -> int:
    """Return the count at a path of keys in an answer. Raises TokenizerError."""
    try:
        value = msgspec.json.decode(answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise TokenizerError(f"{host} answered with something that is not JSON") from error
    for name in field:
        value = value.get(name) if isinstance(value, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
        raise TokenizerError(f"{host} answered without a number at {'.'.join(field)} (responseField)")
    return round(value)


def _plain(message: Any) -> dict[str, Any]:
    """Return a message with its texts alone."""
    only = msgspec.json.encode({"messages": [message]})
    role = message.get("role") if isinstance(message, dict) else None
    return {"role": role, "content": " ".join(texts_from_body(only).texts)}

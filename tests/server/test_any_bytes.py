"""Nearly right requests, changed at random, against a whole service: it lives, and answers politely."""

from __future__ import annotations

import asyncio
import json
import random
from typing import TYPE_CHECKING, Any, Final

import pytest

from ccr.server.routes import ROUTES
from tests.server.raw_client import ask, raw_client, request
from tests.server.service import KEY, Service, config_for, message_body, running
from tests.upstream.raw import good_completion, raw_upstream

if TYPE_CHECKING:
    from collections.abc import Iterator

COUNT: Final = 400
AT_ONCE: Final = 20
WAIT_S: Final = 0.1
METHODS: Final = ("POST", "POST", "POST", "GET", "HEAD", "PUT", "OPTIONS", "CONNECT", "TRACE")
LINES: Final = (
    *("Transfer-Encoding: chunked", "Content-Length: 5", "Expect: 100-continue", "Connection: close"),
    *("Upgrade: h2c", "Accept-Encoding: gzip", "anthropic-beta: a,b", "X-Stainless-Timeout: nan"),
    *("X-Stainless-Timeout: -1", "X-Claude-Code-Session-Id: ../../x", "x-ccr-explain: 1", "Trailer: x"),
    *("Content-Encoding: identity", f"Authorization: Bearer {KEY}", "User-Agent: \xe9", "TE: trailers"),
    *("Cookie: a=b", "Range: bytes=0-1", "X-HTTP-Method-Override: DELETE", "Forwarded: for=1"),
)
KEYS: Final = (
    *("model", "messages", "max_tokens", "stream", "system", "tools", "tool_choice", "thinking", "metadata"),
    *("stop_sequences", "temperature", "betas", "output_config", "response_format", "context_management"),
    *("role", "content", "type", "input_schema", "name", "cache_control", "source", "id", "input"),
)
VALUES: Final[tuple[Any, ...]] = (
    *(None, True, 0, -1, 2**70, 1e308, "", "x", [], {}, [[]], [{}], "\ud800", "a\0b", "claude"),
    *({"role": "user", "content": "x"}, {"type": "text", "text": "a"}, {"type": "tool_use", "input": []}),
    *({"type": "image"}, {"type": "ephemeral", "ttl": "9h"}, {"$ref": "#/a"}),
)
PIECES: Final = (b"\r\n", b"\n", b"\r", b"\0", b" ", b":", b"\r\n\r\n", b"0\r\n\r\n", b"chunked", b"\xff")


def value(chance: random.Random, depth: int = 0) -> Any:
    kind = chance.random()
    if depth < 4 and kind < 0.3:
        return {chance.choice(KEYS): value(chance, depth + 1) for _ in range(chance.randrange(4))}
    if depth < 4 and kind < 0.5:
        return [value(chance, depth + 1) for _ in range(chance.randrange(4))]
    return chance.choice(VALUES)


def body(chance: random.Random) -> bytes:
    changes = {chance.choice(KEYS): value(chance) for _ in range(chance.randrange(4))}
    return json.dumps({**json.loads(message_body()), **changes}).encode()


def changed(chance: random.Random, data: bytes) -> bytes:
    for _ in range(chance.choice((0, 0, 0, 1, 1, 3))):
        at = chance.randrange(len(data) + 1)
        data = data[:at] + chance.choice(PIECES) + data[at + chance.randrange(3) :]
    return data


def requests(chance: random.Random, port: int) -> Iterator[bytes]:
    paths = [path.replace("{id}", "m") for path in ROUTES]
    for _ in range(COUNT):
        more = chance.sample(LINES, chance.choice((0, 0, 1, 2)))
        data = request(port, chance.choice(paths), body(chance), *more, method=chance.choice(METHODS))
        yield changed(chance, data)


async def statuses(service: Service, data: bytes, cut: int) -> list[int]:
    """Return the statuses of what is answered to some bytes, sent in two pieces."""
    async with raw_client(service.port) as client:
        await client.send(data[:cut])
        await asyncio.sleep(0)
        await client.send(data[cut:])
        answered = b""
        try:
            async with asyncio.timeout(WAIT_S):
                while piece := await client.reader.read(65536):
                    answered += piece
        except (TimeoutError, ConnectionError):
            pass
    return [int(line[9:12]) for line in answered.split(b"\r\n") if line.startswith(b"HTTP/1")]


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_whatever_comes_it_is_answered_politely(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret depends on it
    async with raw_upstream(good_completion) as raw, running(config_for(raw.url)) as service:
        waiting = asyncio.Semaphore(AT_ONCE)

        async def send(data: bytes, cut: int) -> list[int]:
            async with waiting:
                return await statuses(service, data, cut)

        asked = [(data, chance.randrange(len(data))) for data in requests(chance, service.port)]
        found = await asyncio.gather(*(send(*each) for each in asked))
        odd = [each for each, got in zip(asked, found, strict=True) if any(status >= 500 for status in got)]
        assert odd == []
        assert {200, 400, 405} <= {status for got in found for status in got}
        assert [entry.getMessage() for entry in service.log if entry.exc_info] == []
        assert (await ask(service.port, request(service.port, body=message_body()))).status == 200
        await service.idle()
        for got in raw.got:
            json.loads(got.body, parse_constant=pytest.fail)

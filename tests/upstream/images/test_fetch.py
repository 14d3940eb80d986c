"""Images fetched from a server on this machine, under a policy that lets it; and under the real one."""

from __future__ import annotations

import asyncio
import socket
from base64 import b64encode
from typing import Any

import pytest

from ccr.protocol.images import InlineImage
from ccr.upstream.images import fetch
from ccr.upstream.images.fetch import ImageFetcher, media_type_of, resolve
from tests.upstream.raw import Exchange, Play, RawUpstream, raw_upstream

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
STARTS = {
    PNG[:12]: "image/png",
    b"\xff\xd8\xff\xe0 JFIF ": "image/jpeg",
    b"GIF89a......": "image/gif",
    b"GIF87a......": "image/gif",
    b"RIFF\0\0\0\0WEBP": "image/webp",
    b"RIFF\0\0\0\0WAVE": None,
    b"<svg></svg>.": None,
    b"": None,
}
NOT_PUBLIC = "its address is not a public one"


def fetcher(**changes: Any) -> ImageFetcher:
    """Return one that may go to this machine, without TLS; every name is this machine's."""

    async def here(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    defaults: dict[str, Any] = {"scheme": "http", "is_allowed": lambda address: True, "resolve": here}
    return ImageFetcher(**{**defaults, **changes})


def at(raw: RawUpstream, path: str = "/a.png") -> str:
    return f"http://images.test:{raw.port}{path}"


def answering(body: bytes = PNG, status: int = 200, content_type: str = "image/png", **more: str) -> Play:
    async def play(exchange: Exchange) -> None:
        await exchange.answer(body, status, content_type, **more)

    return play


async def one(raw: RawUpstream, **changes: Any) -> InlineImage | str:
    return (await fetcher(**changes).fetch([at(raw)]))[at(raw)]


@pytest.mark.parametrize(("start", "media_type"), STARTS.items())
def test_formats_are_told_by_their_first_bytes(start: bytes, media_type: str | None) -> None:
    assert media_type_of(start) == media_type


async def test_an_image() -> None:
    async with raw_upstream(answering()) as raw:
        assert await one(raw) == InlineImage("image/png", b64encode(PNG).decode())
        got = raw.got[0]
        assert got.head.startswith("GET /a.png HTTP/1.1")
        assert got.headers["host"] == f"images.test:{raw.port}"
        assert got.headers["accept-encoding"] == "identity"
        assert not {"authorization", "cookie", "x-api-key"} & set(got.headers)


@pytest.mark.parametrize("said", ["image/jpeg", "image/jpg", "IMAGE/PNG; q=1"])
async def test_the_first_bytes_count_more_than_what_the_server_says(said: str) -> None:
    async with raw_upstream(answering(content_type=said)) as raw:
        image = await one(raw)
        assert isinstance(image, InlineImage)
        assert image.media_type == "image/png"


async def cut(exchange: Exchange) -> None:
    await exchange.head(content_type="image/png", content_length="5000")
    await exchange.send(PNG)
    exchange.writer.close()


async def too_much(exchange: Exchange) -> None:
    await exchange.head(content_type="image/png", transfer_encoding="chunked")
    for _ in range(6):
        await exchange.chunk(bytes(1_000_000))
    await exchange.until_closed()


NO_FORMAT = "its server says that it is no PNG, JPEG, GIF or WebP"


@pytest.mark.parametrize(
    ("play", "reason"),
    [
        (answering(status=404), "its server answered with status 404"),
        (answering(status=302, location="http://127.0.0.1/"), "its server answered with status 302"),
        (answering(b"", status=204), "its server answered with status 204"),
        (answering(content_type="text/html"), NO_FORMAT),
        (answering(content_type="image/svg+xml"), NO_FORMAT),
        (answering(b"<html>"), "it is no PNG, JPEG, GIF or WebP"),
        (answering(b""), "it is no PNG, JPEG, GIF or WebP"),
        (answering(b"\x1f\x8b" + PNG, content_encoding="gzip"), "it is no PNG, JPEG, GIF or WebP"),
        (answering(bytes(5_000_001)), "it is larger than 5 MB"),
        (too_much, "it is larger than 5 MB"),
        (cut, "it could not be fetched (ClientPayloadError)"),
    ],
)
async def test_what_is_no_image_says_why(play: Play, reason: str) -> None:
    async with raw_upstream(play) as raw:
        assert await one(raw) == reason
        assert len(raw.got) == 1


async def test_a_slow_server() -> None:
    async def stall(exchange: Exchange) -> None:
        await exchange.head(content_type="image/png", content_length="5000")
        await exchange.until_closed()

    async with raw_upstream(stall) as raw:
        assert await one(raw, timeout_s=0.05) == "its server took longer than 0 s"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://example.test/a.png", "only https addresses are fetched"),
        ("ftp://example.test/a.png", "only https addresses are fetched"),
        ("file:///etc/passwd", "only https addresses are fetched"),
        ("example.test/a.png", "only https addresses are fetched"),
        ("https://user:word@example.test/a.png", "its address holds credentials"),
        ("https://user@example.test/a.png", "its address holds credentials"),
        ("https://:443/a.png", "its address cannot be read"),
        ("https:///a.png", "its address has no host"),
        ("https://example.test:99999/", "its address cannot be read"),
        ("https://[::1", "its address cannot be read"),
        ("https://example.test/" + "a" * 2048, "its address is too long"),
        # never sent anywhere: the address is refused when the socket is to be made, or the name resolved
        ("https://127.0.0.1/a.png", NOT_PUBLIC),
        ("https://127.1/a.png", "it could not be fetched (InvalidUrlClientError)"),
        ("https://2130706433/a.png", "it could not be fetched (InvalidUrlClientError)"),
        ("https://0x7f000001/a.png", NOT_PUBLIC),
        ("https://[::1]/a.png", NOT_PUBLIC),
        ("https://[::ffff:169.254.169.254]/a.png", NOT_PUBLIC),
        ("https://169.254.169.254/latest/meta-data", NOT_PUBLIC),
        ("https://localhost/a.png", NOT_PUBLIC),
    ],
)
async def test_addresses_that_are_not_fetched(url: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_socket(*args: object) -> socket.socket:
        raise AssertionError("a socket was made")

    monkeypatch.setattr("ccr.upstream.images.fetch.socket.socket", no_socket)
    assert await ImageFetcher().fetch([url]) == {url: reason}


async def test_one_private_address_among_public_ones_is_enough() -> None:
    async def both(host: str, port: int) -> list[str]:
        return ["93.184.216.34", "10.0.0.1"]

    assert await ImageFetcher(resolve=both).fetch(["https://a.test/"]) == {"https://a.test/": NOT_PUBLIC}


async def test_what_is_connected_to_is_what_was_checked() -> None:
    """A name that means another machine each time it is asked for is asked for once."""
    asked = []

    async def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]

    checked = []

    def is_allowed(address: str) -> bool:
        checked.append(address)
        return True

    async with raw_upstream(answering()) as raw:
        assert isinstance(await one(raw, resolve=rebinding, is_allowed=is_allowed), InlineImage)
        assert asked == ["images.test"]
        assert checked == ["127.0.0.1", "127.0.0.1"]  # as an answer of the resolver, and as a socket's


async def test_a_name_without_addresses() -> None:
    async def nowhere(host: str, port: int) -> list[str]:
        raise socket.gaierror(-2, "Name or service not known")

    found = await fetcher(resolve=nowhere).fetch(["http://a.test/"])
    assert found == {"http://a.test/": "it could not be fetched (ClientConnectorDNSError)"}


async def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    url = f"http://a.test:{port}/"
    assert await fetcher().fetch([url]) == {url: "it could not be fetched (ClientConnectorError)"}


async def test_ipv6() -> None:
    async def six(host: str, port: int) -> list[str]:
        return ["::1"]

    checked = []

    def is_allowed(address: str) -> bool:
        checked.append(address)
        return len(checked) == 1

    found = await fetcher(resolve=six, is_allowed=is_allowed).fetch(["http://a.test/"])
    assert found == {"http://a.test/": NOT_PUBLIC}
    assert checked == ["::1", "::1"]


async def test_the_systems_resolver() -> None:
    assert "127.0.0.1" in await resolve("127.0.0.1", 443)


async def test_what_an_address_gave_is_remembered() -> None:
    async with raw_upstream(answering(), answering(status=500), answering(b"GIF89a")) as raw:
        images = fetcher()
        urls = [at(raw, "/a"), at(raw, "/b")]
        first = {**await images.fetch(urls[:1]), **await images.fetch(urls[1:])}
        assert await images.fetch([*urls, *urls]) == first
        assert first[urls[1]] == "its server answered with status 500"
        assert len(raw.got) == 2


async def test_two_requests_at_once_get_the_same() -> None:
    gate = asyncio.Event()

    async def wait(exchange: Exchange) -> None:
        await gate.wait()
        await exchange.answer(PNG, 200, "image/png")

    async def fail(exchange: Exchange) -> None:
        gate.set()
        await exchange.answer("", 500)

    async with raw_upstream(wait, fail) as raw:
        images = fetcher()
        first, second = await asyncio.gather(images.fetch([at(raw)]), images.fetch([at(raw)]))
        assert first == second


async def test_many_addresses_of_one_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "MAX_OF_REQUEST", 3)
    async with raw_upstream(answering()) as raw:
        images = fetcher()
        urls = [at(raw, f"/{number}") for number in range(5)]
        found = await images.fetch(urls)
        assert [isinstance(found[url], InlineImage) for url in urls] == [True] * 3 + [False] * 2
        assert found[urls[4]] == "more than 3 addresses of images at once"
        assert await images.fetch(urls) == found
        assert len(raw.got) == 3

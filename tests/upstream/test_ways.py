"""How providers are reached: proxies, certificates, addresses."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import sys
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import trustme

from ccr.config.model import DIRECT, Config, Network, Provider, Secret, Timeouts
from ccr.errors import ConfigError, UpstreamError
from ccr.upstream.auth.http import AiohttpTokenHttp
from ccr.upstream.client import Upstream
from ccr.upstream.ways import Reach, check_proxies
from tests.upstream.proxy_servers import ConnectProxy, SocksProxy, listening
from tests.upstream.raw import good_completion, raw_upstream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

HOST = "adb.example.test"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST, "127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[list[str]]]:
    """What names resolve to: name -> the addresses of each look-up, the last ones again and again."""
    table: dict[str, list[list[str]]] = {}
    original = asyncio.BaseEventLoop.getaddrinfo

    async def getaddrinfo(
        loop: asyncio.BaseEventLoop, host: Any, port: Any, **how: Any
    ) -> list[tuple[Any, ...]]:
        if host not in table:
            return list(await original(loop, host, port, **how))
        answers = table[host]
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))
            if ":" in address
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in addresses
        ]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
    return table


def provider(url: str, **network: Any) -> Provider:
    network = {"retries": 0, **network}
    return Provider(
        name="prov", url=url, api_key=Secret("the-key"), models=("m",), network=Network(**network)
    )


@contextlib.asynccontextmanager
async def connected(**settings: Any) -> AsyncIterator[Upstream]:
    upstream = Upstream(Config(**settings))
    try:
        yield upstream
    finally:
        await upstream.close()


async def ask(upstream: Upstream, to: Provider) -> int:
    answer = await upstream.open(to, to.url, b"{}", stream=False)
    await answer.read(timeout_s=5)
    answer.close()
    return answer.status


async def fails(to: Provider, **settings: Any) -> UpstreamError:
    async with connected(**settings) as upstream:
        with pytest.raises(UpstreamError) as caught:
            await ask(upstream, to)
    assert "secret" not in str(caught.value)
    return caught.value


# -- proxies ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", [None, "me:a secret"])
async def test_socks(tls: ssl.SSLContext, ca_file: str, user: str | None) -> None:
    who = "" if user is None else "me:a%20secret@"
    async with (
        listening(SocksProxy(user)) as proxy,
        raw_upstream(good_completion, tls=tls) as raw,
        raw_upstream(good_completion) as plain,
        connected(
            ca_files=(ca_file,), proxy_url=Secret(f"socks5h://{who}127.0.0.1:{proxy.port}")
        ) as upstream,
    ):
        for _ in range(2):
            assert await ask(upstream, provider(f"https://{HOST}:{raw.port}/x")) == 200
        assert await ask(upstream, provider(f"http://{HOST}:{plain.port}/x")) == 200
        assert proxy.asked == [f"{HOST}:{raw.port}", f"{HOST}:{plain.port}"]
        assert [got.connection for got in raw.got] == [1, 1], "the connection is used again"


async def test_socks5_resolves_names_here(names: dict[str, list[list[str]]]) -> None:
    names[HOST] = [["127.0.0.1"]]
    async with (
        listening(SocksProxy()) as proxy,
        raw_upstream(good_completion) as raw,
        connected(proxy_url=Secret(f"socks5://127.0.0.1:{proxy.port}")) as upstream,
    ):
        assert await ask(upstream, provider(f"http://{HOST}:{raw.port}/x")) == 200
        assert proxy.asked == [f"127.0.0.1:{raw.port}"]


@pytest.mark.parametrize(
    ("user", "reply", "status", "should_retry", "said"),
    [
        (None, 5, 502, None, "finds no way"),
        (None, 2, 502, False, "refused to connect"),
        ("me:other", 0, 502, False, "refused to connect"),
    ],
)
async def test_socks_refusals(
    user: str | None, reply: int, status: int, should_retry: bool | None, said: str
) -> None:
    async with listening(SocksProxy(user, reply)) as proxy:
        url = f"socks5h://me:secret@127.0.0.1:{proxy.port}"
        error = await fails(provider(f"http://{HOST}/x", proxy=Secret(url)))
    assert (error.status, error.should_retry) == (status, should_retry)
    assert said in error.message


async def test_a_socks_proxy_that_is_down() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    error = await fails(provider(f"http://{HOST}/x", proxy=Secret(f"socks5h://u:secret@127.0.0.1:{port}")))
    assert (error.status, error.should_retry) == (502, None)
    assert "cannot be reached" in error.message


async def test_a_socks_proxy_that_says_nothing() -> None:
    async with raw_upstream(good_completion) as silent:
        to = provider(
            f"http://{HOST}/x",
            proxy=Secret(f"socks5h://127.0.0.1:{silent.port}"),
            timeouts=Timeouts(connect_s=0.01),
        )
        error = await fails(to)
    assert (error.status, error.should_retry) == (504, None)


async def test_without_the_extra_a_socks_proxy_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ccr.upstream.ways.has_socks", lambda: False)
    proxy = Secret("socks5://u:secret@proxy.test")
    far = provider("https://host.test/x")
    for config, key in (
        (Config(providers=(far,), proxy_url=proxy), "PROXY_URL"),
        (Config(providers=(provider(far.url, proxy=proxy),)), "proxy of provider prov"),
    ):
        with pytest.raises(ConfigError, match=r"pip install .*\[socks\]") as caught:
            Upstream(config)
        assert caught.value.problems[0].key == key
        assert "secret" not in str(caught.value)
    check_proxies(Config(providers=(far,), proxy_url=Secret("http://proxy.test")))
    check_proxies(Config(providers=(provider("http://127.0.0.1:1/x"),), proxy_url=proxy))


async def test_signing_in_goes_the_same_way(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listening(SocksProxy()) as proxy, raw_upstream(good_completion) as raw:
        proxy_url = Secret(f"socks5h://127.0.0.1:{proxy.port}")
        far = provider(f"http://{HOST}:{raw.port}/token", proxy=proxy_url)
        http = AiohttpTokenHttp(reach=Reach.of(Config(providers=(far,)), far))
        assert (await http.post_form(far.url, {"a": "b"}, None)).status == 200
        assert proxy.asked == [f"{HOST}:{raw.port}"]
        direct = Reach.of(Config(proxy_url=proxy_url), provider(raw.url, proxy=DIRECT, ca_file="x"))
        assert direct == Reach(None, (), ("x",))
        exempt = Reach.of(Config(proxy_url=proxy_url, no_proxy=(HOST,)), provider(raw.url))
        session, _ = exempt.session(far.url, aiohttp.ClientTimeout())
        assert type(session.connector) is aiohttp.TCPConnector
        await session.close()
        monkeypatch.setattr("ccr.upstream.socks.has_socks", lambda: False)
        with pytest.raises(ConfigError, match="socks"):
            await http.post_form(far.url, {"a": "b"}, None)


def test_the_library_is_imported_only_for_such_a_proxy() -> None:
    import subprocess

    code = "import ccr.upstream.client, sys; print('aiohttp_socks' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("user", [None, "me:secret"])
@pytest.mark.parametrize("is_tls", [False, True])
async def test_connect(tls: ssl.SSLContext, ca_file: str, user: str | None, is_tls: bool) -> None:
    who = "" if user is None else f"{user}@"
    scheme = "https" if is_tls else "http"
    async with (
        listening(ConnectProxy(user), tls if is_tls else None) as proxy,
        raw_upstream(good_completion, tls=tls) as raw,
        connected(ca_files=(ca_file,)) as upstream,
    ):
        to = provider(f"https://{HOST}:{raw.port}/x", proxy=Secret(f"{scheme}://{who}127.0.0.1:{proxy.port}"))
        assert await ask(upstream, to) == 200
        assert proxy.asked == [f"{HOST}:{raw.port}"]
        assert raw.got[0].headers["authorization"] == "Bearer the-key"
        assert "proxy-authorization" not in raw.got[0].headers


async def test_a_proxy_of_the_provider_goes_before_the_common_one() -> None:
    async with (
        listening(SocksProxy()) as common,
        listening(SocksProxy()) as own,
        raw_upstream(good_completion) as raw,
        connected(proxy_url=Secret(f"socks5h://127.0.0.1:{common.port}"), no_proxy=("no.test",)) as upstream,
    ):
        url = f"http://{HOST}:{raw.port}/x"
        assert await ask(upstream, provider(url, proxy=Secret(f"socks5h://127.0.0.1:{own.port}"))) == 200
        assert (len(common.asked), len(own.asked)) == (0, 1)
        assert await ask(upstream, provider(url)) == 200
        assert (len(common.asked), len(own.asked)) == (1, 1)
        for to in (provider(raw.url, proxy=None), provider(raw.url, proxy=DIRECT)):
            assert await ask(upstream, to) == 200
        assert (len(common.asked), len(own.asked)) == (1, 1)


# -- certificates ----------------------------------------------------------------------------------------


async def test_an_unknown_authority(tls: ssl.SSLContext) -> None:
    async with raw_upstream(good_completion, tls=tls) as raw:
        error = await fails(provider(f"https://127.0.0.1:{raw.port}/x", retries=2))
    assert (error.status, error.should_retry) == (502, False)
    assert "ca_file" in error.message


async def test_an_authority_of_the_persons_own(tls: ssl.SSLContext, ca_file: str) -> None:
    async with raw_upstream(good_completion, tls=tls) as raw:
        url = f"https://127.0.0.1:{raw.port}/x"
        async with connected(ca_files=(ca_file,)) as upstream:
            assert await ask(upstream, provider(url)) == 200
        async with connected() as upstream:
            assert await ask(upstream, provider(url, ca_file=ca_file)) == 200
            with pytest.raises(UpstreamError, match="cannot be verified"):
                await ask(upstream, provider(url))


async def test_a_certificate_for_another_name(tls: ssl.SSLContext, ca_file: str) -> None:
    async with raw_upstream(good_completion, tls=tls) as raw:
        error = await fails(provider(f"https://localhost:{raw.port}/x", ca_file=ca_file))
    assert (error.status, error.should_retry) == (502, False)


# -- addresses -------------------------------------------------------------------------------------------


async def test_an_address_that_leads_nowhere(names: dict[str, list[list[str]]]) -> None:
    names[HOST] = [["2001:db8::1", "127.0.0.1"]]
    async with raw_upstream(good_completion) as raw, connected() as upstream:
        assert await ask(upstream, provider(f"http://{HOST}:{raw.port}/x")) == 200


async def test_a_name_that_moves(names: dict[str, list[list[str]]]) -> None:
    names[HOST] = [["127.0.0.2"], ["127.0.0.1"]]
    async with raw_upstream(good_completion) as raw, connected() as upstream:
        assert await ask(upstream, provider(f"http://{HOST}:{raw.port}/x", retries=1)) == 200


async def test_no_connection_in_time(names: dict[str, list[list[str]]]) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        full = [socket.create_connection(listener.getsockname())]
        with contextlib.suppress(OSError):  # the backlog may hold one more
            for _ in range(3):
                more = socket.socket()
                more.setblocking(False)
                full.append(more)
                more.connect(listener.getsockname())
        to = provider(
            f"http://127.0.0.1:{listener.getsockname()[1]}/x", timeouts=Timeouts(connect_s=0.05), retries=2
        )
        error = await fails(to)
        for each in full:
            each.close()
    assert (error.status, error.should_retry) == (504, None)


async def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ccr.upstream.ways.MAX_TARGETS", 2)
    monkeypatch.setattr("ccr.upstream.standing.MAX_BREAKERS", 2)
    async with raw_upstream(good_completion) as raw, connected() as upstream:
        for number in range(5):
            to = provider(f"{raw.url}/{number}")
            answer = await upstream.open(to, to.url, b"{}", stream=False, model=f"m{number}")
            await answer.read(timeout_s=5)
            answer.close()
        assert [got.head.split(" ")[1] for got in raw.got] == [f"/{number}" for number in range(5)]
        assert {got.connection for got in raw.got} == {1}


async def test_the_first_byte_in_its_own_time() -> None:
    waiting = asyncio.Event()

    async def silent(_: object) -> None:
        await waiting.wait()

    async with raw_upstream(silent) as raw:
        error = await fails(provider(raw.url, timeouts=Timeouts(first_byte_s=0.05), retries=2))
        assert len(raw.got) == 1
    assert (error.status, error.should_retry) == (504, None)
    assert "did not begin to answer" in error.message
    assert "timeouts.first_byte" in error.message

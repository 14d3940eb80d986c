"""Table C: what can go wrong on the way to an upstream, and what the client then sees."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import socket
import ssl
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from ccr.config.load import config_from_bytes
from ccr.config.model import Network, Secret, Timeouts
from ccr.errors import ConfigError
from ccr.upstream.ways import DNS_TTL_S
from tests.faults.network import NAME, black_hole, config_at, forwarding, free_port, resolve
from tests.gateway.test_messages import post
from tests.server.service import UPSTREAM_KEY, running
from tests.upstream.proxy_servers import ConnectProxy, SocksProxy, listening
from tests.upstream.raw import good_completion, raw_upstream

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ccr.config.model import Config
    from tests.server.raw_client import Answered

PASSWORD = "canary-proxy-password"


async def asked(config: Config, *, tries: int | None = None) -> Answered:
    """Return the answer to one request, after checking that nothing secret is told or noted.

    tries: how many may have failed.
    """
    async with running(config) as service:
        answered = await post(service)
        await service.idle()
        assert tries is None or len(service.records[0]["failed"]) == tries
        said = answered.body.decode() + str([vars(entry) for entry in service.log])
        assert PASSWORD not in said
        assert UPSTREAM_KEY not in said
        return answered


def message_of(answered: Answered) -> str:
    assert answered.json["type"] == "error"
    return str(answered.json["error"]["message"])


def should_retry(answered: Answered) -> str | None:
    return answered.headers.get("x-should-retry")


@pytest.mark.fault("C55", outcome="two more tries, then 502 that names provider and host")
async def test_refused() -> None:
    port = free_port()
    async with running(config_at(f"http://127.0.0.1:{port}")) as service:
        answered = await post(service)
        assert (answered.status, should_retry(answered)) == (502, None)
        assert message_of(answered).startswith(f"databricks: 127.0.0.1:{port} refused")
        assert UPSTREAM_KEY not in answered.body.decode()
        await service.idle()
        assert (
            service.records[0]["failed"]
            == [f"databricks,{service.records[0]['upstream_model']}: unconnected"] * 3
        )


@pytest.mark.fault("C56", outcome="two more tries, then 502: the name cannot be resolved")
async def test_no_such_name(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve(monkeypatch, {NAME: [[]]})
    answered = await asked(config_at(f"http://{NAME}"), tries=3)
    assert (answered.status, should_retry(answered)) == (502, None)
    assert f"databricks: the name {NAME} cannot be resolved" in message_of(answered)


@pytest.mark.fault("C57", outcome="504 when the time for a connection (10 s) is over, one try")
async def test_nobody_accepts() -> None:
    assert Timeouts().connect_s == 10
    with black_hole() as port:
        network = Network(timeouts=Timeouts(connect_s=0.1))
        answered = await asked(config_at(f"http://127.0.0.1:{port}", network=network), tries=1)
    assert (answered.status, answered.json["error"]["type"]) == (504, "timeout_error")
    assert "no connection to 127.0.0.1" in message_of(answered)


# -- certificates ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


def server_with(certificate: trustme.LeafCert | trustme.CA, tmp_path: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if isinstance(certificate, trustme.LeafCert):
        certificate.configure_cert(context)
        return context
    names = {"cert.pem": certificate.cert_pem, "key.pem": certificate.private_key_pem}
    for name, blob in names.items():
        blob.write_to_path(str(tmp_path / name))
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    return context


@pytest.mark.parametrize("what", ["expired", "not_yet", "self_signed", "misnamed", "of_another_authority"])
@pytest.mark.fault("C58", outcome="502 with the way to trust it, one try, never without the check")
async def test_certificates(what: str, authority: trustme.CA, ca_file: str, tmp_path: Path) -> None:
    now = dt.datetime.now(dt.UTC)
    day = dt.timedelta(days=1)
    makers: dict[str, Callable[[], trustme.LeafCert | trustme.CA]] = {
        "expired": lambda: authority.issue_cert("127.0.0.1", not_before=now - 2 * day, not_after=now - day),
        "not_yet": lambda: authority.issue_cert("127.0.0.1", not_before=now + day, not_after=now + 2 * day),
        "self_signed": trustme.CA,
        "misnamed": lambda: authority.issue_cert("other.test", "127.0.0.2"),
        "of_another_authority": lambda: trustme.CA().issue_cert("127.0.0.1"),
    }
    async with raw_upstream(good_completion, tls=server_with(makers[what](), tmp_path)) as raw:
        answered = await asked(config_at(f"https://127.0.0.1:{raw.port}", ca_files=(ca_file,)), tries=1)
        assert raw.connections <= 1, "one try: a handshake that fails is no connection"
        assert raw.got == []
    assert (answered.status, should_retry(answered)) == (502, "false")
    assert "ca_file" in message_of(answered)
    assert "databricks" in message_of(answered)


def loaded(environ: dict[str, str], **keys: Any) -> Config:
    """Return the configuration of a file with these keys; keys of the provider are lower-case."""
    provider = {
        "name": "databricks",
        "api_base_url": keys.pop("url"),
        "api_key": UPSTREAM_KEY,
        "models": ["m"],
        "retries": 0,
        **{key: keys.pop(key) for key in list(keys) if key.islower()},
    }
    values = {"Providers": [provider], "Router": {"default": "databricks,m"}, **keys}
    return config_from_bytes(json.dumps(values).encode(), environ)


@pytest.mark.parametrize("where", ["CA_FILE", "ca_file", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "nowhere"])
@pytest.mark.fault("C59", outcome="trusted beside the system's, by whichever of its names; without it, 502")
async def test_an_authority_of_ones_own(
    where: str, authority: trustme.CA, ca_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ, keys = {}, {}
    if where == "SSL_CERT_FILE":
        monkeypatch.setenv(where, ca_file)  # read by OpenSSL, in place of the system's own file
        monkeypatch.setattr("aiohttp.connector._SSL_CONTEXT_VERIFIED", ssl.create_default_context())
    elif where == "NODE_EXTRA_CA_CERTS":
        environ[where] = ca_file
    elif where != "nowhere":
        keys[where] = ca_file
    tls = server_with(authority.issue_cert("127.0.0.1"), tmp_path)
    async with raw_upstream(good_completion, tls=tls) as raw:
        answered = await asked(loaded(environ, url=f"https://127.0.0.1:{raw.port}/chat", **keys))
    assert answered.status == (502 if where == "nowhere" else 200)


@pytest.mark.fault("C59", outcome="a bad path stops the start and names the key")
def test_a_bad_path_of_an_authority(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    for path, said in ((tmp_path / "missing.pem", "not there"), (empty, "without certificates")):
        for key in ("CA_FILE", "ca_file"):
            with pytest.raises(ConfigError) as caught:
                loaded({}, url="https://host.test/chat", **{key: str(path)})
            (problem,) = caught.value.problems
            assert problem.key.endswith(key)
            assert said in problem.found


# -- proxies ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["http", "https", "socks5", "socks5h"])
@pytest.mark.parametrize("who", ["known", "unknown", "nobody"])
@pytest.mark.fault(
    "C60", outcome="used with and without password; refusing (407) or down: 502 without the password"
)
async def test_proxies(
    kind: str, who: str, authority: trustme.CA, ca_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve(monkeypatch, {NAME: [["127.0.0.1"]]})
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(NAME, "127.0.0.1").configure_cert(tls)
    user = {"known": f"me:{PASSWORD}", "unknown": "me:another", "nobody": None}[who]
    given = "" if who == "nobody" else f"me:{PASSWORD}@"
    proxy: SocksProxy | ConnectProxy = SocksProxy(user) if kind.startswith("socks") else ConnectProxy(user)
    async with (
        contextlib.AsyncExitStack() as stack,
        raw_upstream(good_completion, tls=tls) as raw,
    ):
        if isinstance(proxy, SocksProxy):
            await stack.enter_async_context(listening(proxy))
        else:
            await stack.enter_async_context(listening(proxy, tls if kind == "https" else None))
        config = config_at(
            f"https://{NAME}:{raw.port}",
            ca_files=(ca_file,),
            proxy_url=Secret(f"{kind}://{given}127.0.0.1:{proxy.port}"),
        )
        answered = await asked(config)
        if who != "unknown":
            assert answered.status == 200
            assert len(proxy.asked) == 1
        else:
            assert (answered.status, should_retry(answered)) == (502, "false")
            assert "the proxy (PROXY_URL) refused to connect" in message_of(answered)
            assert raw.got == []


@pytest.mark.parametrize("kind", ["http", "https", "socks5h"])
@pytest.mark.fault(
    "C60", outcome="used with and without password; refusing (407) or down: 502 without the password"
)
async def test_a_proxy_that_is_down(kind: str) -> None:
    url = Secret(f"{kind}://me:{PASSWORD}@127.0.0.1:{free_port()}")
    answered = await asked(config_at(f"https://{NAME}", proxy_url=url, network=Network(retries=0)))
    assert (answered.status, should_retry(answered)) == (502, None)
    assert "the proxy (PROXY_URL)" in message_of(answered)


@pytest.mark.parametrize(
    ("keys", "environ", "is_asked"),
    [
        ({}, {"HTTPS_PROXY": "PROXY", "ALL_PROXY": "PROXY"}, False),
        ({"PROXY_URL": "env"}, {"HTTPS_PROXY": "PROXY"}, True),
        ({"PROXY_URL": "env"}, {"HTTPS_PROXY": "PROXY", "NO_PROXY": f"a.test,{NAME}"}, False),
        ({"PROXY_URL": "PROXY"}, {"NO_PROXY": "example.test"}, False),
        ({"PROXY_URL": "PROXY", "NO_PROXY": "*.example.test"}, {}, False),
        ({"PROXY_URL": "PROXY", "proxy": "none"}, {}, False),
        ({"PROXY_URL": "PROXY", "proxy": "direct"}, {}, False),
        ({"proxy": "env"}, {"https_proxy": "PROXY"}, True),
        ({"PROXY_URL": "PROXY", "LOCAL": "yes"}, {}, False),
    ],
)
@pytest.mark.fault(
    "C61", outcome="this machine never; NO_PROXY everywhere; proxies of the environment only with `env`"
)
async def test_whose_proxy(
    keys: dict[str, str], environ: dict[str, str], is_asked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve(monkeypatch, {NAME: [["127.0.0.1"]]})
    keys = dict(keys)
    async with listening(SocksProxy()) as proxy, raw_upstream(good_completion) as raw:
        host = "127.0.0.1" if keys.pop("LOCAL", None) else NAME
        at = f"socks5h://127.0.0.1:{proxy.port}"
        given = {key: value.replace("PROXY", at) for key, value in keys.items()}
        around = {key: value.replace("PROXY", at) for key, value in environ.items()}
        for key, value in around.items():
            monkeypatch.setenv(key, value)
        url = "https://" + host  # http is for this machine alone, so the file is read first
        config = loaded(around, url=f"{url}/chat", **given)
        provider = config.providers[0]
        moved = replace(provider, url=f"http://{host}:{raw.port}/chat")
        answered = await asked(replace(config, providers=(moved,)))
        assert answered.status == 200
        assert bool(proxy.asked) is is_asked


# -- addresses -------------------------------------------------------------------------------------------


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
@pytest.mark.fault("C62", outcome="IPv6 alone is used as it is; of several addresses a dead one costs 0.25 s")
async def test_only_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve(monkeypatch, {NAME: [["::1"]]})
    async with raw_upstream(good_completion) as raw, forwarding("::1", raw.port) as port:
        for host in (NAME, "[::1]"):
            assert (await asked(config_at(f"http://{host}:{port}"))).status == 200


@pytest.mark.parametrize("dead", ["127.0.0.2", "::1"])
@pytest.mark.fault("C62", outcome="IPv6 alone is used as it is; of several addresses a dead one costs 0.25 s")
async def test_a_dead_address_first(dead: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first address neither accepts nor refuses; a connection may take longer than the test."""
    if dead == "::1" and not has_ipv6():
        pytest.skip("this machine has no IPv6")
    async with raw_upstream(good_completion) as raw:
        with black_hole(dead, raw.port):
            resolve(monkeypatch, {NAME: [[dead, "127.0.0.1"]]})
            network = Network(timeouts=Timeouts(connect_s=100))
            assert (await asked(config_at(f"http://{NAME}:{raw.port}", network=network))).status == 200


@pytest.mark.fault("C63", outcome="the new address is used at once when the old one fails, else within 60 s")
async def test_a_name_that_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    assert DNS_TTL_S == 60
    old, new = "127.0.0.2", "127.0.0.1"
    resolve(monkeypatch, {NAME: [[old], [new]]})
    async with raw_upstream(good_completion) as raw:
        network = Network(retries=1)
        async with running(config_at(f"http://{NAME}:{raw.port}", network=network)) as service:
            async with forwarding(old, raw.port, port=raw.port):
                assert (await post(service)).status == 200
            assert (await post(service)).status == 200
            assert len(raw.got) == 2

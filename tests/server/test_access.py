"""Who gets in, over real sockets. All cases are in test_guard.py; here: nothing reaches the upstream."""

from __future__ import annotations

import pytest

from ccr.config.model import Secret
from ccr.daemon.health import proof_of
from ccr.server.routes import ROUTES
from tests.server.raw_client import ask, raw_client, request
from tests.server.service import KEY, config_for, message_body, running
from tests.upstream.raw import good_completion, raw_upstream


@pytest.mark.parametrize(
    ("more", "without", "status"),
    [
        ([], ("key",), 403),
        (["x-api-key: wrong"], ("key",), 403),
        ([f"Authorization: bearer {KEY}"], ("key",), 200),
        ([f"Authorization: Bearer{KEY}"], ("key",), 403),
        (["Authorization: Bearer wrong"], (), 403),
        ([f"Authorization: Bearer {KEY}", f"Authorization: Bearer {KEY}"], ("key",), 400),
        (["Host: evil.test"], ("host",), 403),
        (["Host: 127.0.0.1:1"], ("host",), 403),
        ([], ("host",), 400),
        (["Host: evil.test"], (), 400),
        (["Host: 127.0.0.1/health?"], ("host",), (400, 403)),
        (["Origin: https://evil.test"], (), 403),
        (["Origin: null"], (), 403),
        (["Sec-Fetch-Site: cross-site"], (), 403),
        (["Content-Type: text/plain"], ("type",), 415),
        (["Content-Encoding: gzip"], (), 415),
    ],
)
@pytest.mark.fault(
    "A1", outcome="403 that names the remedy (a 401 would be repeated six times); the provider sees nothing"
)
@pytest.mark.fault("A2", outcome="403; the provider sees nothing")
@pytest.mark.fault("A3", outcome="any spelling of the scheme is taken; `Bearer` without a space is 403")
@pytest.mark.fault("A5", outcome="400")
@pytest.mark.fault("A7", outcome="403; the provider sees nothing")
@pytest.mark.fault("A8", outcome="403")
@pytest.mark.fault("A9", outcome="400")
@pytest.mark.fault("A10", outcome="400")
@pytest.mark.fault("A11", outcome="403")
@pytest.mark.fault("A13", outcome="403; the provider sees nothing")
@pytest.mark.fault("A14", outcome="403")
@pytest.mark.fault("A16", outcome="403")
@pytest.mark.fault("A17", outcome="415; the provider sees nothing")
@pytest.mark.fault("R39", outcome="415 before a byte of the body is read")
async def test_who_gets_in(more: list[str], without: tuple[str, ...], status: int | tuple[int, int]) -> None:
    async with raw_upstream(good_completion) as raw, running(config_for(raw.url)) as service:
        data = request(service.port, "/v1/messages?beta=true", message_body(), *more, without=without)
        answered = await ask(service.port, data)
        assert answered.status in (status if isinstance(status, tuple) else (status,))
        assert len(raw.got) == (1 if status == 200 else 0)
        if answered.status != 200:
            assert answered.json["type"] == "error"
            assert KEY not in answered.body.decode()
        if answered.status == 403:
            assert answered.headers["x-should-retry"] == "false"
            assert answered.json["error"]["type"] == "permission_error"


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "http://evil.test/health", 400),
        ("POST", "http://127.0.0.1/v1/messages", 400),
        ("GET", "//health", 404),
        ("GET", "/health/../v1/models", 404),
        ("POST", "/v1%2fmessages", 404),
        ("GET", "/api/config", 404),
        ("GET", "/api/logs?file=/etc/passwd", 404),
        ("DELETE", "/api/logs?file=/etc/passwd", 404),
        ("POST", "/api/restart", 404),
        ("GET", "/uiX", 404),
        ("GET", "/HEALTH", 404),
        ("GET", "/%2e/health", 404),
        ("POST", "/v1/messages;x", 404),
        ("POST", "//v1/messages", 404),
        ("OPTIONS", "/v1/messages", 405),
        ("GET", "/v1/messages", 405),
        ("PUT", "/v1/messages", 405),
        ("TRACE", "/v1/messages", 405),
        ("CONNECT", "evil.test:443", 400),
    ],
)
@pytest.mark.fault("A12", outcome="400")
@pytest.mark.fault("A15", outcome="405 without a CORS header")
@pytest.mark.fault("A18", outcome="404, never taken for an open route")
@pytest.mark.fault("A20", outcome="405")
@pytest.mark.fault("A21", outcome="400 or 405, and closed")
async def test_what_is_served(method: str, target: str, status: int) -> None:
    async with (
        raw_upstream(good_completion) as raw,
        running(config_for(raw.url)) as service,
        raw_client(service.port) as client,
    ):
        await client.send(request(service.port, target, b"", method=method, without=("type", "length")))
        answered = await client.answer()
        assert answered.status == status
        assert not [name for name in answered.headers if name.startswith("access-control-")]
        if method in ("CONNECT", "TRACE"):
            assert answered.headers["connection"] == "close"
            assert await client.is_closed()
        assert not raw.got


@pytest.mark.fault("A21", outcome="400 and closed: what follows is read as nothing")
async def test_an_upgrade_is_refused_and_ends_the_connection() -> None:
    async with running(config_for("http://127.0.0.1:1")) as service, raw_client(service.port) as client:
        upgrade = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: eA=="]
        one = request(service.port, "/health", b"", *upgrade, method="GET", without=("type", "length"))
        await client.send(one + request(service.port, "/health", method="GET"))
        assert (await client.answer()).status == 400
        assert await client.is_closed()


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "OPTIONS", "PUT"])
@pytest.mark.parametrize("more", ["Origin: https://evil.test", "X-Plain: 1"])
@pytest.mark.fault("A15", outcome="no route and no status has a CORS header")
async def test_no_page_may_read_an_answer(path: str, method: str, more: str) -> None:
    async with running(config_for("http://127.0.0.1:1")) as service, raw_client(service.port) as client:
        asks = ["Access-Control-Request-Method: POST", "Access-Control-Request-Private-Network: true"]
        await client.send(request(service.port, path, b"{}", more, *asks, method=method))
        head = await client.head()
        assert not [name for name in head.headers if name.startswith(("access-control-", "set-cookie"))]
        if more.startswith("Origin"):
            assert head.status == 403


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.fault("A7", outcome="403 on every route, also on those that need no key")
async def test_a_name_bound_to_us_reads_nothing(path: str) -> None:
    async with running(config_for("http://127.0.0.1:1")) as service:
        for host in (f"evil.test:{service.port}", f"0.0.0.0:{service.port}", "evil.test", ""):
            data = request(service.port, path, b"", f"Host: {host}", method="GET", without=("host",))
            assert (await ask(service.port, data)).status == 403


@pytest.mark.fault("K105", outcome="200")
async def test_the_same_connection_works_after_a_refusal() -> None:
    async with (
        raw_upstream(good_completion) as raw,
        running(config_for(raw.url)) as service,
        raw_client(service.port) as client,
    ):
        await client.send(request(service.port, body=message_body(), key="wrong"))
        assert (await client.answer()).status == 403
        await client.send(request(service.port, body=message_body()))
        assert (await client.answer()).status == 200


@pytest.mark.fault("A19", outcome="200: status and instance, nothing about the configuration")
@pytest.mark.fault("K126", outcome="200 without a body; the provider sees nothing")
async def test_open_routes_say_nothing() -> None:
    async with running(config_for("http://127.0.0.1:1")) as service:
        root = await ask(service.port, request(service.port, "/", method="GET", without=("key",)))
        assert (root.status, root.body) == (200, b"ccr is running.\n")
        async with raw_client(service.port) as client:
            await client.send(request(service.port, "/", method="HEAD", without=("key", "length")))
            head = await client.head()
        assert head.status == 200
        assert head.headers["request-id"].startswith("req_")
        health = await ask(service.port, request(service.port, "/health", method="GET", without=("key",)))
        assert health.json == {"status": "ok", "instance": "instance-1"}
        assert health.headers["server"] == "ccr"


async def test_what_is_refused_stands_in_the_log_but_cannot_fill_it() -> None:
    async with running(config_for("http://127.0.0.1:1")) as service:
        wrong = request(service.port, "/v1/messages", b"{}", "x-api-key: other", without=("key",))
        first = await ask(service.port, wrong)
        await ask(service.port, wrong)
        told = [entry for entry in service.log if "refused with 403" in entry.getMessage()]
        assert [entry.__dict__["fields"]["request_id"] for entry in told] == [first.headers["request-id"]]
        assert told[0].levelname == "WARNING"
        assert service.records == []
        await ask(service.port, request(service.port, body=b"[]"))
        assert len(service.records) == 1, "this one has a record"
        assert not [entry for entry in service.log if "refused with 400" in entry.getMessage()]


async def test_health_proves_the_key() -> None:
    async with running(config_for("http://127.0.0.1:1")) as service:
        target = "/health?nonce=a1b2"
        health = await ask(service.port, request(service.port, target, method="GET", without=("key",)))
        assert health.json["proof"] == proof_of(Secret(KEY), "a1b2", "instance-1")
        for query in ("nonce=", "nonce=a&nonce=b", "nonce=%41", f"nonce={'a' * 129}", "nonce=a.b"):
            bad = await ask(service.port, request(service.port, f"/health?{query}", method="GET"))
            assert bad.status == 400


async def test_no_key_is_asked_for_without_auth() -> None:
    async with (
        raw_upstream(good_completion) as raw,
        running(config_for(raw.url, auth="none")) as service,
    ):
        answered = await ask(service.port, request(service.port, body=message_body(), without=("key",)))
        assert answered.status == 200
        refused = await ask(service.port, request(service.port, "/v1/messages", b"", "Origin: null"))
        assert refused.status == 403

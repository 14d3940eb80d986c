"""What aiohttp hands to a connection when something is wrong; see test_request_bytes.py too."""

from __future__ import annotations

import json
import logging
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import web

from ccr.errors import RequestError
from ccr.server.body import body_of
from ccr.server.connection import Connection, Server
from ccr.server.turns import Turns
from tests.server.raw_client import ask
from tests.server.service import config_for, running


async def connection() -> Connection:
    async def handler(_request: Any) -> Any: ...

    server = Server(handler, log=logging.getLogger("ccr.test.connection"))
    return cast("Connection", server())


def request(sent: int = 0) -> Any:
    return SimpleNamespace(writer=SimpleNamespace(output_size=sent))


@pytest.mark.parametrize(("status", "error_type"), [(400, "invalid_request_error"), (500, "api_error")])
async def test_errors_outside_a_request_have_our_shape(
    status: int, error_type: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    made = await connection()
    response: Any = made.handle_error(request(), status, ValueError("secret words"), "secret words")
    assert response.status == status
    assert response.keep_alive is False
    body = json.loads(response.body)
    assert (body["type"], body["error"]["type"]) == ("error", error_type)
    assert body["request_id"] == response.headers["request-id"] == response.headers["x-request-id"]
    assert cast("Any", caplog.records[0]).fields["request_id"] == body["request_id"]
    assert "secret words" not in str(body)
    assert len(caplog.records) == 1
    made.close()


@pytest.mark.parametrize("length", [8_000, 9_000])
async def test_a_header_that_is_too_long_is_told_as_such(length: int) -> None:
    async with running(config_for("http://127.0.0.1:1")) as service:
        data = f"GET /health HTTP/1.1\r\nHost: 127.0.0.1:{service.port}\r\nx: {'a' * length}\r\n\r\n"
        answered = await ask(service.port, data.encode())
    if length < 8192:
        assert answered.status == 200
        return
    assert answered.status == 400
    assert "a header is longer than 8 KB" in answered.json["error"]["message"]


async def test_an_answer_that_has_begun_is_broken_off() -> None:
    made = await connection()
    with pytest.raises(ConnectionError):
        made.handle_error(request(sent=1), 500, ValueError())
    made.close()


async def test_a_body_that_breaks_off_is_malformed() -> None:
    def breaks() -> bytes:
        raise web.RequestPayloadError

    broken: Any = SimpleNamespace(content_length=None, content=SimpleNamespace(read_nowait=breaks))
    with pytest.raises(RequestError, match="malformed"):
        await body_of(broken, Turns())


async def test_connections_are_as_configured() -> None:
    async with running(config_for("http://127.0.0.1:1")) as service:
        made: Any = service.app.server()
        assert made.keepalive_timeout == 75
        assert made.access_logger is None
        assert service.app.server.handler_cancellation is True
        made.close()

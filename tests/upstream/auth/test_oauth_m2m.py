"""Client credentials, against a strict token endpoint on loopback and against answers that are no tokens."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from ccr.config.model import Secret
from ccr.config.profiles import read_text
from ccr.errors import UpstreamError
from ccr.upstream.auth.credentials import credentials_of
from ccr.upstream.auth.http import AiohttpTokenHttp
from ccr.upstream.auth.identity import OAuthM2M
from ccr.upstream.auth.oauth_m2m import FORM, OAuthM2MSource
from ccr.upstream.auth.tokens import Token
from ccr.upstream.ways import Reach
from tests.upstream.auth.fakes import START_S, Clock, FakeHttp, TokenEndpoint, outage, serving, web_token

if TYPE_CHECKING:
    from collections.abc import Callable

HOST = "https://dbc-1.cloud.databricks.com"
SECRET = "dose-not-a-secret"


def principal(url: str = HOST, secret: str = SECRET) -> OAuthM2M:
    return OAuthM2M(host=url, client_id="11111111-2222", client_secret=Secret(secret), source="environment")


def source_of(http: FakeHttp) -> OAuthM2MSource:
    return OAuthM2MSource(principal(), http, clock=Clock())


async def test_a_token_costs_one_request() -> None:
    async with serving(TokenEndpoint()) as endpoint:
        credentials = credentials_of(
            principal(endpoint.url), {}, http=AiohttpTokenHttp(), read_file=read_text, clock=Clock()
        )
        headers = await asyncio.gather(*(credentials.authorization() for _ in range(50)))
        assert {header.reveal() for header in headers} == {"Bearer m2m-1"}
        assert await credentials.rejected(headers[0])
        assert (await credentials.authorization()).reveal() == "Bearer m2m-2"
        assert (endpoint.granted, endpoint.problems) == (2, [])
        assert credentials.describe() == {
            "method": "oauth-m2m",
            "host": endpoint.url,
            "client_id": "11111111-2222",
            "source": "environment",
            "expires_at": "2027-01-15T09:00:00Z",
        }
        await credentials.close()


async def test_what_is_posted_and_what_becomes_of_the_answer() -> None:
    http = FakeHttp((200, {"access_token": "a", "expires_in": "3600"}))
    assert await source_of(http).fetch(None) == Token(Secret("a"), START_S + 3600)
    assert http.posted == [(f"{HOST}/oidc/v1/token", dict(FORM), ("11111111-2222", SECRET))]


@pytest.mark.parametrize(
    ("body", "expires_at"),
    [
        ({"access_token": "a", "expires_in": 3}, START_S + 3),
        ({"access_token": "a"}, None),
        ({"access_token": web_token(exp=START_S + 60)}, START_S + 60),
        ({"access_token": "a", "expires_in": 1e12}, START_S + 1e12),
        ({"access_token": "a", "expires_in": -1}, START_S - 1),
        ({"access_token": "a", "expires_in": "soon"}, None),
    ],
)
async def test_when_the_token_ends(body: object, expires_at: float | None) -> None:
    assert (await source_of(FakeHttp((200, body))).fetch(Secret("old"))).expires_at == expires_at


@pytest.mark.parametrize(
    ("status", "body", "expected", "words"),
    [
        (401, {"error": "invalid_client"}, (403, False), ("invalid_client", "11111111-2222", "environment")),
        (400, {"error": "invalid_client", "error_description": "x"}, (403, False), ("make a new one",)),
        (401, b"", (403, False), ("invalid_client",)),
        (
            400,
            {"error": "unauthorized_client", "error_description": f"no {SECRET}\nmore"},
            (403, False),
            ("refused",),
        ),
        (
            403,
            {"error_code": "PERMISSION_DENIED", "message": "disabled"},
            (403, False),
            ("disabled", "enabled in"),
        ),
        (400, {"error": "invalid_scope"}, (403, False), ("HTTP 400, invalid_scope",)),
        (400, {"x": 1}, (403, False), ("no message",)),
        (404, b"<html>", (502, False), ("HTTP 404", "not a workspace's own URL", "DATABRICKS_HOST")),
        (303, b"", (502, False), ("HTTP 303",)),
        (200, b"<html>Sign in</html>", (502, False), ("no token", "wrong workspace URL")),
        (200, b"[]", (502, False), ("no token",)),
        (200, {"access_token": "a b"}, (502, False), ("a token with spaces",)),
        (200, b"[" * 100_000, (502, False), ("no token",)),
        (429, {"error": "slow down"}, (503, None), ("HTTP 429",)),
        (500, b"<html>", (503, None), ("no token at the moment",)),
        (503, {}, (503, None), ("HTTP 503",)),
    ],
)
async def test_what_is_said_when_there_is_no_token(
    status: int, body: object, expected: tuple[int, bool | None], words: tuple[str, ...]
) -> None:
    with pytest.raises(UpstreamError) as caught:
        await source_of(FakeHttp((status, body), Retry_After="7")).fetch(None)
    error = caught.value
    assert (error.status, error.should_retry) == expected
    assert error.retry_after_s == (7 if expected[0] == 503 else None)
    assert [word for word in words if word not in error.message] == [], error.message
    assert len(error.message) < 600


async def test_a_secret_that_the_endpoint_quotes_is_masked() -> None:
    said = {"error": "invalid_request", "error_description": "dose0123456789abcdef0123456789abcdef is wrong"}
    with pytest.raises(UpstreamError) as caught:
        await source_of(FakeHttp((400, said))).fetch(None)
    assert "dose0" not in caught.value.message


async def test_the_networks_own_failures_pass() -> None:
    with pytest.raises(UpstreamError, match="down"):
        await source_of(FakeHttp(outage())).fetch(None)


# -- the one implementation of TokenHttp ---------------------------------------------------------------------


async def post(url: str, **options: Any) -> Any:
    return await AiohttpTokenHttp(**options).post_form(f"{url}/oidc/v1/token", FORM, ("i", Secret("s")))


async def test_a_redirect_is_not_followed() -> None:
    async with serving(TokenEndpoint()) as other, serving(TokenEndpoint()) as endpoint:
        endpoint.fault = web.Response(status=307, headers={"Location": f"{other.url}/oidc/v1/token"})
        answer = await post(endpoint.url)
        assert (answer.status, other.granted, other.problems) == (307, 0, [])


async def test_without_credentials_none_are_sent() -> None:
    async with serving(TokenEndpoint()) as endpoint:
        answer = await AiohttpTokenHttp().post_form(f"{endpoint.url}/oidc/v1/token", FORM, None)
        assert answer.status == 401


async def test_an_answer_without_end_is_cut_off() -> None:
    async with serving(TokenEndpoint()) as endpoint:
        endpoint.fault = web.Response(body=b"x" * 100_000)
        with pytest.raises(UpstreamError, match="more than 65536 bytes"):
            await post(endpoint.url)


async def test_an_endpoint_that_says_nothing_is_given_up() -> None:
    async with serving(TokenEndpoint(delay=asyncio.Event())) as endpoint:
        assert endpoint.delay is not None
        with pytest.raises(UpstreamError, match="did not answer within") as caught:
            await post(endpoint.url, total_timeout_s=0.05)
        endpoint.delay.set()
    assert caught.value.status == 504


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@pytest.mark.parametrize(
    ("url_of_port", "options", "words"),
    [
        (lambda port: f"http://127.0.0.1:{port}", {}, "refused the connection"),
        (
            lambda _port: "https://dbc.invalid",
            {"reach": Reach(Secret("http://user:canary@127.0.0.1:9"))},
            r"proxy \(PROXY_URL\)",
        ),
    ],
)
async def test_a_network_that_fails_is_named_without_secrets(
    url_of_port: Callable[[int], str], options: dict[str, Any], words: str
) -> None:
    with pytest.raises(UpstreamError, match=words) as caught:
        await post(url_of_port(free_port()), **options)
    assert "canary" not in str(caught.value)


async def test_a_proxy_is_not_used_on_this_machine() -> None:
    async with serving(TokenEndpoint()) as endpoint:
        assert (await post(endpoint.url, reach=Reach(Secret("http://127.0.0.1:9")))).status == 401

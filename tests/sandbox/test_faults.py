"""Each fault, as a raw client meets it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from ccr.sandbox import AnthropicFake, Fault, Script, ToolCall, Turn, Wire, Workspace
from tests.sandbox.bodies import OLD, chat_body, native_body

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PATH = f"/serving-endpoints/{OLD}/invocations"
TEXT = "one two three four five six seven eight nine ten"


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def workspace_with(**fault: Any) -> Workspace:
    return Workspace(Script(turns=[Turn(text=TEXT, fault=Fault(**fault)), Turn(text="the next")]))


async def ask(
    http: aiohttp.ClientSession, workspace: Workspace, *, stream: bool = True
) -> tuple[int, bytes, Any]:
    """Status, body and headers; the body may be cut short."""
    is_direct = isinstance(workspace, AnthropicFake)
    body = native_body(stream=stream) if is_direct else chat_body(stream=stream)
    path = "/v1/messages" if is_direct else PATH
    headers = {"authorization": f"Bearer {workspace.token}"}
    received = b""
    async with http.post(workspace.url + path, json=body, headers=headers, allow_redirects=False) as response:
        async for piece in response.content.iter_any():
            received += piece
        return response.status, received, response.headers


async def ask_cut(http: aiohttp.ClientSession, workspace: Workspace, *, stream: bool = True) -> bytes:
    """The bytes of a body that does not end as it should."""
    received = b""
    headers = {"authorization": f"Bearer {workspace.token}"}
    with pytest.raises(aiohttp.ClientError):  # noqa: PT012 - what was read before the cut is what is tested
        async with http.post(
            workspace.url + PATH, json=chat_body(stream=stream), headers=headers
        ) as response:
            async for piece in response.content.iter_any():
                received += piece
    return received


class TestAnswers:
    @pytest.mark.parametrize(
        ("fault", "status", "body"),
        [
            ({}, 500, {"error_code": "INTERNAL_ERROR"}),
            ({"status": 503}, 503, {"error_code": "TEMPORARILY_UNAVAILABLE"}),
            ({"status": 529}, 529, {"error_code": "INTERNAL_ERROR"}),
            ({"status": 429}, 429, {"error_code": "REQUEST_LIMIT_EXCEEDED"}),
            (
                {"status": 400, "body": {"error": "Received error from amazon-bedrock"}},
                400,
                {"error": "Received"},
            ),
            ({"status": 429, "body_retry_after": 15}, 429, {"error": ""}),
        ],
    )
    async def test_status(
        self, http: aiohttp.ClientSession, fault: dict[str, Any], status: int, body: dict[str, str]
    ) -> None:
        async with workspace_with(kind="status", **fault) as workspace:
            answered, raw, _ = await ask(http, workspace)
            assert answered == status
            for key, value in body.items():
                assert isinstance(json.loads(raw)[key], dict) or json.loads(raw)[key].startswith(value)
            assert workspace.requests[0].status == status
            assert workspace.refusals == []
            assert (await ask(http, workspace))[0] == 200

    async def test_the_rate_limit_in_the_body(self, http: aiohttp.ClientSession) -> None:
        async with workspace_with(kind="status", status=429, body_retry_after=15) as workspace:
            _, raw, headers = await ask(http, workspace)
        assert json.loads(raw)["error"]["retry_after"] == 15
        assert "retry-after" not in headers

    async def test_retry_after_and_other_headers(self, http: aiohttp.ClientSession) -> None:
        fault = {"status": 429, "retry_after": "2", "headers": {"x-own": "y"}, "times": 2}
        async with workspace_with(kind="status", **fault) as workspace:
            for _ in range(2):
                status, _, headers = await ask(http, workspace)
                assert (status, headers["retry-after"], headers["x-own"]) == (429, "2", "y")
            assert (await ask(http, workspace))[0] == 200

    async def test_a_body_that_is_text(self, http: aiohttp.ClientSession) -> None:
        async with workspace_with(kind="status", status=403, body="Invalid Token") as workspace:
            assert (await ask(http, workspace))[1] == b"Invalid Token"

    async def test_other_statuses(self, http: aiohttp.ClientSession) -> None:
        async with workspace_with(kind="empty", status=204) as workspace:
            assert (await ask(http, workspace))[:2] == (204, b"")
        elsewhere = {"location": "https://elsewhere.invalid/"}
        async with workspace_with(kind="redirect", status=307, headers=elsewhere) as workspace:
            status, _, headers = await ask(http, workspace)
        assert (status, headers["location"]) == (307, "https://elsewhere.invalid/")

    async def test_html(self, http: aiohttp.ClientSession) -> None:
        async with workspace_with(kind="html", status=200) as workspace:
            status, raw, headers = await ask(http, workspace)
        assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert b"<title>" in raw

    async def test_html_of_ones_own(self, http: aiohttp.ClientSession) -> None:
        async with workspace_with(kind="html", status=502, body="<p>down") as workspace:
            assert (await ask(http, workspace))[:2] == (502, b"<p>down")

    async def test_redirect(self, http: aiohttp.ClientSession) -> None:
        async with workspace_with(kind="redirect") as workspace:
            status, _, headers = await ask(http, workspace)
        assert (status, headers["location"]) == (303, "/login")

    async def test_empty(self, http: aiohttp.ClientSession) -> None:
        async with workspace_with(kind="empty") as workspace:
            assert (await ask(http, workspace))[:2] == (200, b"")

    @pytest.mark.parametrize(
        ("status", "kind"), [(429, "rate_limit_error"), (529, "overloaded_error"), (500, "api_error")]
    )
    async def test_errors_of_the_anthropic_api(
        self, http: aiohttp.ClientSession, status: int, kind: str
    ) -> None:
        async with AnthropicFake(Script(turns=[Turn(fault=Fault(kind="status", status=status))])) as fake:
            answered, raw, _ = await ask(http, fake)
        assert (answered, json.loads(raw)["error"]["type"]) == (status, kind)


class TestConnections:
    async def test_reset_before_headers(self, http: aiohttp.ClientSession) -> None:
        async with workspace_with(kind="reset") as workspace:
            with pytest.raises(aiohttp.ClientConnectionError):
                await ask(http, workspace)
            await workspace.until(lambda: workspace.requests[0].ended_at is not None)
            assert workspace.requests[0].status is None
            assert not workspace.requests[0].closed_early
            assert (await ask(http, workspace))[0] == 200

    @pytest.mark.parametrize("how", ["rst", "fin"])
    async def test_cut(self, http: aiohttp.ClientSession, how: str) -> None:
        async with workspace_with(kind="cut", how=how, at=1) as workspace:
            received = await ask_cut(http, workspace)
            assert received.count(b"data: ") == 1
            assert workspace.remaining == 2
            assert not workspace.requests[0].closed_early
            assert b"the next" not in (await ask(http, workspace))[1]

    async def test_cut_with_a_proper_end(self, http: aiohttp.ClientSession) -> None:
        async with workspace_with(kind="cut", how="end", at=1, consumes_turn=True) as workspace:
            status, received, _ = await ask(http, workspace)
            assert (status, received.count(b"data: ")) == (200, 1)
            assert b"the next" in (await ask(http, workspace))[1]

    async def test_cut_in_the_middle_of_an_event(self, http: aiohttp.ClientSession) -> None:
        async with workspace_with(kind="cut", how="end", at=1, partial=True) as workspace:
            received = (await ask(http, workspace))[1]
        whole, half = received.decode().split("\n\n")
        json.loads(whole.removeprefix("data: "))
        with pytest.raises(json.JSONDecodeError):
            json.loads(half.removeprefix("data: "))

    async def test_cut_of_a_whole_answer(self, http: aiohttp.ClientSession) -> None:
        async with workspace_with(kind="cut", how="fin") as workspace:
            received = await ask_cut(http, workspace, stream=False)
        with pytest.raises(json.JSONDecodeError):
            json.loads(received)

    @pytest.mark.parametrize("where", ["headers", "first_byte", "middle"])
    async def test_a_stall_ends(self, http: aiohttp.ClientSession, where: str) -> None:
        async with workspace_with(kind="stall", where=where, seconds=0.01) as workspace:
            assert (await ask(http, workspace))[1].endswith(b"data: [DONE]\n\n")
            assert workspace.remaining == 1

    @pytest.mark.parametrize("where", ["headers", "first_byte", "middle"])
    async def test_a_client_that_goes_away_is_noticed(self, http: aiohttp.ClientSession, where: str) -> None:
        async with workspace_with(kind="stall", where=where, seconds=60) as workspace:
            question = asyncio.create_task(ask(http, workspace))
            await workspace.until(lambda: bool(workspace.requests and workspace.requests[0].raw))
            question.cancel()
            with pytest.raises(asyncio.CancelledError):
                await question
            await workspace.until(lambda: workspace.requests[0].closed_early)
            assert workspace.remaining == 2

    async def test_stopping_is_not_the_client_going_away(self, http: aiohttp.ClientSession) -> None:
        workspace = workspace_with(kind="stall", where="headers", seconds=60)
        async with workspace:
            question = asyncio.create_task(ask(http, workspace))
            await workspace.until(lambda: bool(workspace.requests and workspace.requests[0].raw))
        with pytest.raises(aiohttp.ClientError):
            await question
        assert not workspace.requests[0].closed_early

    async def test_slow(self, http: aiohttp.ClientSession) -> None:
        async with workspace_with(kind="slow", seconds=0.001) as workspace:
            assert (await ask(http, workspace))[1].endswith(b"data: [DONE]\n\n")
            assert workspace.remaining == 1


class TestStreams:
    async def test_an_error_in_the_stream(self, http: aiohttp.ClientSession) -> None:
        async with workspace_with(kind="error_event", at=2) as workspace:
            status, received, _ = await ask(http, workspace)
        events = received.decode().strip().split("\n\n")
        assert status == 200
        assert len(events) == 3
        assert json.loads(events[2].removeprefix("data: "))["error_code"] == "TEMPORARILY_UNAVAILABLE"

    async def test_an_error_of_ones_own_in_small_pieces(self, http: aiohttp.ClientSession) -> None:
        turn = Turn(text=TEXT, fault=Fault(kind="error_event", body="oops"), wire=Wire(split_bytes=3))
        async with Workspace(Script(turns=[turn])) as workspace:
            assert (await ask(http, workspace))[1].endswith(b"data: oops\n\n")

    async def test_an_error_in_an_anthropic_stream(self, http: aiohttp.ClientSession) -> None:
        async with AnthropicFake(Script(turns=[Turn(text=TEXT, fault=Fault(kind="error_event"))])) as fake:
            _, received, _ = await ask(http, fake)
        assert received.decode().split("\n\n")[2].startswith('event: error\ndata: {"type": "error"')

    async def test_an_error_instead_of_a_whole_answer(self, http: aiohttp.ClientSession) -> None:
        async with workspace_with(kind="error_event") as workspace:
            status, received, _ = await ask(http, workspace, stream=False)
        assert (status, json.loads(received)["error_code"]) == (200, "TEMPORARILY_UNAVAILABLE")

    async def test_garbage(self, http: aiohttp.ClientSession) -> None:
        async with workspace_with(kind="garbage", at=1) as workspace:
            events = (await ask(http, workspace))[1].decode().split("\n\n")
        json.loads(events[0].removeprefix("data: "))
        with pytest.raises(json.JSONDecodeError):
            json.loads(events[1].removeprefix("data: "))
        assert events[-2] == "data: [DONE]"

    async def test_a_fault_beyond_the_last_event_hits_the_last(self, http: aiohttp.ClientSession) -> None:
        turn = Turn(tools=[ToolCall("Bash", {})], fault=Fault(kind="error_event", at=1000))
        async with Workspace(Script(turns=[turn])) as workspace:
            received = (await ask(http, workspace))[1]
        assert b"[DONE]" not in received
        assert b"TEMPORARILY_UNAVAILABLE" in received

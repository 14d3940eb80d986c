"""What the published ``openai`` client makes of everything that goes wrong behind ``/v1/responses``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openai
import pytest

from ccr.sandbox import Fault, Turn
from tests.clients.conftest import MODELS
from tests.clients.features import feature
from tests.clients.test_openai_errors import CLASSES, failing

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from tests.clients.conftest import Connected

    Connect = Callable[..., AbstractAsyncContextManager[Connected]]

MODEL = MODELS[0]
TEXT = "A long answer in many words. " * 9


async def refused(ours: Connected, **asked: Any) -> openai.APIStatusError:
    with pytest.raises(openai.APIStatusError) as caught:
        await ours.openai.responses.create(**{"model": MODEL, "input": "Hello", **asked})
    assert caught.value.request_id is not None
    assert caught.value.type is not None
    return caught.value


@feature("responses", "Error: bad request", "400")
async def test_unknown_model(connect_chat: Connect) -> None:
    async with connect_chat() as ours:
        error = await refused(ours, model="gpt-4o")
        assert isinstance(error, openai.BadRequestError)
        assert error.code == "invalid_request"
        assert "is not configured" in error.message


@feature("responses", "Error: the parameter at fault", "`param`")
@pytest.mark.parametrize(
    ("asked", "param", "why"),
    [
        ({"temperature": "hot"}, "temperature", "valid integer or number"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_video"}]}]},
            "input.0.content.0.type",
            "input_video",
        ),
        ({"tools": [{"type": "function"}]}, "tools.0.name", "required"),
    ],
)
async def test_parameter(connect_chat: Connect, asked: dict[str, Any], param: str, why: str) -> None:
    async with connect_chat() as ours:
        error = await refused(ours, **asked)
        assert isinstance(error, openai.BadRequestError)
        assert error.param == param
        assert why in error.message


@feature("responses", "Conversations that the server keeps", "400 with what to do: ccr keeps none")
@pytest.mark.parametrize(
    "asked",
    [
        {"previous_response_id": "resp_1"},
        {"conversation": "conv_1"},
        {"background": True},
        {"input": [{"type": "item_reference", "id": "rs_1"}]},
    ],
)
async def test_kept_conversations(connect_chat: Connect, asked: dict[str, Any]) -> None:
    async with connect_chat() as ours:
        error = await refused(ours, **asked)
        assert isinstance(error, openai.BadRequestError)
        assert error.param is not None
        assert error.param.startswith(next(iter(asked)))
        assert ours.workspace.requests == []


@feature("responses", "Error: wrong key")
async def test_wrong_key(connect_chat: Connect) -> None:
    async with connect_chat() as ours:
        ours.openai.api_key = "wrong"
        assert isinstance(await refused(ours), openai.PermissionDeniedError)


@feature("responses", "Error: unknown path", "404")
async def test_unknown_path(connect_chat: Connect) -> None:
    async with connect_chat() as ours:
        with pytest.raises(openai.NotFoundError, match="ccr serves"):
            await ours.openai.responses.retrieve("resp_1")


@feature("responses", "Error: rate limit")
async def test_rate_limit(connect_chat: Connect) -> None:
    async with connect_chat(failing(kind="status", status=429, retry_after="70", times=9)) as ours:
        error = await refused(ours)
        assert isinstance(error, openai.RateLimitError)
        assert error.response.headers["retry-after"] == "70"


@feature("responses", "Error: overloaded")
async def test_overloaded(connect_chat: Connect) -> None:
    async with connect_chat(failing(kind="status", status=503, times=9)) as ours:
        assert isinstance(await refused(ours), openai.InternalServerError)


@feature("responses", "Error: server error")
async def test_server_error(connect_chat: Connect) -> None:
    async with connect_chat(failing(kind="status", status=500, times=9)) as ours:
        assert isinstance(await refused(ours, stream=True), openai.InternalServerError)


@feature("responses", "Error: too large", "413")
async def test_too_large(connect_chat: Connect) -> None:
    async with connect_chat() as ours:
        error = await refused(ours, input="x" * (64 * 2**20 + 1))
        assert error.status_code == 413
        assert ours.workspace.requests == []


@feature("responses", "Error: the class of each status")
@pytest.mark.parametrize(("status", "kind"), CLASSES.items())
async def test_every_class(connect_chat: Connect, status: int, kind: type[openai.APIStatusError]) -> None:
    async with connect_chat(failing(kind="status", status=status, times=9)) as ours:
        assert type(await refused(ours)) is kind


@feature("responses", "The client's own deadline")
async def test_deadline(connect_chat: Connect) -> None:
    async with connect_chat(failing(kind="stall", where="headers", seconds=30)) as ours:
        client = ours.openai.with_options(timeout=0.2)
        with pytest.raises(openai.APITimeoutError):
            await client.responses.create(model=MODEL, input="Hello")
        await ours.workspace.until(lambda: ours.workspace.requests[0].closed_early)


@feature("responses", "Cut stream", "`response.failed`, and an error that the client raises")
async def test_cut_stream(connect_chat: Connect) -> None:
    async with connect_chat(failing(kind="cut", how="end", at=3, consumes_turn=True)) as ours:
        stream = await ours.openai.responses.create(model=MODEL, input="Hello", stream=True)
        kinds: list[str] = []

        async def read() -> None:
            async for event in stream:
                kinds.append(event.type)  # noqa: PERF401 - those before the error count

        with pytest.raises(openai.APIError, match="cut"):
            await read()
        assert kinds[-1] == "response.failed"
        assert "response.output_text.delta" in kinds
        await ours.service.idle()
        assert ours.service.records[0]["outcome"] == "error"


async def test_the_stream_helper_says_why_there_is_no_response(connect_chat: Connect) -> None:
    async with connect_chat(failing(kind="cut", how="end", at=3, consumes_turn=True)) as ours:
        with pytest.raises(openai.APIError, match="cut"):
            async with ours.openai.responses.stream(model=MODEL, input="Hello") as stream:
                await stream.get_final_response()


@feature("responses", "Error in a stream")
async def test_error_in_a_stream(connect_chat: Connect) -> None:
    async with connect_chat(failing(kind="error_event", at=3, consumes_turn=True)) as ours:
        stream = await ours.openai.responses.create(model=MODEL, input="Hello", stream=True)
        with pytest.raises(openai.APIError):
            async for _ in stream:
                pass


@feature("responses", "The client's own retries")
async def test_retries(connect_chat: Connect) -> None:
    async with connect_chat(failing(kind="status", status=429, retry_after="0", times=4)) as ours:
        client = ours.openai.with_options(max_retries=5)
        response = await client.responses.create(model=MODEL, input="Hello")
        assert response.output_text == TEXT


@feature("responses", "Leaving a stream")
async def test_leaving(connect_chat: Connect) -> None:
    turn = Turn(text="word " * 400, fault=Fault(kind="slow", seconds=0.05))
    async with connect_chat(turn) as ours:
        stream = await ours.openai.responses.create(model=MODEL, input="Hello", stream=True)
        async for _ in stream:
            break
        await stream.close()
        await ours.workspace.until(lambda: ours.workspace.requests[0].closed_early)
        await ours.service.idle()
        assert ours.service.records[0]["outcome"] == "cancelled"

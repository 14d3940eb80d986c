"""What the published ``openai`` client makes of everything that goes wrong behind ccr."""

from __future__ import annotations

from typing import TYPE_CHECKING

import openai
import pytest

from ccr.sandbox import Fault, Turn
from tests.clients.conftest import MODELS
from tests.clients.features import feature

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from openai.types.chat import ChatCompletionMessageParam

    from tests.clients.conftest import Connected

    Connect = Callable[..., AbstractAsyncContextManager[Connected]]

MODEL = MODELS[0]
TEXT = "A long answer in many words. " * 9
QUESTION: ChatCompletionMessageParam = {"role": "user", "content": "Hello"}


def failing(**fault: object) -> Turn:
    return Turn(text=TEXT, fault=Fault(**fault))  # type: ignore[arg-type] # fields of the test


async def refused(ours: Connected, model: str = MODEL) -> openai.APIStatusError:
    with pytest.raises(openai.APIStatusError) as caught:
        await ours.openai.chat.completions.create(model=model, messages=[QUESTION])
    assert caught.value.request_id is not None
    assert caught.value.type is not None
    return caught.value


@feature("openai", "Error: bad request", "400")
async def test_unknown_model(connect_chat: Connect) -> None:
    async with connect_chat() as ours:
        error = await refused(ours, "gpt-4o")
        assert isinstance(error, openai.BadRequestError)
        assert error.code == "invalid_request"
        assert "is not configured" in error.message


@feature("openai", "Error: wrong key")
async def test_wrong_key(connect_chat: Connect) -> None:
    async with connect_chat() as ours:
        ours.openai.api_key = "wrong"
        assert isinstance(await refused(ours), openai.PermissionDeniedError)


@feature("openai", "Error: unknown path", "404")
async def test_unknown_path(connect_chat: Connect) -> None:
    async with connect_chat() as ours:
        with pytest.raises(openai.NotFoundError, match="ccr serves"):
            await ours.openai.embeddings.create(model=MODEL, input="x")


@feature("openai", "Error: rate limit")
async def test_rate_limit(connect_chat: Connect) -> None:
    async with connect_chat(failing(kind="status", status=429, retry_after="70", times=9)) as ours:
        error = await refused(ours)
        assert isinstance(error, openai.RateLimitError)
        assert error.response.headers["retry-after"] == "70"


@feature("openai", "Error: overloaded")
async def test_overloaded(connect_chat: Connect) -> None:
    async with connect_chat(failing(kind="status", status=503, times=9)) as ours:
        assert isinstance(await refused(ours), openai.InternalServerError)


@feature("openai", "Error: server error")
async def test_server_error(connect_chat: Connect) -> None:
    async with connect_chat(failing(kind="status", status=500, times=9)) as ours:
        assert isinstance(await refused(ours), openai.InternalServerError)


@feature("openai", "Error: too large", "413")
async def test_too_large(connect_chat: Connect) -> None:
    async with connect_chat() as ours:
        with pytest.raises(openai.APIStatusError) as caught:
            await ours.openai.chat.completions.create(
                model=MODEL, messages=[{"role": "user", "content": "x" * (64 * 2**20 + 1)}]
            )
        assert caught.value.status_code == 413
        assert ours.workspace.requests == []


CLASSES = {
    400: openai.BadRequestError,
    401: openai.PermissionDeniedError,
    403: openai.PermissionDeniedError,
    404: openai.BadRequestError,
    408: openai.APIStatusError,
    409: openai.ConflictError,
    422: openai.UnprocessableEntityError,
    429: openai.RateLimitError,
    500: openai.InternalServerError,
    503: openai.InternalServerError,
    504: openai.InternalServerError,
    529: openai.InternalServerError,
}


@feature("openai", "Error: the class of each status")
@pytest.mark.parametrize(("status", "kind"), CLASSES.items())
async def test_every_class(connect_chat: Connect, status: int, kind: type[openai.APIStatusError]) -> None:
    async with connect_chat(failing(kind="status", status=status, times=9)) as ours:
        assert type(await refused(ours)) is kind


@feature("openai", "The client's own deadline")
async def test_deadline(connect_chat: Connect) -> None:
    async with connect_chat(failing(kind="stall", where="headers", seconds=30)) as ours:
        client = ours.openai.with_options(timeout=0.2)
        with pytest.raises(openai.APITimeoutError):
            await client.chat.completions.create(model=MODEL, messages=[QUESTION])
        await ours.workspace.until(lambda: ours.workspace.requests[0].closed_early)


@feature("openai", "Cut stream", "an error, never an invented end")
async def test_cut_stream(connect_chat: Connect) -> None:
    async with connect_chat(failing(kind="cut", how="end", at=3, consumes_turn=True)) as ours:
        stream = await ours.openai.chat.completions.create(model=MODEL, messages=[QUESTION], stream=True)
        with pytest.raises(openai.APIError, match="cut"):
            async for _ in stream:
                pass


@feature("openai", "Error in a stream")
async def test_error_in_a_stream(connect_chat: Connect) -> None:
    async with connect_chat(failing(kind="error_event", at=3, consumes_turn=True)) as ours:
        stream = await ours.openai.chat.completions.create(model=MODEL, messages=[QUESTION], stream=True)
        with pytest.raises(openai.APIError):
            async for _ in stream:
                pass


@feature("openai", "The client's own retries")
async def test_retries(connect_chat: Connect) -> None:
    async with connect_chat(failing(kind="status", status=429, retry_after="0", times=4)) as ours:
        client = ours.openai.with_options(max_retries=5)
        completion = await client.chat.completions.create(model=MODEL, messages=[QUESTION])
        assert completion.choices[0].message.content == TEXT


@feature("openai", "Leaving a stream")
async def test_leaving(connect_chat: Connect) -> None:
    turn = Turn(text="word " * 400, fault=Fault(kind="slow", seconds=0.05))
    async with connect_chat(turn) as ours:
        stream = await ours.openai.chat.completions.create(model=MODEL, messages=[QUESTION], stream=True)
        async for _ in stream:
            break
        await stream.close()
        await ours.workspace.until(lambda: ours.workspace.requests[0].closed_early)
        await ours.service.idle()
        assert ours.service.records[0]["outcome"] == "cancelled"

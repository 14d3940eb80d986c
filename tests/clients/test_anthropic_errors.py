"""What the published ``anthropic`` client makes of everything that goes wrong behind ccr."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anthropic
import pytest

from ccr.sandbox import Fault, Turn
from tests.clients.conftest import MODELS
from tests.clients.features import feature

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from tests.clients.conftest import Connected

    Connect = Callable[..., AbstractAsyncContextManager[Connected]]

MODEL = MODELS[0]
QUESTION: anthropic.types.MessageParam = {"role": "user", "content": "Hello"}


def failing(**fault: object) -> Turn:
    return Turn(text="A long answer in many words. " * 9, fault=Fault(**fault))  # type: ignore[arg-type] # fields of the test


async def refused(ours: Connected, model: str = MODEL) -> anthropic.APIStatusError:
    with pytest.raises(anthropic.APIStatusError) as caught:
        await ours.anthropic.messages.create(model=model, max_tokens=5, messages=[QUESTION])
    error = caught.value
    assert error.request_id is not None
    assert isinstance(error.body, dict)
    assert error.body["type"] == "error"
    assert error.body["request_id"] == error.request_id
    return error


@feature("anthropic", "Error: bad request", "400")
async def test_unknown_model(connect: Connect) -> None:
    async with connect() as ours:
        error = await refused(ours, "gpt-4o")
        assert isinstance(error, anthropic.BadRequestError)
        assert "is not configured" in error.message


@feature("anthropic", "Error: wrong key", "403, not 401: a 401 would end the login of Claude Code")
async def test_wrong_key(connect: Connect) -> None:
    async with connect() as ours:
        ours.anthropic.auth_token = "wrong"
        error = await refused(ours)
        assert isinstance(error, anthropic.PermissionDeniedError)
        assert "ccr env" in error.message


@feature("anthropic", "Error: unknown path", "404")
async def test_unknown_path(connect: Connect) -> None:
    async with connect() as ours:
        with pytest.raises(anthropic.NotFoundError, match="ccr serves"):
            await ours.anthropic.messages.batches.list()


@feature("anthropic", "Error: too large", "413")
async def test_too_large(connect: Connect) -> None:
    async with connect() as ours:
        with pytest.raises(anthropic.APIStatusError) as caught:
            await ours.anthropic.messages.create(
                model=MODEL, max_tokens=5, messages=[{"role": "user", "content": "x" * (64 * 2**20 + 1)}]
            )
        assert caught.value.status_code == 413
        assert ours.workspace.requests == []


@feature("anthropic", "Error: rate limit", "429 with `retry-after`")
async def test_rate_limit(connect: Connect) -> None:
    async with connect(failing(kind="status", status=429, retry_after="70", times=9)) as ours:
        error = await refused(ours)
        assert isinstance(error, anthropic.RateLimitError)
        assert error.response.headers["retry-after"] == "70"


@feature("anthropic", "Error: overloaded", "503")
async def test_overloaded(connect: Connect) -> None:
    async with connect(failing(kind="status", status=503, times=9)) as ours:
        error = await refused(ours)
        assert isinstance(error, anthropic.InternalServerError)
        assert error.status_code in {503, 529}


@feature("anthropic", "Error: server error", "5xx")
async def test_server_error(connect: Connect) -> None:
    async with connect(failing(kind="status", status=500, times=9)) as ours:
        assert isinstance(await refused(ours), anthropic.InternalServerError)


CLASSES = {
    400: anthropic.BadRequestError,
    401: anthropic.PermissionDeniedError,
    402: anthropic.PaymentRequiredError,
    403: anthropic.PermissionDeniedError,
    404: anthropic.BadRequestError,
    408: anthropic.RequestTimeoutError,
    409: anthropic.ConflictError,
    413: anthropic.ContentTooLargeError,
    422: anthropic.UnprocessableEntityError,
    429: anthropic.RateLimitError,
    500: anthropic.InternalServerError,
    502: anthropic.InternalServerError,
    503: anthropic.ServiceUnavailableError,
    504: anthropic.GatewayTimeoutError,
    529: anthropic.OverloadedError,
}


@feature("anthropic", "Error: the class of each status", "of the upstream's, as docs/errors.md turns it")
@pytest.mark.parametrize(("status", "kind"), CLASSES.items())
async def test_every_class(connect: Connect, status: int, kind: type[anthropic.APIStatusError]) -> None:
    async with connect(failing(kind="status", status=status, times=9)) as ours:
        assert type(await refused(ours)) is kind


@feature("anthropic", "The client's own deadline", "the upstream's answer is given up with it")
async def test_deadline(connect: Connect) -> None:
    async with connect(failing(kind="stall", where="headers", seconds=30)) as ours:
        client = ours.anthropic.with_options(timeout=0.2)
        with pytest.raises(anthropic.APITimeoutError):
            await client.messages.create(model=MODEL, max_tokens=5, messages=[QUESTION])
        await ours.workspace.until(lambda: ours.workspace.requests[0].closed_early)


@feature("anthropic", "Error in a stream")
async def test_error_in_a_stream(connect: Connect) -> None:
    async with connect(failing(kind="error_event", at=3, consumes_turn=True)) as ours:
        with pytest.raises(anthropic.APIStatusError, match="verloaded"):
            async with ours.anthropic.messages.stream(
                model=MODEL, max_tokens=5, messages=[QUESTION]
            ) as stream:
                await stream.get_final_message()


@feature("anthropic", "Cut stream", "an error, never an invented end")
async def test_cut_stream(connect: Connect) -> None:
    async with connect(failing(kind="cut", how="end", at=3, consumes_turn=True)) as ours:
        with pytest.raises(anthropic.APIStatusError, match="cut"):
            async with ours.anthropic.messages.stream(
                model=MODEL, max_tokens=5, messages=[QUESTION]
            ) as stream:
                await stream.get_final_message()


@feature("anthropic", "The client's own retries")
async def test_retries(connect: Connect) -> None:
    async with connect(failing(kind="status", status=429, retry_after="0", times=4)) as ours:
        client = ours.anthropic.with_options(max_retries=5)
        message = await client.messages.create(model=MODEL, max_tokens=5, messages=[QUESTION])
        assert message.stop_reason == "end_turn"


@feature("anthropic", "Leaving a stream")
async def test_leaving(connect: Connect) -> None:
    turn = Turn(text="word " * 400, fault=Fault(kind="slow", seconds=0.05))
    async with connect(turn) as ours:
        async with ours.anthropic.messages.stream(model=MODEL, max_tokens=500, messages=[QUESTION]) as stream:
            async for event in stream:
                if event.type == "text":
                    break
        await ours.workspace.until(lambda: ours.workspace.requests[0].closed_early)
        await ours.service.idle()
        assert ours.service.records[0]["outcome"] == "cancelled"

"""One client through one ccr to one strict workspace, on each route."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import anthropic
import openai
import pytest

from ccr.sandbox import Script, Turn, Workspace
from tests.gateway.native_service import native_config
from tests.server.service import KEY, OTHER_MODEL, Service, config_for, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

Route = Literal["chat", "native"]
MODELS = ("databricks-claude-sonnet-4-5", OTHER_MODEL)


@dataclass
class Connected:
    """What a test talks with, and what it looks at afterwards."""

    workspace: Workspace
    service: Service
    anthropic: anthropic.AsyncAnthropic
    openai: openai.AsyncOpenAI


@contextlib.asynccontextmanager
async def _connected(route: Route, *turns: Turn, side_answer: str | None = None) -> AsyncIterator[Connected]:
    script = Script(turns=turns) if side_answer is None else Script(turns=turns, side_answer=side_answer)
    async with contextlib.AsyncExitStack() as stack:
        workspace = await stack.enter_async_context(Workspace(script))
        make = native_config if route == "native" else config_for
        config = make(workspace.url, token=workspace.token, models=MODELS)
        service = await stack.enter_async_context(running(config))
        first = anthropic.AsyncAnthropic(auth_token=KEY, api_key=None, base_url=service.url, max_retries=0)
        second = openai.AsyncOpenAI(api_key=KEY, base_url=f"{service.url}/v1", max_retries=0)
        yield Connected(
            workspace,
            service,
            await stack.enter_async_context(first),
            await stack.enter_async_context(second),
        )
        assert workspace.refusals == []


@pytest.fixture(params=["chat", "native"])
def connect(request: pytest.FixtureRequest) -> Callable[..., AbstractAsyncContextManager[Connected]]:
    """Make a connection, on the chat route and on the native route."""

    def make(*turns: Turn, side_answer: str | None = None) -> AbstractAsyncContextManager[Connected]:
        return _connected(request.param, *turns, side_answer=side_answer)

    return make


@pytest.fixture
def connect_chat() -> Callable[..., AbstractAsyncContextManager[Connected]]:
    """Make a connection on the chat route, the only one of OpenAI's clients."""

    def make(*turns: Turn, side_answer: str | None = None) -> AbstractAsyncContextManager[Connected]:
        return _connected("chat", *turns, side_answer=side_answer)

    return make

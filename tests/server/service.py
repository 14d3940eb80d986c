"""A whole ccr in this process: real sockets on both sides, no daemon."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiohttp import web

from ccr.config.model import Config, Network, Provider, Router, Secret, Step
from ccr.server.app import App, credentials_from, make_app

if TYPE_CHECKING:
    from ccr.gateway.patience import Patience
    from ccr.plugins.loading import Plugins

KEY = "local-key-0123456789abcdefghij"
MODEL = "databricks-claude-sonnet-4-5"
OTHER_MODEL = "databricks-claude-haiku-4-5"
UPSTREAM_KEY = "upstream-token"


@dataclass
class Service:
    app: App
    port: int
    log: list[logging.LogRecord]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def idle(self) -> None:
        """Return when no request is running any more."""
        async with asyncio.timeout(5):
            while self.app.gateway.metrics.active:  # noqa: ASYNC110 - the product needs no event for it
                await asyncio.sleep(0.002)

    @property
    def records(self) -> list[dict[str, Any]]:
        """The records of requests, as they were logged."""
        return [entry.__dict__["fields"] for entry in self.log if entry.getMessage().startswith("request ")]


def config_for(
    base_url: str,
    *,
    token: str = UPSTREAM_KEY,
    models: tuple[str, ...] = (MODEL,),
    network: Network | None = None,
    **changes: Any,
) -> Config:
    provider = Provider(
        name="databricks",
        url=f"{base_url}/serving-endpoints/{models[0]}/invocations",
        api_key=Secret(token),
        models=models,
        network=network or Network(retries=0),
        steps=(Step(name="OpenAI"), Step(name="databricks-custom")),
    )
    defaults: dict[str, Any] = {
        "providers": (provider,),
        "router": Router(default=f"databricks,{models[0]}"),
        "api_timeout_s": 20.0,
    }
    return Config(**{**defaults, **changes})


class _Entries(logging.Handler):
    def __init__(self, entries: list[logging.LogRecord]) -> None:
        super().__init__()
        self.entries = entries

    def emit(self, record: logging.LogRecord) -> None:
        self.entries.append(record)


@contextlib.asynccontextmanager
async def running(
    config: Config,
    *,
    patience: Patience | None = None,
    key: str = KEY,
    instance: str = "instance-1",
    environ: Mapping[str, str] | None = None,
    plugins: Plugins | None = None,
) -> AsyncIterator[Service]:
    """Run a service. environ: where it looks for identities; None: providers have keys of their own."""
    sock = socket.create_server(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    entries: list[logging.LogRecord] = []
    log = logging.Logger(f"ccr.test.{port}", logging.DEBUG)  # noqa: LOG001 - not shared between tests
    log.addHandler(_Entries(entries))
    app = make_app(
        config,
        key=Secret(key),
        instance=instance,
        ports=[port],
        log=log,
        credentials=None if environ is None else credentials_from(config, environ, log),
        patience=patience,
        plugins=plugins,
    )
    runner = web.ServerRunner(app.server, shutdown_timeout=0.2)
    await runner.setup()
    await web.SockSite(runner, sock).start()
    try:
        yield Service(app, port, entries)
    finally:
        await runner.cleanup()
        await app.close()


def message_body(**changes: Any) -> bytes:
    body = {
        "model": "claude-sonnet-4-5",
        "max_tokens": 1024,
        "messages": [{"role": "user", "content": "hello"}],
    }
    return json.dumps({**body, **changes}).encode()


Check = Callable[[], bool]

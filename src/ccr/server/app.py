"""The composition root: builds the parts of a service from its configuration, runs them, and stops them.

``make_app`` builds, ``serve`` runs until a signal. Whoever calls them has the sockets, the key and the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiohttp import web

from ccr.config.profiles import read_text
from ccr.gateway.gateway import Gateway
from ccr.gateway.routes import Routes
from ccr.server.connection import Server
from ccr.server.front import Front
from ccr.server.guard import Guard, Hosts
from ccr.server.routes import ROUTES
from ccr.upstream.auth.credentials import credentials_of
from ccr.upstream.auth.http import AiohttpTokenHttp
from ccr.upstream.client import Upstream
from ccr.upstream.identities import identities_of

if TYPE_CHECKING:
    import logging
    import socket
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from ccr.config.model import Config, Secret
    from ccr.gateway.patience import Patience
    from ccr.upstream.auth.credentials import Credentials

DRAIN_S: Final = 30.0
"""How long streams may take to end once the service is asked to stop."""
CUT_S: Final = 1.0
"""How long the last bytes of what is cut may take."""


@dataclass(frozen=True)
class App:
    """The parts of one service. ``close`` it."""

    server: Server
    front: Front
    gateway: Gateway
    upstream: Upstream

    async def close(self) -> None:
        """Close the connections to the providers."""
        await self.upstream.close()


def make_app(
    config: Config,
    *,
    key: Secret,
    instance: str,
    ports: Iterable[int],
    log: logging.Logger,
    credentials: Mapping[str, Credentials] | None = None,
    patience: Patience | None = None,
) -> App:
    """Return a service that is not listening yet. ports: those it will listen on. Needs a running loop.

    credentials: from `credentials_from`. Raises ValueError when a configured transformer cannot be built.
    """
    routes = Routes(config)
    upstream = Upstream(config, credentials)
    gateway = Gateway(config, routes, upstream, logger=log, patience=patience)
    asked = key if config.auth == "key" else None
    guard = Guard(
        Hosts.of(config.host, ports), asked, {path: served.endpoint for path, served in ROUTES.items()}
    )
    takes_user_token = any(
        each.sign_in is not None and each.sign_in.on_behalf_of_user for each in config.providers
    )
    front = Front(guard, gateway, key=key, instance=instance, log=log, takes_user_token=takes_user_token)
    return App(Server(front.handle, log=log), front, gateway, upstream)


def credentials_from(
    config: Config, environ: Mapping[str, str], log: logging.Logger
) -> dict[str, Credentials]:
    """Return the credentials of every provider that has no key of its own; asks no network.

    Raises ConfigError with what was looked for, of all providers for which nothing was found.
    """
    http = AiohttpTokenHttp(proxy_url=config.proxy_url)
    return {
        name: credentials_of(identity, environ, http=http, read_file=read_text, log=log)
        for name, identity in identities_of(config, environ).items()
    }


async def serve(
    config: Config,
    *,
    key: Secret,
    instance: str,
    sockets: list[socket.socket],
    log: logging.Logger,
    on_ready: Callable[[], None],
    environ: Mapping[str, str] | None = None,
    drain_s: float = DRAIN_S,
) -> None:
    """Serve on bound sockets until SIGTERM or SIGINT, then finish what is running.

    on_ready: called once requests are answered. environ: where identities are looked for, by default the
    process's. drain_s: how long running streams may take to end; a second signal ends them at once.
    Raises ConfigError when there is no identity for a provider without key.
    """
    ports = {sock.getsockname()[1] for sock in sockets}
    credentials = credentials_from(config, os.environ if environ is None else environ, log)
    app = make_app(config, key=key, instance=instance, ports=ports, log=log, credentials=credentials)
    runner = web.ServerRunner(app.server, shutdown_timeout=CUT_S)
    try:
        await runner.setup()
        with _stop_signals() as stop:
            sites = [web.SockSite(runner, sock) for sock in sockets]
            for site in sites:
                await site.start()
            on_ready()
            signing_in = asyncio.create_task(app.upstream.sign_in())
            await stop.wait()
            signing_in.cancel()
            log.info("stopping", extra={"fields": {"running": app.front.running_count}})
            for site in sites:
                await site.stop()
            stop.clear()
            await _drain(app, stop, drain_s)
    finally:
        await runner.cleanup()
        await app.close()


async def _drain(app: App, stop: asyncio.Event, drain_s: float) -> None:
    """Wait until nothing is running, at most ``drain_s`` or until the next signal; then cut the rest."""
    app.server.pre_shutdown()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(drain_s):
            second = asyncio.create_task(stop.wait())
            try:
                while app.server.connections and not second.done():
                    await asyncio.wait([second], timeout=0.05)
            finally:
                second.cancel()
    app.front.cut()


@contextlib.contextmanager
def _stop_signals() -> Iterator[asyncio.Event]:
    """Give an event that a signal to stop sets; the caller may clear it to see the next one."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)

"""The composition root: builds the parts of a service from its configuration, runs them, and stops them.

``make_app`` builds, ``serve`` runs until a signal. Whoever calls them has the sockets, the key and the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiohttp import web

from ccr.gateway.gateway import Gateway
from ccr.gateway.routes import Routes
from ccr.server.connection import Server
from ccr.server.front import Front
from ccr.server.guard import Guard, Hosts
from ccr.server.routes import ROUTES
from ccr.upstream.client import Upstream

if TYPE_CHECKING:
    import logging
    import socket
    from collections.abc import Callable, Iterable, Iterator

    from ccr.config.model import Config, Secret
    from ccr.gateway.patience import Patience

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
    patience: Patience | None = None,
) -> App:
    """Return a service that is not listening yet. ports: those it will listen on. Needs a running loop.

    Raises ValueError when a configured transformer cannot be built.
    """
    routes = Routes(config)
    upstream = Upstream(config)
    gateway = Gateway(config, routes, upstream, logger=log, patience=patience)
    asked = key if config.auth == "key" else None
    guard = Guard(
        Hosts.of(config.host, ports), asked, {path: served.endpoint for path, served in ROUTES.items()}
    )
    front = Front(guard, gateway, key=key, instance=instance, log=log)
    return App(Server(front.handle, log=log), front, gateway, upstream)


async def serve(
    config: Config,
    *,
    key: Secret,
    instance: str,
    sockets: list[socket.socket],
    log: logging.Logger,
    on_ready: Callable[[], None],
    drain_s: float = DRAIN_S,
) -> None:
    """Serve on bound sockets until SIGTERM or SIGINT, then finish what is running.

    on_ready: called once requests are answered. drain_s: how long running streams may take to end; a second
    signal ends them at once.
    """
    ports = {sock.getsockname()[1] for sock in sockets}
    app = make_app(config, key=key, instance=instance, ports=ports, log=log)  # before anything is open
    runner = web.ServerRunner(app.server, shutdown_timeout=CUT_S)
    try:
        await runner.setup()
        with _stop_signals() as stop:
            sites = [web.SockSite(runner, sock) for sock in sockets]
            for site in sites:
                await site.start()
            on_ready()
            await stop.wait()
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

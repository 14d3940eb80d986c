"""The composition root: builds the parts of a service from its configuration, runs them, and stops them.

``make_app`` builds, ``serve`` runs until a signal. Whoever calls them has the sockets, the key and the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from ccr.plugins.loading import no_plugins
from ccr.server.connection import Server
from ccr.server.departure import FOLLOWED_S, IDLE_S, Departure, drain
from ccr.server.front import Front
from ccr.server.guard import Guard, Hosts
from ccr.server.live import Live
from ccr.server.reload import Reloader
from ccr.server.routes import ROUTES
from ccr.server.sign_ins import SignIns
from ccr.server.watchdog import Watchdog

if TYPE_CHECKING:
    import logging
    import socket
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping

    from ccr.config.model import Config, Secret
    from ccr.gateway.gateway import Gateway
    from ccr.gateway.patience import Patience
    from ccr.gateway.projects import Folders
    from ccr.plugins.loading import Plugins
    from ccr.server.reload import Source
    from ccr.store.recording import Recording
    from ccr.upstream.auth.credentials import Credentials
    from ccr.upstream.client import Upstream

BACKLOG: Final = 512
"""Connections that may wait to be accepted."""
CUT_S: Final = 1.0
"""How long the last bytes of what is cut may take."""


@dataclass(frozen=True)
class App:
    """The parts of one service. ``close`` it."""

    server: Server
    front: Front
    live: Live
    watchdog: Watchdog

    @property
    def gateway(self) -> Gateway:
        """What answers requests that begin now."""
        return self.live.current.gateway

    @property
    def upstream(self) -> Upstream:
        """The connections of requests that begin now."""
        return self.live.current.shared.upstream

    async def close(self) -> None:
        """Close the connections to the providers."""
        await self.live.close()


def make_app(
    config: Config,
    *,
    key: Secret,
    instance: str,
    ports: Iterable[int],
    log: logging.Logger,
    credentials: Mapping[str, Credentials] | None = None,
    sign_in: Callable[[Config], Mapping[str, Credentials]] | None = None,
    patience: Patience | None = None,
    folders: Folders | None = None,
    plugins: Plugins | None = None,
    recording: Recording | None = None,
) -> App:
    """Return a service that is not listening yet. ports: those it will listen on. Needs a running loop.

    sign_in: makes the credentials of this and of later configurations (`SignIns.lease`); credentials: made
    already, for a configuration that stays. folders: where the Routers of projects are. plugins: loaded for
    the configuration, closed with it. recording: keeps requests that have ended. Raises ValueError when a
    configured transformer cannot be built, ConfigError when a custom router cannot be loaded, and what
    ``sign_in`` raises.
    """
    live = Live(
        config,
        sign_in or (lambda _config: credentials or {}),
        log=log,
        patience=patience,
        folders=folders,
        plugins=plugins,
        keep=recording.put if recording is not None else None,
    )
    asked = key if config.auth == "key" else None
    guard = Guard(
        Hosts.of(config.host, ports), asked, {path: served.endpoint for path, served in ROUTES.items()}
    )
    watchdog = Watchdog(log)

    def about() -> dict[str, object]:
        return {
            "connections": len(server.connections),
            "loop_stalls": watchdog.stalls,
            "longest_stall_s": watchdog.longest_s,
            **({"usage": recording.report()} if recording is not None else {}),
        }

    front = Front(guard, live, key=key, instance=instance, log=log, about=about)
    server = Server(front.handle, log=log)
    return App(server, front, live, watchdog)


def credentials_from(
    config: Config, environ: Mapping[str, str], log: logging.Logger
) -> Mapping[str, Credentials]:
    """Return the credentials of every provider that has no key of its own; asks no network.

    Raises ConfigError with what was looked for, of all providers for which nothing was found.
    """
    return SignIns(environ, log).lease(config)


async def serve(
    config: Config,
    *,
    key: Secret,
    instance: str,
    sockets: list[socket.socket],
    log: logging.Logger,
    on_ready: Callable[[], None],
    environ: Mapping[str, str] | None = None,
    followed_s: float = FOLLOWED_S,
    source: Source | None = None,
    departure: Departure | None = None,
    folders: Folders | None = None,
    recording: Recording | None = None,
) -> None:
    """Serve on bound sockets until SIGTERM or SIGINT, or until another process follows.

    on_ready: called once requests are answered. environ: where identities are looked for, by default the
    process's. followed_s: how long running answers may take to end when another process follows (when
    stopped: ``stop_timeout_s`` of the configuration); a second signal ends them at once. source: what is
    watched for another configuration, also read on SIGHUP. departure: how another process follows this one.
    folders: where the Routers of projects are. recording: keeps requests that have ended; started and closed
    here. Raises ConfigError when there is no identity for a provider without key, and for what cannot be
    loaded.
    """
    ports = {sock.getsockname()[1] for sock in sockets}
    sign_ins = SignIns(os.environ if environ is None else environ, log)
    plugins = await (no_plugins if source is None else source.load_plugins)(config)
    try:
        app = make_app(
            config,
            key=key,
            instance=instance,
            ports=ports,
            log=log,
            sign_in=sign_ins.lease,
            folders=folders,
            plugins=plugins,
            recording=recording,
        )
    except BaseException:  # nobody else has the Node process yet to end it
        await plugins.close()
        raise
    runner = web.ServerRunner(app.server, shutdown_timeout=CUT_S)
    try:
        if recording is not None:
            recording.start()
        await runner.setup()
        async with app.watchdog.watching():
            await _run(app, runner, sockets, on_ready, followed_s, source, departure or Departure(), log)
    finally:
        await runner.cleanup()
        await app.close()
        if recording is not None:
            await recording.close()


async def _run(
    app: App,
    runner: web.ServerRunner,
    sockets: list[socket.socket],
    on_ready: Callable[[], None],
    followed_s: float,
    source: Source | None,
    departure: Departure,
    log: logging.Logger,
) -> None:
    """Accept connections until stopped or followed, then finish what is running."""
    asyncio.get_running_loop().set_exception_handler(app.server.throttle.loop_error)
    reloader = Reloader(app.live, source) if source is not None else None
    with _signals(reloader) as stop:
        sites = [web.SockSite(runner, sock, backlog=BACKLOG) for sock in sockets]
        for site in sites:
            await site.start()
        on_ready()
        async with _beside(app.upstream.sign_in(), *([reloader.run()] if reloader is not None else [])):
            await _first(stop, departure.asked)
        is_followed = not stop.is_set()
        log.info("stopping", extra={"fields": {"running": app.front.running_count, "followed": is_followed}})
        for site in sites:
            await site.stop()
        departure.is_deaf.set()
        stop.clear()
        stopped_s = app.live.current.config.stop_timeout_s
        drain_s, idle_s = (max(followed_s, stopped_s), IDLE_S) if is_followed else (stopped_s, 0)
        await drain(app.server, app.front, stop, drain_s, idle_s=idle_s)


async def _first(*events: asyncio.Event) -> None:
    """Wait until one of the events is set."""
    waiting = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()


@contextlib.asynccontextmanager
async def _beside(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run ``work`` while the service serves. What fails there has said so; it does not end the service."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.contextmanager
def _signals(reloader: Reloader | None) -> Iterator[asyncio.Event]:
    """Give an event that a signal to stop sets; the caller may clear it to see the next one."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    actions = dict.fromkeys((signal.SIGTERM, signal.SIGINT), stop.set)
    if reloader is not None:
        actions[signal.SIGHUP] = reloader.ask
    for number, action in actions.items():
        loop.add_signal_handler(number, action)
    try:
        yield stop
    finally:
        for number in actions:
            loop.remove_signal_handler(number)

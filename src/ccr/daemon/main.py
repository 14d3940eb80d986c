"""The serving process: configuration, lock, socket, server, and the record that says where it is.

`run` prepares and cleans up, `_Service` is what runs: its loop serves, tells the others where, and hands over
to a next process.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import sys
import time
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import ccr
from ccr.config.keys import local_key
from ccr.config.load import load_config
from ccr.config.masking import Mask
from ccr.config.paths import Paths
from ccr.config.private import clear_drafts
from ccr.daemon import lock
from ccr.daemon.handover import Handover, take_over
from ccr.daemon.listen import client_address, fits, listen
from ccr.daemon.log import adjust_log, open_log, secrets_of
from ccr.daemon.memory import give_back_freed_memory, keep_freed_memory, spare_the_collector
from ccr.daemon.process import start_time_of
from ccr.daemon.report import CANNOT_FOLLOW
from ccr.daemon.state import State, remove_state, write_state
from ccr.daemon.unit import VARIABLE
from ccr.errors import ConfigError, StartError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Coroutine, Mapping

    from ccr.config.model import Config, Secret
    from ccr.daemon.handover import Taken
    from ccr.daemon.report import Report

TOLD_IN_A_SENTENCE: Final = (ConfigError, StartError, OSError)
NO_CORE_BYTES: Final = 1
"""Not 0, which the kernel heeds for files alone: where a program collects crashes, it gets the image all the
same. At 1 neither happens (source: Linux, fs/coredump.c, the guard against a collector that crashes itself).
PR_SET_DUMPABLE would hide from ``ccr stop`` which process holds the lock."""


def run(
    environ: Mapping[str, str],
    report: Report,
    *,
    announce: Callable[[str], None] | None = None,
    follows: bool = False,
) -> int:
    """Serve until a signal ends it; return the exit code.

    report: told once how the start went. announce: called with the address when serving (foreground).
    follows: take lock and socket over from the serving process instead of being the first.
    """
    try:
        paths = Paths.from_environ(environ)
        _harden()
        keep_freed_memory()
        taken = take_over(paths) if follows else None
        if follows and taken is None:
            report.tell("alone")
            return 0
        descriptor = taken.lock if taken is not None else lock.acquire(paths)
        if descriptor is None:
            report.tell("taken")
            return 0
        held = lock.Held(descriptor)
        try:
            return _run_locked(paths, environ, report, announce, held, taken)
        finally:
            held.release()
            if taken is not None:
                taken.close()
    except TOLD_IN_A_SENTENCE as error:
        report.tell("failed", str(error))
        print(f"ccr: {error}", file=sys.stderr)
        return error.exit_code if isinstance(error, StartError) else 1


def _run_locked(
    paths: Paths,
    environ: Mapping[str, str],
    report: Report,
    announce: Callable[[str], None] | None,
    held: lock.Held,
    taken: Taken | None,
) -> int:
    config = _loaded(paths, environ)
    key = local_key(paths, config)
    if taken is None:
        remove_state(paths)  # of a process that is gone: the lock is ours
        clear_drafts(paths.home)
    secrets = secrets_of(config, key, environ)
    log = open_log(paths, config, secrets)
    with contextlib.closing(_listening(config, taken)) as listening:
        service = _Service(paths, environ, config, key, log, listening, held, taken, report, announce)
        try:
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                runner.run(service.serve())
        except Exception as error:
            log.critical("the service ended with an error", extra={"fields": {"error": repr(error)}})
            if isinstance(error, TOLD_IN_A_SENTENCE):
                raise
            # stderr is the start log, whose last words `ccr start` shows
            print(Mask(secrets)("".join(traceback.format_exception(error))), file=sys.stderr)
            return 1
        finally:
            remove_state(paths, service.instance)
    log.info("stopped")
    logging.shutdown()
    return 0


def _loaded(paths: Paths, environ: Mapping[str, str]) -> Config:
    from ccr.transformers.registry import build  # imported late: a second process leaves before it needs this
    from ccr.upstream.discovered import read_discovered, with_discovered

    return with_discovered(load_config(paths, environ, check_step=build), read_discovered(paths))


def _listening(config: Config, taken: Taken | None) -> socket.socket:
    if taken is None:
        return listen(config.host, config.port)
    listening, *others = taken.sockets
    if others or not fits(listening, config.host, config.port):
        raise StartError(CANNOT_FOLLOW)
    return listening


@dataclass
class _Service:
    """One serving process; ``instance`` is its random name."""

    paths: Paths
    environ: Mapping[str, str]
    config: Config
    key: Secret
    log: logging.Logger
    listening: socket.socket
    held: lock.Held
    taken: Taken | None
    report: Report
    announce: Callable[[str], None] | None

    def __post_init__(self) -> None:
        self.instance = os.urandom(16).hex()
        self.address = client_address(self.listening)
        self._tasks: list[asyncio.Task[None]] = []
        self._current = self.config
        self._secrets = frozenset(secrets_of(self.config, self.key, self.environ))
        self._mask = Mask(self._secrets)

    async def serve(self) -> None:
        """Serve until stopped or followed."""
        from ccr.gateway.projects import Folders
        from ccr.plugins.hosting import plugin_loader
        from ccr.server.app import serve  # imported late: the HTTP server is half of the start-up time
        from ccr.server.departure import Departure
        from ccr.server.reload import Source
        from ccr.server.routes import is_built_in
        from ccr.store.recording import Recording, Retention
        from ccr.upstream.discovered import models_file

        departure = Departure()
        folders = Folders.from_environ(self.paths.home, self.environ)
        recording = Recording(
            self.paths.usage_file,
            log=self.log,
            retention=lambda: Retention(self._current.usage.days, self._current.usage.max_bytes),
            masked=self._masked,
            client_projects=folders.client_projects,
        )
        handover = Handover(
            self.paths, [self.listening], self.held, departure, log=self.log, record=self._record
        )

        def on_ready() -> None:
            self._record()
            self._begin(self._said(handover))
            self._begin(give_back_freed_memory())

        try:
            await serve(
                self.config,
                key=self.key,
                instance=self.instance,
                sockets=[self.listening],
                log=self.log,
                on_ready=on_ready,
                environ=self.environ,
                source=Source(
                    self.paths.config_file,
                    lambda: _loaded(self.paths, self.environ),
                    self._adopted,
                    beside=(models_file(self.paths),),
                    load_plugins=plugin_loader(
                        self.paths.home,
                        self.environ,
                        secrets=lambda config: secrets_of(config, self.key, self.environ),
                        log=self.log,
                        is_built_in=is_built_in,
                    ),
                ),
                departure=departure,
                folders=folders,
                recording=recording,
            )
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _said(self, handover: Handover) -> None:
        """Let everybody know that this process serves, then wait for a next one."""
        if self.taken is not None:
            await self.taken.finish()
        spare_the_collector()
        fields = {"address": self.address, "instance": self.instance, "followed_another": bool(self.taken)}
        self.log.info("serving", extra={"fields": fields})
        for sentence in self.config.warnings:
            self.log.warning(sentence)
        for sentence in self.config.notes:
            self.log.info(sentence)
        self.report.tell("ready")
        if self.announce is not None:
            self.announce(self.address)
        await handover.run()

    def _adopted(self, config: Config) -> None:
        secrets = secrets_of(config, self.key, self.environ)
        adjust_log(self.paths, config, secrets)
        self._current = config
        self._secrets |= frozenset(secrets)
        self._mask = Mask(self._secrets)

    def _masked(self, text: str) -> str:
        """Return a text without the secrets of all configurations so far."""
        return self._mask(text)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(work))

    def _record(self) -> None:
        pid = os.getpid()
        state = State(
            pid=pid,
            start_time=start_time_of(pid),
            instance=self.instance,
            address=self.address,
            started_at=time.time(),
            version=ccr.__version__,
            supervisor=self.environ.get(VARIABLE) or None,
        )
        write_state(self.paths, state)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's factory where it is installed; the standard loop serves as well, only slower."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _harden() -> None:
    """Files of this process are its owner's alone, and a crash leaves no image of the keys in memory.

    It also takes as many file descriptors as it may have: each request needs two.
    """
    os.umask(0o077)
    with contextlib.suppress(ValueError, OSError):
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with contextlib.suppress(ValueError, OSError):  # a system that forbids to lower the limit
        resource.setrlimit(resource.RLIMIT_CORE, (NO_CORE_BYTES, NO_CORE_BYTES))

"""The serving process: configuration, lock, socket, server, and the record that says where it is.

Three readable parts: `run` prepares and cleans up, `_serve` runs the loop, `_record` tells the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import sys
import time
from typing import TYPE_CHECKING, Any

import ccr
from ccr.config.keys import local_key
from ccr.config.load import load_config
from ccr.config.paths import Paths
from ccr.daemon import lock
from ccr.daemon.listen import client_address, listen
from ccr.daemon.log import open_log, secrets_of
from ccr.daemon.memory import keep_freed_memory, spare_the_collector
from ccr.daemon.process import start_time_of
from ccr.daemon.state import State, remove_state, write_state
from ccr.errors import ConfigError, StartError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ccr.config.model import Config
    from ccr.daemon.report import Report


def run(environ: Mapping[str, str], report: Report, *, announce: Callable[[str], None] | None = None) -> int:
    """Serve until a signal ends it; return the exit code.

    report: told once how the start went. announce: called with the address when serving (foreground).
    """
    try:
        paths = Paths.from_environ(environ)
        _harden()
        keep_freed_memory()
        held = lock.acquire(paths)
        if held is None:
            report.tell("taken")
            return 0
        try:
            return _run_locked(paths, environ, report, announce)
        finally:
            os.close(held)
    except (ConfigError, StartError, OSError) as error:
        report.tell("failed", str(error))
        print(f"ccr: {error}", file=sys.stderr)
        return error.exit_code if isinstance(error, StartError) else 1


def _run_locked(
    paths: Paths, environ: Mapping[str, str], report: Report, announce: Callable[[str], None] | None
) -> int:
    from ccr.transformers.registry import build  # imported late: a second process leaves before it needs this

    config = load_config(paths, environ, check_step=build)
    key = local_key(paths, config)
    remove_state(paths)  # of a process that is gone: the lock is ours
    instance = os.urandom(16).hex()
    log = open_log(paths, config, secrets_of(config, key, environ))
    with contextlib.closing(listen(config.host, config.port)) as listening:
        address = client_address(listening)

        def on_ready() -> None:
            _record(paths, instance, address)
            spare_the_collector()
            log.info("serving", extra={"fields": {"address": address, "instance": instance}})
            for sentence in config.warnings:
                log.warning(sentence)
            for sentence in config.notes:
                log.info(sentence)
            report.tell("ready")
            if announce is not None:
                announce(address)

        try:
            _serve(
                config,
                key=key,
                instance=instance,
                sockets=[listening],
                log=log,
                on_ready=on_ready,
                environ=environ,
            )
        except Exception as error:
            log.critical("the service ended with an error", extra={"fields": {"error": repr(error)}})
            raise  # the traceback goes to stderr, that is the start log
        finally:
            remove_state(paths, instance)
    log.info("stopped")
    logging.shutdown()
    return 0


def _serve(config: Config, **arguments: Any) -> None:
    from ccr.server.app import serve  # imported late: the HTTP server is half of the start-up time

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(serve(config, **arguments))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's factory where it is installed; the standard loop serves as well, only slower."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _record(paths: Paths, instance: str, address: str) -> None:
    pid = os.getpid()
    state = State(
        pid=pid,
        start_time=start_time_of(pid),
        instance=instance,
        address=address,
        started_at=time.time(),
        version=ccr.__version__,
    )
    write_state(paths, state)


def _harden() -> None:
    """Files of this process are its owner's alone, and a crash leaves no image of the keys in memory."""
    os.umask(0o077)
    with contextlib.suppress(ValueError, OSError):  # a system that forbids to lower the limit
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

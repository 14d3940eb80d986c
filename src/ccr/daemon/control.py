"""start, stop, restart: what the commands do to the serving process. Nothing here prints, nothing serves.

A process is signalled only after `find_service` proved that it is ours, and through a descriptor of that
process where the system has them, so that a reused pid cannot be hit in between.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ccr.config.keys import local_key, stored_key
from ccr.config.load import load_config
from ccr.config.model import Config
from ccr.daemon.identity import Found, find_service
from ccr.daemon.process import is_alive
from ccr.daemon.report import CANNOT_FOLLOW
from ccr.daemon.state import ADDRESS, read_state, remove_state
from ccr.daemon.unit import restart_command
from ccr.errors import ConfigError, StartError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ccr.config.model import Secret
    from ccr.config.paths import Paths
    from ccr.daemon.state import State

START_WAIT_S = 15.0
MARGIN_S = 10.0
"""How much longer than the running answers the process may take to end."""
SECOND_SIGNAL_S = 0.2
KILL_S = 3.0
POLL_S = 0.02


@dataclass(frozen=True)
class Started:
    """A service that is proven to serve; ``is_new`` when this call started it."""

    state: State
    is_new: bool


def start(
    paths: Paths, environ: Mapping[str, str], config: Config, *, wait_s: float = START_WAIT_S
) -> Started:
    """Return the running service, started in the background when none runs.

    config: for its key; the file is checked as a whole before a process is started.
    Raises StartError, ConfigError.
    """
    key = local_key(paths, config)
    deadline = time.monotonic() + wait_s
    is_new = False
    while True:
        found = find_service(paths, key)
        if found.condition == "running" and found.state is not None:
            return Started(found.state, is_new)
        if found.condition == "other_key" and found.state is not None:
            raise StartError(
                f"ccr is running (process {found.state.pid}) with another key than the configuration has "
                "now: run `ccr restart`."
            )
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise StartError(_unhealthy(found, paths, wait_s))
        if found.condition == "stopped":
            is_new = _spawned(paths, environ, remaining)
        else:
            time.sleep(POLL_S)


def _unhealthy(found: Found, paths: Paths, wait_s: float) -> str:
    if found.state is not None:
        return (
            f"Process {found.state.pid} does not answer: it finishes requests after a stop, or hangs. "
            "Try again in a moment, or end it with `ccr stop --now`."
        )
    return f"ccr did not become healthy within {wait_s:g} s; see {paths.start_log}."


def _spawned(paths: Paths, environ: Mapping[str, str], wait_s: float) -> bool:
    """Start a process; True when it serves, False when another one was first."""
    from ccr.daemon.spawn import spawn  # these two are imported late: only a start needs them
    from ccr.transformers.registry import build

    load_config(paths, environ, check_step=build)
    outcome = spawn(paths, environ, wait_s)
    if outcome.word == "failed":
        raise StartError(outcome.sentence)
    if outcome.word in ("died", "late"):
        what = "ended while starting" if outcome.word == "died" else f"was not ready within {wait_s:.1f} s"
        raise StartError(f"The service {what}. The end of {paths.start_log}:\n{outcome.sentence}")
    return outcome.word == "ready"


@dataclass(frozen=True)
class Restarted:
    """A service that serves, started anew. previous: what it took the place of, None when none ran.

    is_followed: the socket was handed over; the previous process may still be finishing its requests.
    """

    state: State
    previous: State | None
    is_followed: bool = False


def restart(
    paths: Paths,
    environ: Mapping[str, str],
    config: Config,
    *,
    now: bool = False,
    wait_s: float = START_WAIT_S,
    on_signal: Callable[[State], None] | None = None,
) -> Restarted:
    """Have a new process take the place of the serving one, without losing a request where that is possible.

    Not possible with another HOST or PORT, nor where the process does not answer: that one is stopped first.
    One that systemd or launchd has started is restarted by them, they would lose sight of another process.
    now: cut what is running. Raises StartError; then the process that served goes on where it could.
    """
    key = local_key(paths, config)
    previous = _identified(paths, key).state
    if previous is not None and previous.supervisor is not None:
        _restart_by(previous.supervisor)
        return Restarted(_served(paths, key, wait_s), previous)
    if previous is not None and _stays_at(previous, config):
        with _process(previous.pid) as process:
            if find_service(paths, key).state == previous and _is_followed(paths, environ, wait_s):
                if now:
                    process.signal()
                state = read_state(paths)
                if state is None:
                    raise StartError("The new process has gone again; `ccr start` starts another one.")
                return Restarted(state, previous, is_followed=True)
    wait_for_end_s = end_wait_s(paths, environ)
    stop(paths, known_key(paths, environ) or key, now=now, wait_s=wait_for_end_s, on_signal=on_signal)
    return Restarted(start(paths, environ, config, wait_s=wait_s).state, previous)


def _restart_by(supervisor: str) -> None:
    import subprocess  # imported late: only this needs it

    command = restart_command(supervisor, os.getuid())
    try:
        done = subprocess.run(command, check=False)  # noqa: S603 - one of two fixed command lines
    except OSError as error:
        raise StartError(
            f"{supervisor} runs ccr, but {command[0]} cannot be run: {error.strerror}."
        ) from error
    if done.returncode:
        raise StartError(f"`{' '.join(command)}` failed (exit code {done.returncode}).")


def _served(paths: Paths, key: Secret, wait_s: float) -> State:
    """Wait for a service that somebody else has started."""
    deadline = time.monotonic() + wait_s
    while True:
        found = find_service(paths, key)
        if found.condition == "running" and found.state is not None:
            return found.state
        if time.monotonic() > deadline:
            raise StartError(_unhealthy(found, paths, wait_s))
        time.sleep(POLL_S)


def _stays_at(previous: State, config: Config) -> bool:
    match = ADDRESS.fullmatch(previous.address)
    return match is not None and config.port in (0, int(match["port"]))


def _is_followed(paths: Paths, environ: Mapping[str, str], wait_s: float) -> bool:
    """Start a process that takes over; False when the serving one does not hand over."""
    from ccr.daemon.spawn import spawn  # imported late, as above

    outcome = spawn(paths, environ, wait_s, follows=True)
    if outcome.word == "failed" and CANNOT_FOLLOW not in outcome.sentence:
        raise StartError(f"{outcome.sentence}\nThe running service goes on.")
    if outcome.word in ("died", "late"):
        raise StartError(
            f"The new process did not start, the running service goes on. The end of {paths.start_log}:\n"
            f"{outcome.sentence}"
        )
    return outcome.word == "ready"


def known_key(paths: Paths, environ: Mapping[str, str]) -> Secret | None:
    """Return the key for commands that must work with a broken configuration; None when there is none."""
    try:
        config = load_config(paths, environ)
    except (ConfigError, StartError):
        config = None
    if config is not None and config.api_key is not None:
        return config.api_key
    with contextlib.suppress(OSError, StartError):
        return stored_key(paths)
    return None


def end_wait_s(paths: Paths, environ: Mapping[str, str]) -> float:
    """Return how long to wait for the end of the service, for commands that work with any configuration."""
    try:
        return load_config(paths, environ).stop_timeout_s + MARGIN_S
    except (ConfigError, StartError):
        return Config.stop_timeout_s + MARGIN_S


def stop(
    paths: Paths,
    key: Secret | None,
    *,
    now: bool = False,
    wait_s: float = Config.stop_timeout_s + MARGIN_S,
    on_signal: Callable[[State], None] | None = None,
) -> State | None:
    """End the service and wait until it is gone; return what was ended, None when none ran.

    now: cut open streams by a second signal, and end what does not react to that.
    on_signal: called once the first signal is out.
    Raises StartError when it cannot be identified or does not end.
    """
    state = _identified(paths, key).state
    if state is None:
        remove_state(paths)  # a stale record, proven to be nobody's
        return None
    with _process(state.pid) as process:
        if find_service(paths, key).state != state:
            return None  # it ended meanwhile; the pid may be somebody else's by now
        process.signal()
        if on_signal is not None:
            on_signal(state)
        if now and not process.ends_within(SECOND_SIGNAL_S):
            process.signal()
            if not process.ends_within(KILL_S):
                process.signal(signal.SIGKILL)
        if not process.ends_within(wait_s):
            raise StartError(
                f"Process {state.pid} is still finishing requests, or hangs; `ccr stop --now` ends it."
            )
    remove_state(paths, state.instance)
    return state


def ask_to_reload(paths: Paths, key: Secret | None) -> bool:
    """Have the running service read its configuration now; False when none runs. Raises OSError."""
    state = find_service(paths, key).state
    if state is None:
        return False
    with _process(state.pid) as process:
        found = find_service(paths, key)
        if found.condition != "running" or found.state != state:
            return False  # the pid may be somebody else's by now
        process.signal(signal.SIGHUP)
    return True


def _identified(paths: Paths, key: Secret | None) -> Found:
    """Find the service, or raise StartError when there is one that cannot be identified."""
    found = _settled(paths, key)
    if found.condition == "unknown":
        raise StartError(
            f"A process holds {paths.lock_file} but cannot be identified, so it was not signalled. "
            f"If it hangs, find it with: fuser {paths.lock_file}"
        )
    return found


def _settled(paths: Paths, key: Secret | None, patience_s: float = 5.0) -> Found:
    """Find the service; one that just starts is given the time to say who it is."""
    deadline = time.monotonic() + patience_s
    while True:
        found = find_service(paths, key)
        if found.condition != "unknown" or time.monotonic() > deadline:
            return found
        time.sleep(POLL_S)


class _Process:
    """A process held on to: by a descriptor where the system has such, else by its pid."""

    def __init__(self, pid: int, descriptor: int | None) -> None:
        self._pid = pid
        self._descriptor = descriptor

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Signal the process; one that is gone needs no signal."""
        with contextlib.suppress(ProcessLookupError):
            if self._descriptor is not None:
                signal.pidfd_send_signal(self._descriptor, number)
            else:
                os.kill(self._pid, number)

    def ends_within(self, wait_s: float) -> bool:
        """Wait for the end of the process; False when it lives on."""
        if self._descriptor is not None:
            return bool(select.select([self._descriptor], [], [], wait_s)[0])
        deadline = time.monotonic() + wait_s
        while is_alive(self._pid):
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_S)
        return True


@contextlib.contextmanager
def _process(pid: int) -> Iterator[_Process]:
    descriptor = None
    with contextlib.suppress(OSError, AttributeError):  # not on this system, or gone already
        descriptor = os.pidfd_open(pid)
    try:
        yield _Process(pid, descriptor)
    finally:
        if descriptor is not None:
            os.close(descriptor)

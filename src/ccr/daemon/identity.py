"""Which process serves this installation, proven.

Two proofs count. The health proof: what listens at the recorded address has our key and is the recorded
instance. The lock: the recorded process (pid and start time) has our lock file open while it is locked; this
also holds for a process that does not answer now. A record without either proof is never acted on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ccr.daemon import lock
from ccr.daemon.health import ask_health
from ccr.daemon.process import has_open, start_time_of
from ccr.daemon.state import read_state

if TYPE_CHECKING:
    from ccr.config.model import Secret
    from ccr.config.paths import Paths
    from ccr.daemon.state import State

Condition = Literal["running", "other_key", "unresponsive", "unknown", "stopped"]


@dataclass(frozen=True)
class Found:
    """The service as found.

    running: proven by health. other_key: ours by the lock, but it answers with another key (APIKEY changed).
    unresponsive: ours by the lock, and silent (starting, draining, hanging). unknown: somebody holds the
    lock and has not said who (starting). stopped: nobody holds the lock and nothing is proven.
    state: the record, only where it is proven (the first three).
    """

    condition: Condition
    state: State | None = None


def find_service(paths: Paths, key: Secret | None) -> Found:
    """Look for the serving process. key: None when it cannot be known. Raises OSError."""
    state = read_state(paths)
    if state is None:
        return Found("unknown" if lock.is_held(paths) else "stopped")
    verdict = "silent"
    if key is not None:
        health = ask_health(state.address, key)
        verdict = health.verdict
        if verdict == "ours" and health.instance == state.instance and _is_same_process(state):
            return Found("running", state)
    if not lock.is_held(paths):
        return Found("stopped")
    if not _owns_lock(paths, state):
        return Found("unknown")
    return Found("unresponsive" if verdict == "silent" else "other_key", state)


def _is_same_process(state: State) -> bool:
    return state.start_time is None or start_time_of(state.pid) == state.start_time


def _owns_lock(paths: Paths, state: State) -> bool:
    is_same = state.start_time is not None and start_time_of(state.pid) == state.start_time
    return is_same and has_open(state.pid, paths.lock_file) is True

"""``service.json``: what the serving process tells the commands about itself. A hint, never a proof.

Anybody may have written it, and its process may be gone: whoever acts on it proves the process first
(`ccr.daemon.identity`). Anything that is not exactly such a record counts as no record.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ccr.config.private import read_private, write_private

if TYPE_CHECKING:
    from ccr.config.paths import Paths

ADDRESS = re.compile(r"http://(?P<host>\[[0-9a-f:.]+\]|[a-z0-9_.-]+):(?P<port>[0-9]{1,5})", re.IGNORECASE)
LARGEST_PID = 1 << 22


@dataclass(frozen=True, kw_only=True)
class State:
    """One serving process.

    start_time: of the process, in clock ticks since boot; None where the system does not tell.
    instance: random, made anew at every start. address: ``http://host:port``. started_at: seconds since 1970.
    supervisor: systemd or launchd when one of them has started it.
    """

    pid: int
    start_time: int | None
    instance: str
    address: str
    started_at: float
    version: str
    supervisor: str | None = None


def write_state(paths: Paths, state: State) -> None:
    """Replace the record. Raises OSError."""
    write_private(paths.state_file, json.dumps(asdict(state)).encode() + b"\n")


def read_state(paths: Paths) -> State | None:
    """Return the record; None when there is none, or anything else in its place."""
    try:
        values = json.loads(read_private(paths.state_file))
    except (OSError, ValueError, RecursionError):
        return None
    return state_from(values)


def state_from(values: Any) -> State | None:
    """Return a record for well-formed values, else None."""
    if not isinstance(values, dict):
        return None
    kinds: dict[str, type | tuple[type, ...]] = {
        "pid": int,
        "start_time": (int, type(None)),
        "instance": str,
        "address": str,
        "started_at": (int, float),
        "version": str,
        "supervisor": (str, type(None)),
    }
    fields = {name: values.get(name) for name in kinds}
    if any(not isinstance(fields[name], kind) or fields[name] is True for name, kind in kinds.items()):
        return None
    state = State(**fields)  # type: ignore[arg-type]  # each field's type was checked above
    is_sane = 1 < state.pid <= LARGEST_PID and ADDRESS.fullmatch(state.address) and state.instance
    return state if is_sane else None


def remove_state(paths: Paths, instance: str | None = None) -> None:
    """Remove the record; with ``instance`` only if it is that one's."""
    if instance is not None:
        state = read_state(paths)
        if state is None or state.instance != instance:
            return
    paths.state_file.unlink(missing_ok=True)

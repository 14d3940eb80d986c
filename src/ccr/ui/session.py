"""Who has the pages: the key of one run, and the code that the browser is opened with.

The address that is printed holds the key itself, in its fragment, which no browser sends anywhere. The one
that is opened by a program stands among that program's arguments, which every user of the machine can read:
it holds a code that gives the key once, soon, and (where the system tells) to a process of this user alone.
"""

from __future__ import annotations

import hmac
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ccr.config.model import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

CODE_LIFE_S: Final = 120.0
"""A browser that is not running yet needs a while."""
TABLES: Final = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
UID, INODE = 7, 9
"""Columns of the kernel's table of connections (source: proc(5), /proc/net/tcp)."""
NO_PROCESS: Final = "0"
"""The inode of a connection that no process holds any more; its owner is not told."""


class Session:
    """The key of one run of ``ccr ui``. clock: monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.key = Secret(secrets.token_urlsafe(32))
        self._code = Secret(secrets.token_urlsafe(32))
        self._clock = clock
        self._ends_at: float | None = None

    def printed_address(self, port: int) -> str:
        """Return the address for the person; whoever has it has the pages until the run ends."""
        return f"http://127.0.0.1:{port}/#key={self.key.reveal()}"

    def opened_address(self, port: int) -> str:
        """Return the address for a program's arguments; its time begins now."""
        self._ends_at = self._clock() + CODE_LIFE_S
        return f"http://127.0.0.1:{port}/#once={self._code.reveal()}"

    def exchanged(self, code: str) -> Secret | None:
        """Return the key for the code, once and in time; None for anything else."""
        is_in_time = self._ends_at is not None and self._clock() <= self._ends_at
        if not is_in_time or not hmac.compare_digest(code.encode(), self._code.reveal().encode()):
            return None
        self._ends_at = None
        return self.key


def is_of_user(peer_port: int, port: int, uid: int, tables: Iterable[Path] = TABLES) -> bool:
    """Tell whether a connection from this machine belongs to a user, or to root. True where no table is.

    peer_port: the asking side's. port: ours. Raises nothing: a connection that is not found is nobody's.
    """
    texts = [path.read_text("ascii", "replace") for path in tables if path.is_file()]
    return not texts or owner_of("\n".join(texts), peer_port, port) in (uid, 0)


def owner_of(table: str, peer_port: int, port: int) -> int | None:
    """Return the user of the connection ``peer_port`` -> ``port`` on 127.0.0.1, None when it is not there."""
    ends = (f"0100007F:{peer_port:04X}", f"0100007F:{port:04X}")
    for line in table.splitlines():
        columns = line.split()
        if (
            len(columns) > INODE
            and all(map(str.endswith, columns[1:3], ends))
            and columns[INODE] != NO_PROCESS
        ):
            return int(columns[UID])
    return None

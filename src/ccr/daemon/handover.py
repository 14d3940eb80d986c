"""``ccr restart`` without losing a request: the serving process hands lock and listening socket to the next.

    next process                               serving process
    connects to .handover, `hello 1`    ->
                                        <-     one JSON line, and with it: lock, listening sockets
    starts up, serves, records itself
    `ready`                             ->     accepts no more, lets go of the lock
                                        <-     `deaf`; then it finishes what is running, and ends

Both have the same socket in between, so a connection is taken by one of them or waits for the next. When the
next one ends before `ready`, the serving one has lost nothing and goes on. `.handover` lies in the private
home folder; who connects to it must be the same user.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import struct
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from ccr.config.paths import Paths
    from ccr.daemon.lock import Held
    from ccr.server.departure import Departure

HELLO: Final = b"hello 1\n"
READY: Final = b"ready\n"
DEAF: Final = b"deaf\n"
LONGEST_PATH: Final = 100
"""Bytes of a Unix socket's path: 107 on Linux, 103 on macOS."""
MAX_SOCKETS: Final = 8
ANSWER_S: Final = 5.0
START_S: Final = 60.0
"""How long the next process may take to serve."""


@dataclass
class Taken:
    """What the next process got. lock, sockets: descriptors of its own now."""

    connection: socket.socket
    lock: int
    sockets: list[socket.socket]

    async def finish(self) -> bool:
        """Tell the other one that this process serves; True when it has stopped accepting."""
        loop = asyncio.get_running_loop()
        self.connection.setblocking(False)
        with contextlib.closing(self.connection), contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(ANSWER_S):
                await loop.sock_sendall(self.connection, READY)
                return await loop.sock_recv(self.connection, len(DEAF)) == DEAF
        return False

    def close(self) -> None:
        """Give everything back; the serving process goes on."""
        self.connection.close()
        for each in self.sockets:
            each.close()


def take_over(paths: Paths) -> Taken | None:
    """Ask the serving process for its lock and sockets; None when there is none that hands them over."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(ANSWER_S)
        with _short_path(paths.home, paths.handover_file.name) as path:
            connection.connect(path)
        if not _is_same_user(connection):
            raise OSError("another user's process")
        connection.sendall(HELLO)
        data, descriptors, _, _ = socket.recv_fds(connection, 4096, 1 + MAX_SOCKETS)
    except OSError:
        connection.close()
        return None
    for each in descriptors:
        os.set_inheritable(each, False)
    if not data or len(descriptors) < 2:
        connection.close()
        for each in descriptors:
            os.close(each)
        return None
    lock, *listening = descriptors
    return Taken(connection, lock, [socket.socket(fileno=each) for each in listening])


class Handover:
    """The serving side.

    record: writes who serves, again after a next process that failed. Use `run` while serving.
    """

    def __init__(
        self,
        paths: Paths,
        sockets: Sequence[socket.socket],
        held: Held,
        departure: Departure,
        *,
        log: logging.Logger,
        record: Callable[[], None],
    ) -> None:
        self._paths = paths
        self._sockets = sockets
        self._held = held
        self._departure = departure
        self._log = log
        self._record = record
        self._inode: int | None = None

    async def run(self) -> None:
        """Wait for a next process and hand over to it; returns when one has taken over."""
        try:
            listening = self._bound()
        except OSError as error:
            fields = {"error": str(error)}
            self._log.warning("`ccr restart` will have to stop the service first", extra={"fields": fields})
            return
        loop = asyncio.get_running_loop()
        try:
            while not self._held.is_released:
                connection, _ = await loop.sock_accept(listening)
                with contextlib.closing(connection):
                    await self._serve(connection)
        finally:
            listening.close()
            self._unlink()

    async def _serve(self, connection: socket.socket) -> None:
        is_ready = False
        try:
            is_ready = await self._offered(connection)
        except (OSError, TimeoutError) as error:
            self._log.warning("a handover broke off", extra={"fields": {"error": type(error).__name__}})
        if not is_ready:
            with contextlib.suppress(OSError):  # the next process may have put itself in the record
                self._record()
            return
        self._departure.begin()
        await self._departure.is_deaf.wait()
        self._held.release()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(ANSWER_S):
                await asyncio.get_running_loop().sock_sendall(connection, DEAF)

    async def _offered(self, connection: socket.socket) -> bool:
        """Hand lock and sockets to a next process; True once it serves."""
        loop = asyncio.get_running_loop()
        connection.setblocking(False)
        if not _is_same_user(connection):
            return False
        async with asyncio.timeout(ANSWER_S):
            if await loop.sock_recv(connection, len(HELLO)) != HELLO:
                return False
        descriptors = [self._held.descriptor, *(each.fileno() for each in self._sockets)]
        socket.send_fds(connection, [json.dumps({"sockets": len(self._sockets)}).encode()], descriptors)
        async with asyncio.timeout(START_S):
            return await loop.sock_recv(connection, len(READY)) == READY

    def _bound(self) -> socket.socket:
        name = self._paths.handover_file.name
        draft = f"{name}.{os.getpid()}"
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with _short_path(self._paths.home, draft) as path:
                listening.bind(path)
            made = self._paths.home / draft
            made.chmod(0o600)
            self._inode = made.stat().st_ino
            made.replace(self._paths.handover_file)
            listening.listen(1)
            listening.setblocking(False)
        except OSError:
            listening.close()
            raise
        return listening

    def _unlink(self) -> None:
        """Remove the socket's file unless it is the next process's by now."""
        with contextlib.suppress(OSError):
            if self._paths.handover_file.lstat().st_ino == self._inode:
                self._paths.handover_file.unlink()


@contextlib.contextmanager
def _short_path(folder: Path, name: str) -> Iterator[str]:
    """Give a path of a file that fits a Unix socket's address. Raises OSError where there is none."""
    whole = str(folder / name)
    if len(os.fsencode(whole)) <= LONGEST_PATH:
        yield whole
        return
    if not sys.platform.startswith("linux"):
        raise OSError("the path of the home folder is too long for a socket")
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)


def _is_same_user(connection: socket.socket) -> bool:
    """Tell whether the other side is this user's; where that cannot be asked the folder's mode decides."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return True
    _, uid, _ = struct.unpack("iII", connection.getsockopt(socket.SOL_SOCKET, option, struct.calcsize("iII")))
    return bool(uid == os.geteuid())

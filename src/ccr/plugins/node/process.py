"""The Node child as something that is there when it is needed: found, started, started again, closed."""

from __future__ import annotations

import asyncio
import math
import os
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ccr.config.private import make_private_folder
from ccr.plugins.errors import PluginError
from ccr.plugins.node.child import Child, ChildError
from ccr.plugins.node.restarts import Restarts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from ccr.plugins.log import PluginLog

PATH_BYTES: Final = 100
"""What fits into a socket's address on every system (104 bytes on macOS, with its end)."""
PATIENCE_S: Final = 1.0
MISSING: Final = (
    "it is JavaScript and needs Node.js, but {what}; install Node.js 18 or newer (the package nodejs of your "
    "system), or set NODE_COMMAND in config.json to the path of the program node"
)


class NodeProcess:
    """``running`` gives a child that lives; prepare: what a new one must be told first."""

    def __init__(
        self,
        *,
        command: str | None,
        socket_dir: Path,
        log: PluginLog,
        environ: Mapping[str, str],
        deadline_s: float,
        hang_s: float,
        clock: Callable[[], float],
        prepare: Callable[[Child], Awaitable[None]],
    ) -> None:
        self._command = command
        self._socket_dir = socket_dir
        self._log = log
        self._environ = environ
        self._deadline_s = deadline_s
        self._hang_s = hang_s
        self._clock = clock
        self._prepare = prepare
        self._lock = asyncio.Lock()
        self._restarts = Restarts()
        self._is_closed = False
        self._own_folder: Path | None = None
        self.child: Child | None = None

    async def running(self, plugin: str) -> Child:
        """Return the child, started again when it has ended. Raises PluginError for ``plugin``."""
        async with self._lock:
            if self._is_closed:
                raise PluginError(plugin, "the plugins are being closed", should_retry=True)
            if self.child is not None and self.child.ended.is_set():
                await self._ended(self.child)
            if self.child is None:
                await self._rest(plugin)
                self.child = await self._started(plugin)
            return self.child

    async def close(self) -> None:
        """End the child and take its socket away."""
        async with self._lock:
            self._is_closed = True
            if self.child is not None:
                await self.child.close()
                self.child = None
            if self._own_folder is not None:
                shutil.rmtree(self._own_folder, ignore_errors=True)

    async def _ended(self, child: Child) -> None:
        self._restarts.ended(child.ended_s)
        self.child = None
        self._log.step("plugins").write("error", f"the Node process {child.reason}")
        await child.close()

    async def _rest(self, plugin: str) -> None:
        """Wait when it may soon be started. Raises PluginError when it ended too often just now."""
        wait_s = self._restarts.wait_s(self._clock())
        if wait_s > PATIENCE_S:
            raise PluginError(
                plugin,
                "the Node process of the plugins ended again and again; it is started anew in "
                f"{wait_s:.0f} s (plugin.log tells why)",
                should_retry=True,
                retry_after_s=math.ceil(wait_s),
            )
        if wait_s:
            await asyncio.sleep(wait_s)

    async def _started(self, plugin: str) -> Child:
        command = self._found(plugin)
        self._restarts.started(self._clock())
        try:
            child = await Child.start(
                *(command, self._socket(), self._log, self._environ),
                deadline_s=self._deadline_s,
                hang_s=self._hang_s,
                clock=self._clock,
            )
        except (ChildError, OSError) as error:
            self._restarts.ended(self._clock())
            reason = f"the Node process of the plugins cannot be started: {error}"
            raise PluginError(plugin, reason) from error
        try:
            await self._prepare(child)
        except BaseException:
            self._restarts.ended(self._clock())
            await child.close()
            raise
        return child

    def _found(self, plugin: str) -> str:
        """Return the program. Raises PluginError when there is none."""
        wanted = self._command or "node"
        command = shutil.which(wanted, path=self._environ.get("PATH", os.defpath))
        if command is None:
            what = f"NODE_COMMAND {wanted!r} is no program" if self._command else "no `node` is on PATH"
            raise PluginError(plugin, MISSING.format(what=what), should_retry=False)
        return command

    def _socket(self) -> Path:
        """Return a new path that nobody else can reach."""
        name = f"plugins-{os.getpid()}-{secrets.token_hex(4)}.sock"
        make_private_folder(self._socket_dir)
        _remove_sockets_of_the_dead(self._socket_dir)
        path = self._socket_dir / name
        if len(os.fsencode(path)) <= PATH_BYTES:
            return path
        if self._own_folder is None:
            self._own_folder = Path(tempfile.mkdtemp(prefix="ccr-"))
        return self._own_folder / name


def _remove_sockets_of_the_dead(folder: Path) -> None:
    """Remove what processes left behind that were killed."""
    for socket in folder.glob("plugins-*-*.sock"):
        owner = socket.name.split("-")[1]
        if owner.isdecimal():
            try:
                os.kill(int(owner), 0)
            except ProcessLookupError:
                socket.unlink(missing_ok=True)
            except PermissionError:
                continue  # it lives, as another user's

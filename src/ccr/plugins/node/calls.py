"""One call of the Node child; whatever fails in it becomes a PluginError that names the plugin."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from ccr.plugins.errors import PluginError
from ccr.plugins.node.frames import Connection, FrameError, FrameSizeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from ccr.plugins.log import StepLog
    from ccr.plugins.node.child import Child
    from ccr.plugins.node.frames import Frame

ENDING_S: Final = 5.0
LASTING: Final = frozenset({"ReferenceError", "RangeError", "SyntaxError", "TypeError"})
"""JavaScript's words for mistakes in the code, which the next attempt makes again."""
NETWORK: Final = "fetch failed"
"""The message of Node's fetch for every failure of the network; its type is TypeError all the same."""


class Call:
    """A call that begins: ``async with`` closes it, or whoever took it over does.

    log_of: the log of a plugin by its name. plugin, hook: whom to name while nothing else is known.
    """

    def __init__(self, child: Child, plugin: str, hook: str, log_of: Callable[[str], StepLog]) -> None:
        self._child = child
        self._plugin = plugin
        self._hook = hook
        self._log_of = log_of
        self._connection: Connection | None = None
        self._is_closed = False
        child.begin_call()

    async def __aenter__(self) -> Call:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def send(self, head: Mapping[str, Any], *bodies: bytes) -> None:
        """Send the head and the bodies it announces. Raises PluginError."""
        try:
            self._connection = await Connection.open(self._child.socket)
            await self._connection.send_json(head)
            for body in bodies:
                await self._connection.send("B", body)
        except FrameSizeError as error:
            raise PluginError(self._plugin, str(error), hook=self._hook, should_retry=False) from None
        except FrameError:
            raise await self._lost() from None

    async def stream(self, kind: str, data: bytes = b"") -> None:
        """Send a piece of a stream. Raises FrameError; who reads the answer learns the reason."""
        await self._open_connection.send(kind, data)

    async def answer(self) -> Frame:
        """Return the next frame of the answer. Raises PluginError. Nothing is lost when it is cancelled."""
        while True:
            try:
                frame = await self._open_connection.read()
            except FrameError:
                raise await self._lost() from None
            if frame.kind == "X":
                raise self._fault(frame.json())
            if frame.kind != "H":
                return frame
            self._enter(*frame.json())

    def close(self) -> None:
        """Close the connection; what is still under way in the child is cancelled."""
        if self._is_closed:
            return
        self._is_closed = True
        self._child.end_call()
        if self._connection is not None:
            self._connection.close()

    @property
    def _open_connection(self) -> Connection:
        if self._connection is None:
            raise FrameError("nothing was sent yet")
        return self._connection

    def _enter(self, plugin: str, hook: str) -> None:
        if hook not in ("load", "route"):  # there the child knows only the path
            self._plugin = plugin
        self._hook = hook
        self._child.last_entered = (self._plugin, hook)

    async def _lost(self) -> PluginError:
        """Return the error for a connection that broke, which mostly means that the process ended."""
        try:
            async with asyncio.timeout(ENDING_S):
                await self._child.ended.wait()
            reason = self._child.reason
        except TimeoutError:
            reason = "cannot be reached"
            self._child.kill(reason)  # the next call starts another
        plugin, hook = self._child.last_entered or (self._plugin, self._hook)
        where = "" if (plugin, hook) == (self._plugin, self._hook) else f"; it last ran {hook} of {plugin}"
        reason = f"the Node process of the plugins {reason}{where}"
        return self._told(PluginError(self._plugin, reason, hook=self._hook, should_retry=True))

    def _fault(self, fault: Mapping[str, Any]) -> PluginError:
        """Return the error for an X frame: what the plugin threw, or that it was too late."""
        hook = fault["hook"] or self._hook
        plugin = self._plugin if hook in ("load", "route") else fault["plugin"] or self._plugin
        kind, message = fault.get("type", ""), fault["message"]
        is_lasting = kind in LASTING and message != NETWORK
        reason = f"{kind}: {message}" if kind not in ("", "Error") else message
        if fault.get("cause"):
            reason += f" ({fault['cause']})"
        return self._told(
            PluginError(
                plugin,
                reason,
                hook=hook,
                trace=fault.get("stack", ""),
                should_retry=False if is_lasting else None,
            )
        )

    def _told(self, error: PluginError) -> PluginError:
        self._log_of(error.plugin).failed(error.hook, error)
        return error

"""A workspace on an event loop of its own, for code that is not asynchronous."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Self

from ccr.sandbox.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from ccr.sandbox.recorded import Recorded
    from ccr.sandbox.refusals import Refusal
    from ccr.sandbox.script import Fault, Script


class WorkspaceThread:
    """A running ``Workspace`` (or ``AnthropicFake``) in a thread, as a context manager.

    with WorkspaceThread(Workspace(script)) as workspace: …  ``WorkspaceThread(script)`` is short for that.
    """

    def __init__(self, workspace: Workspace | Script | None = None) -> None:
        self.workspace = workspace if isinstance(workspace, Workspace) else Workspace(workspace)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="sandbox", daemon=True)

    @property
    def url(self) -> str:
        """The address, without a slash at the end."""
        return self.workspace.url

    @property
    def host(self) -> str:
        """The address's host."""
        return self.workspace.host

    @property
    def port(self) -> int:
        """The port listened on."""
        return self.workspace.port

    @property
    def token(self) -> str:
        """The only bearer token that is taken."""
        return self.workspace.token

    @property
    def requests(self) -> list[Recorded]:
        """Everything received so far, in order."""
        return self.workspace.requests

    @property
    def conversation(self) -> list[Recorded]:
        """The requests that a turn of the script was for."""
        return self.workspace.conversation

    @property
    def refusals(self) -> list[Refusal]:
        """What the checks found, in order."""
        return self.workspace.refusals

    @property
    def remaining(self) -> int:
        """How many turns of the script nobody has asked for."""
        return self.workspace.remaining

    @property
    def token_requests(self) -> list[Recorded]:
        """The requests for an OAuth token, in order."""
        return self.workspace.token_requests

    def revoke_tokens(self) -> None:
        """Take back every OAuth access token given out so far."""
        self.workspace.revoke_tokens()

    def fail_tokens(self, fault: Fault) -> None:
        """Play a fault on the next ``fault.times`` requests for a token; ``times=0`` ends an earlier one."""
        self.workspace.fail_tokens(fault)

    def play(self, script: Script) -> None:
        """Start another script; what was recorded stays."""
        self.workspace.play(script)

    def until(self, is_true: Callable[[], bool], timeout_s: float = 10.0) -> None:
        """Wait until ``is_true()`` holds; raises TimeoutError."""
        asyncio.run_coroutine_threadsafe(self.workspace.until(is_true, timeout_s), self._loop).result()

    def start(self) -> None:
        """Listen; ``port`` is then the one taken. Raises OSError when the port is taken."""
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self.workspace.start(), self._loop).result()
        except OSError:
            self._end()
            raise

    def stop(self) -> None:
        """Stop listening and end the thread."""
        asyncio.run_coroutine_threadsafe(self.workspace.stop(), self._loop).result()
        self._end()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

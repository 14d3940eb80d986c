"""A server on the loopback interface that remembers every request: what the workspace's routes are built on.

It knows no route and no dialect; workspace.py and anthropic_fake.py add theirs.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Self

from aiohttp import web

from ccr.sandbox.playing import HTML
from ccr.sandbox.recorded import Recorded
from ccr.sandbox.refusals import Refusal, Refused

if TYPE_CHECKING:
    from types import TracebackType

Handler = Callable[[web.Request, Recorded], Awaitable[web.StreamResponse]]

MAX_BODY_BYTES = 64 * 1024 * 1024
SHUTDOWN_TIMEOUT_S = 0.01
"""Not 0, which aiohttp takes for "no limit": stopping must break off what is still being answered."""
LOGIN = "/login"


class RecordingServer(ABC):
    """Listens on 127.0.0.1 while it is used as an asynchronous context manager.

    port: 0 takes a free one. requests: everything received, in order; records change while their request
    runs. login_page: every path redirects to a login page, as a wrong URL of a workspace does.
    """

    def __init__(self, *, port: int = 0, login_page: bool = False) -> None:
        self.host = "127.0.0.1"
        self.port = port
        self.login_page = login_page
        self.requests: list[Recorded] = []
        self._watchers: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self._runner: web.AppRunner | None = None
        self._is_stopping = False

    @abstractmethod
    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add every route; each handler goes through ``recorded``."""

    @property
    def url(self) -> str:
        """The address, without a slash at the end."""
        return f"http://{self.host}:{self.port}"

    @property
    def refusals(self) -> list[Refusal]:
        """What the checks found, in order; scripted faults are not among them."""
        return [record.refusal for record in self.requests if record.refusal is not None]

    @property
    def conversation(self) -> list[Recorded]:
        """The requests that a turn of the script was for (side requests and refused ones left out)."""
        return [record for record in self.requests if record.is_turn]

    async def until(self, is_true: Callable[[], bool], timeout_s: float = 10.0) -> None:
        """Wait until ``is_true()`` holds. Raises TimeoutError.

        Asked whenever a request comes in, gets its turn of the script, or ends.
        """
        if is_true():
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._watchers.append((is_true, future))
        async with asyncio.timeout(timeout_s):
            await future

    async def start(self) -> None:
        """Listen; ``port`` is then the one taken."""
        application = web.Application(client_max_size=MAX_BODY_BYTES)
        self.add_routes(application.router)
        self._runner = web.AppRunner(
            application, handler_cancellation=True, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT_S
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port)
        await site.start()
        self.port = site.port

    async def stop(self) -> None:
        """Stop listening and break off what is still being answered."""
        self._is_stopping = True
        if self._runner is not None:
            await self._runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def recorded(self, handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Return the handler with its record: what came, what was answered, who went away."""

        async def handle(request: web.Request) -> web.StreamResponse:
            headers = {name.lower(): value for name, value in request.headers.items()}
            record = Recorded(request.method, request.path_qs, headers, at=time.monotonic())
            self.requests.append(record)
            try:
                record.raw = await request.read()
                self.changed()
                response = self._login(request) or await handler(request, record)
                record.status = None if record.is_reset else response.status
            except Refused as refused:
                record.refusal, record.status = refused.refusal, refused.refusal.status
                response = web.json_response(refused.refusal.body, status=refused.refusal.status)
            except (asyncio.CancelledError, ConnectionResetError):
                record.closed_early = not self._is_stopping
                raise
            finally:
                record.ended_at = time.monotonic()
                self.changed()
            return response

        return handle

    def _login(self, request: web.Request) -> web.Response | None:
        """Return what a browser's front door answers, None when this is the workspace's own."""
        if not self.login_page:
            return None
        if request.path == LOGIN:
            return web.Response(text=HTML.format(title="Sign in"), content_type="text/html")
        return web.Response(status=303, headers={"location": LOGIN})

    def changed(self) -> None:
        """Ask those who wait in ``until`` again."""
        for is_true, future in [*self._watchers]:
            if not future.done() and is_true():
                future.set_result(None)
        self._watchers = [(is_true, future) for is_true, future in self._watchers if not future.done()]

"""The pages' server: guard, body, call, answer; on 127.0.0.1, until it is told to end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from aiohttp import web

from ccr.errors import ApiError, CcrError, ConfigError, RequestError, StartError
from ccr.ui.calls import METHODS, Calls
from ccr.ui.configuration import problem_values
from ccr.ui.files import load_files
from ccr.ui.guard import HEADERS, SESSION, Guard
from ccr.ui.session import is_of_user

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ccr.ui.calls import Around
    from ccr.ui.session import Session

HOST: Final = "127.0.0.1"
REFUSED: Final = 422
"""What was asked for cannot be done, and nothing was changed; the answer's sentence says why."""
CODE_IS_USED: Final = "this address is used up: open the one that `ccr ui` printed"


class Pages:
    """Answers every request of the pages. uid: whose run this is."""

    def __init__(self, around: Around, session: Session, port: int, *, uid: int | None = None) -> None:
        self._files = load_files()
        self._session = session
        self._port = port
        self._uid = os.getuid() if uid is None else uid
        self._guard = Guard(port, session.key, self._files, METHODS)
        self._calls = Calls(around)

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """Answer a request; whatever goes wrong is a sentence."""
        try:
            path = self._guard.path_of(request.method, request.raw_path, request.headers)
            file = self._files.get(path)
            if file is not None:
                return web.Response(body=file.data, headers={**HEADERS, "Content-Type": file.content_type})
            values = await _values_of(request)
            if path == SESSION:
                return _answer(200, self._key_for(request, values))
            return _answer(200, await self._calls.answer(path, _query_of(request.raw_path), values))
        except ApiError as error:
            return await self._failed(error.status, error.message)
        except ConfigError as error:
            return await self._failed(REFUSED, str(error), problems=problem_values(error.problems))
        except (CcrError, OSError) as error:
            return await self._failed(REFUSED, str(error))

    async def _failed(self, status: int, sentence: str, **more: Any) -> web.Response:
        values = {"error": await self._calls.masked(sentence), **more}
        response = _answer(status, values)
        response.force_close()  # what is left of its body is not read
        return response

    def _key_for(self, request: web.BaseRequest, values: Mapping[str, Any]) -> dict[str, str]:
        """Return the key for the code of the opened address. Raises RequestError."""
        peer = request.transport.get_extra_info("peername") if request.transport is not None else None
        code = values.get("code")
        if peer is None or not is_of_user(peer[1], self._port, self._uid) or not isinstance(code, str):
            raise RequestError(CODE_IS_USED, status=403)
        key = self._session.exchanged(code)
        if key is None:
            raise RequestError(CODE_IS_USED, status=403)
        return {"key": key.reveal()}


async def serve(around: Around, session: Session, *, port: int, on_ready: Callable[[int], None]) -> None:
    """Serve until SIGINT or SIGTERM. port: 0 for any free one; `on_ready` gets the one taken.

    Raises StartError when the port is taken.
    """
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    async with Listening(around, session, port) as taken:
        on_ready(taken)
        await ended.wait()


class Listening:
    """The server as an asynchronous context manager; its value is the port."""

    def __init__(self, around: Around, session: Session, port: int = 0) -> None:
        self._around = around
        self._session = session
        self._port = port
        self._pages: Pages | None = None
        self._runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=1.0)

    async def __aenter__(self) -> int:
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, HOST, self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise StartError(
                f"Port {self._port} cannot be listened on ({error.strerror}); --port names another."
            ) from error
        port: int = self._runner.addresses[0][1]
        self._pages = Pages(self._around, self._session, port)
        return port

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        if self._pages is None:  # asked before the port was known to us
            return _answer(503, {"error": "the pages are just being started"})
        return await self._pages.handle(request)


async def _values_of(request: web.BaseRequest) -> dict[str, Any]:
    """Return the object in a body, {} without one. Raises RequestError."""
    if request.method != "POST":
        return {}
    try:
        data = await request.content.readexactly(int(request.headers["Content-Length"]))
        values = json.loads(data)
    except (asyncio.IncompleteReadError, ValueError, RecursionError) as error:
        raise RequestError("the body is no JSON") from error
    if not isinstance(values, dict):
        raise RequestError("the body must be a JSON object")
    return values


def _query_of(target: str) -> dict[str, str]:
    return dict(parse_qsl(target.partition("?")[2], max_num_fields=16))


def _answer(status: int, values: Mapping[str, Any]) -> web.Response:
    headers = {**HEADERS, "Content-Type": "application/json"}
    return web.Response(status=status, body=json.dumps(values).encode(), headers=headers)

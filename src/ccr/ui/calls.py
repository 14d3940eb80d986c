"""The table of all calls the pages may make: path -> method and what answers it.

What blocks (files, the service) runs in threads, what runs the person's own code in a process of its own.
Each answer is a JSON object, and passes a mask of every secret this installation holds, as the last line of
defence.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import ccr
from ccr.config.load import load_config
from ccr.config.masking import Mask
from ccr.config.model import Secret
from ccr.daemon.control import known_key
from ccr.daemon.log import secrets_of
from ccr.errors import CcrError, RequestError
from ccr.ui.commands import checked, explained, service_done
from ccr.ui.configuration import change_configuration, configuration
from ccr.ui.figures import requests, usage
from ccr.ui.guard import SESSION
from ccr.ui.log_view import LOGS, Wanted, log_file, log_page
from ccr.ui.trial import tried

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from ccr.config.paths import Paths

    Values = dict[str, Any]

MAX_QUERY_CHARS: Final = 500


@dataclass(frozen=True)
class Around:
    """The installation that is shown. status: makes what `ccr status --json` prints, above this layer."""

    paths: Paths
    environ: Mapping[str, str]
    status: Callable[[], Values]


class Calls:
    """Answers the calls. One change of the configuration or the service at a time."""

    def __init__(self, around: Around) -> None:
        self._around = around
        self._changing = asyncio.Lock()
        self._secrets: frozenset[Secret] = frozenset()
        self._stamps: object = None
        self._mask_of_secrets = Mask()

    async def answer(self, path: str, query: Mapping[str, str], values: Values) -> Values:
        """Return the answer to a call of `CALLS`, without secrets. Raises CcrError, OSError."""
        answer = await CALLS[path][1](self, query, values)
        return dict(masked_values(answer, await asyncio.to_thread(self._mask)))

    async def masked(self, text: str) -> str:
        """Return a text without secrets."""
        return (await asyncio.to_thread(self._mask))(text)

    async def overview(self, _query: Mapping[str, str], _values: Values) -> Values:
        """Return the state of the service, and what the configuration has to say."""
        return await asyncio.to_thread(self._overview)

    async def service(self, _query: Mapping[str, str], values: Values) -> Values:
        """Start, stop or restart the service."""
        async with self._changing:
            return await service_done(self._around.environ, values.get("action"))

    async def configuration(self, _query: Mapping[str, str], _values: Values) -> Values:
        """Return the configuration."""
        return await asyncio.to_thread(configuration, self._around.paths, self._around.environ)

    async def change(self, _query: Mapping[str, str], values: Values) -> Values:
        """Change the configuration."""
        change, version = values.get("change"), values.get("version")
        if not isinstance(change, dict) or not isinstance(version, str):
            raise RequestError("a change comes with the version it is of")
        paths, environ = self._around.paths, self._around.environ
        async with self._changing:
            return await asyncio.to_thread(change_configuration, paths, environ, version, change)

    async def check(self, _query: Mapping[str, str], _values: Values) -> Values:
        """Check the configuration with the person's own files."""
        return await checked(self._around.environ)

    async def test(self, _query: Mapping[str, str], values: Values) -> Values:
        """Send one tiny request to a model."""
        route = values.get("route")
        if not isinstance(route, str) or "," not in route:
            raise RequestError("a route is provider,model")
        return await asyncio.to_thread(tried, self._around.paths, self._around.environ, route)

    async def log(self, query: Mapping[str, str], _values: Values) -> Values:
        """Return a part of a log."""
        name = query.get("name", "")
        if name not in LOGS:
            raise RequestError(f"the logs are {', '.join(LOGS)}", status=404)
        wanted = Wanted(**{key: query.get(key, "") for key in ("level", "text", "request", "session")})
        file = log_file(self._around.paths, name)
        return await asyncio.to_thread(log_page, file, query.get("cursor", ""), wanted)

    async def usage(self, query: Mapping[str, str], _values: Values) -> Values:
        """Return the figures of a period."""
        now = dt.datetime.now().astimezone()
        return await asyncio.to_thread(usage, self._around.paths, self._around.environ, query, now)

    async def requests(self, query: Mapping[str, str], _values: Values) -> Values:
        """Return single requests."""
        return await asyncio.to_thread(requests, self._around.paths, query)

    async def explain(self, _query: Mapping[str, str], values: Values) -> Values:
        """Explain a request."""
        body, session = values.get("body"), values.get("session", "")
        if not isinstance(body, str) or not isinstance(session, str):
            raise RequestError("body and session are texts")
        return await explained(
            self._around.environ, body, is_chat=values.get("chat") is True, session=session[:MAX_QUERY_CHARS]
        )

    def _overview(self) -> Values:
        values = {**self._around.status(), "warnings": [], "notes": [], "ui_version": ccr.__version__}
        with suppress(CcrError):  # the status has its sentence
            config = load_config(self._around.paths, self._around.environ)
            values |= {"warnings": config.warnings, "notes": config.notes}
        return values

    def _mask(self) -> Mask:
        """Return a mask of the secrets of now and of those there were: an edit does not make them public."""
        paths, environ = self._around.paths, self._around.environ
        stamps = (_stamp(paths.config_file), _stamp(paths.key_file))
        if stamps != self._stamps:
            self._stamps = stamps
            with suppress(CcrError, OSError):
                key = known_key(paths, environ)
                self._secrets |= {key} if key is not None else set()
                config = load_config(paths, environ)
                self._secrets |= set(secrets_of(config, key or Secret(""), environ))
            self._mask_of_secrets = Mask(self._secrets)
        return self._mask_of_secrets


def _stamp(path: Path) -> tuple[int, ...]:
    """Return what changes whenever a file is written."""
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_ino, status.st_size, status.st_mtime_ns


def masked_values(value: Any, mask: Mask) -> Any:
    """Return JSON values with every text masked, names of keys as well."""
    if isinstance(value, dict):
        return {mask(str(key)): masked_values(entry, mask) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [masked_values(entry, mask) for entry in value]
    return mask(value) if isinstance(value, str) else value


CALLS: Final[dict[str, tuple[str, Callable[[Calls, Mapping[str, str], Values], Awaitable[Values]]]]] = {
    "/api/overview": ("GET", Calls.overview),
    "/api/service": ("POST", Calls.service),
    "/api/config": ("GET", Calls.configuration),
    "/api/change": ("POST", Calls.change),
    "/api/check": ("POST", Calls.check),
    "/api/test": ("POST", Calls.test),
    "/api/log": ("GET", Calls.log),
    "/api/usage": ("GET", Calls.usage),
    "/api/requests": ("GET", Calls.requests),
    "/api/explain": ("POST", Calls.explain),
}
METHODS: Final = {SESSION: "POST", **{path: method for path, (method, _) in CALLS.items()}}
